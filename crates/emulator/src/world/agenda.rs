//! What happens later, in order of time and then of insertion.

use std::collections::BTreeMap;

use super::Millis;
use super::bus::BusEvent;
use super::lambda::Invocation;
use super::notification::Delivery;
use super::replication::Work;

/// One thing that will happen.
#[derive(Debug, Clone)]
pub enum Task {
    /// Replicate one object version (all destinations still owed), live or for a job.
    Replicate(Work),
    /// Hand one S3 notification to its queue.
    Notify(Delivery),
    /// Move one batch job a step on.
    Job(String),
    /// Match one event with the rules of the bus.
    BusEvent(BusEvent),
    /// A schedule's next occurrence, by name.
    Schedule(String),
    /// An event source mapping looks at its queue, by mapping id.
    Poll(String),
    /// Offer one invocation to whoever runs the functions (first delivery, or a retry).
    Invoke(Invocation),
}

/// The tasks that are not yet due.
#[derive(Debug, Default)]
pub struct Agenda {
    tasks: BTreeMap<(Millis, u64), Task>,
    inserted: u64,
}

impl Agenda {
    /// Adds a task for `due`.
    pub fn push(&mut self, due: Millis, task: Task) {
        self.tasks.insert((due, self.inserted), task);
        self.inserted += 1;
    }

    /// When the first task is due.
    pub fn next_due(&self) -> Option<Millis> {
        self.tasks.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the first task that is due at `now`.
    pub fn pop_due(&mut self, now: Millis) -> Option<(Millis, Task)> {
        let entry = self.tasks.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let ((due, _), task) = entry.remove_entry();
        Some((due, task))
    }

    /// The tasks that wait, first due first.
    pub fn iter(&self) -> impl Iterator<Item = (Millis, &Task)> {
        self.tasks.iter().map(|((due, _), task)| (*due, task))
    }
}
