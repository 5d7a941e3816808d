//! What AWS does, as a pure machine: no I/O, no clock, no entropy. It is told the time and given a
//! seed; the same calls in the same order give the same world.
//!
//! Everything that happens later (a replication, a notification, the next step of a job, a schedule)
//! is a [`Task`] in the [`agenda`]. [`World::advance_to`] runs what is due, in order of time and then
//! of insertion, so that a simulation is nothing but jumping from one due time to the next.

pub(crate) mod access;
pub mod agenda;
pub mod audit;
pub mod bucket;
pub mod bus;
pub mod config;
pub mod fault;
pub mod iam;
pub mod jobs;
pub mod kms;
pub mod lambda;
pub mod lifecycle;
pub mod notification;
pub mod object;
pub mod ops;
pub mod parcel;
pub mod policy;
pub mod queue;
pub mod refusal;
pub mod replication;
pub mod rng;
pub mod schedule;
pub mod trail;

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

pub use agenda::{Agenda, Task};
pub use bucket::Bucket;
pub use config::Config;
pub use refusal::{Answer, Refusal};

/// Milliseconds since the Unix epoch, on the world's own clock.
pub type Millis = u64;

/// What stands in a path as it is; the rest is percent-encoded.
pub(crate) const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The last moment whose year has four digits, as every date on the wire has.
const END: Millis = 253_402_300_799_000;

/// One emulated account in one Region, with everything in it.
#[derive(Debug)]
pub struct World {
    /// What was chosen when the world was made: account, Region, delays, keys.
    pub config: Config,
    /// All buckets, by name. Destination accounts are not separate worlds: a bucket has an owner.
    pub buckets: BTreeMap<String, Bucket>,
    /// Roles and their policies.
    pub iam: iam::Iam,
    /// Customer managed keys and their states.
    pub kms: kms::Kms,
    /// SQS queues.
    pub queues: queue::Queues,
    /// Event buses: rules and targets.
    pub bus: bus::Buses,
    /// EventBridge Scheduler.
    pub schedules: schedule::Schedules,
    /// Functions: event source mappings and the invocations that wait for an answer.
    pub lambda: lambda::Lambda,
    /// S3 Batch Operations jobs.
    pub jobs: jobs::Jobs,
    /// What roles asked for, and what came of it.
    pub audit: audit::Audit,
    /// Faults to inject, as data.
    pub faults: fault::Faults,
    /// Events for other servers.
    pub parcels: parcel::Parcels,
    /// What happens later.
    pub agenda: Agenda,
    pub(crate) rng: rng::Rng,
    now: Millis,
    writes: u64,
}

impl World {
    /// A world with nothing in it, at the time that `config` names.
    pub fn new(config: Config) -> Self {
        Self {
            rng: rng::Rng::new(config.seed),
            now: config.start,
            writes: 0,
            buckets: BTreeMap::new(),
            iam: iam::Iam::default(),
            kms: kms::Kms::default(),
            queues: queue::Queues::default(),
            bus: bus::Buses::default(),
            schedules: schedule::Schedules::default(),
            lambda: lambda::Lambda::default(),
            jobs: jobs::Jobs::default(),
            audit: audit::Audit::default(),
            faults: fault::Faults::default(),
            parcels: parcel::Parcels::default(),
            agenda: Agenda::default(),
            config,
        }
    }

    /// The world's time.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// When the next thing happens, if anything is to happen at all.
    pub fn next_due(&self) -> Option<Millis> {
        self.agenda.next_due()
    }

    /// Moves the clock to `now` (never back, nor beyond the year 9999) and runs everything that is due until then, each thing
    /// at its own time.
    pub fn advance_to(&mut self, now: Millis) {
        let now = now.min(END);
        // Midnights before this one bring nothing, unless something else happens first.
        let mut quiet_until = 0;
        loop {
            let midnight = lifecycle::next_run(self).map(|at| at.max(quiet_until));
            let midnight = midnight.filter(|at| *at <= now);
            let until = midnight.unwrap_or(now);
            if let Some((due, task)) = self.agenda.pop_due(until) {
                self.now = self.now.max(due);
                self.kms.expire(self.now);
                self.run(task);
                quiet_until = 0;
            } else if let Some(midnight) = midnight {
                self.now = self.now.max(midnight);
                quiet_until = lifecycle::run(self);
            } else {
                break;
            }
        }
        self.now = self.now.max(now);
        self.kms.expire(self.now);
    }

    /// The state of the world's source of chance.
    pub fn chance(&self) -> u64 {
        self.rng.state()
    }

    /// Puts the source of chance into a state that it had before.
    pub fn set_chance(&mut self, state: u64) {
        self.rng = rng::Rng::new(state);
    }

    /// The number of the next write, for [`object::Version::sequence`].
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    /// Puts `task` on the agenda, `delay` milliseconds from now.
    pub(crate) fn later(&mut self, delay: Millis, task: Task) {
        self.agenda.push(self.now.saturating_add(delay), task);
    }

    fn run(&mut self, task: Task) {
        match task {
            Task::Replicate(work) => replication::run(self, work),
            Task::Notify(delivery) => notification::deliver(self, delivery),
            Task::Job(id) => jobs::step(self, &id),
            Task::BusEvent(event) => bus::deliver(self, event),
            Task::Schedule(name) => schedule::fire(self, &name),
            Task::Poll(mapping) => lambda::poll(self, &mapping),
            Task::Invoke(invocation) => lambda::offer(self, invocation),
        }
    }
}
