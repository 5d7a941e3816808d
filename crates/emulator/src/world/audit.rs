//! Who asked for what, and on what grounds it was allowed: what a role of an account really uses of its
//! policies; which events came by which bus; and how often what was called, which is what AWS bills. Off
//! unless it is switched on, since it keeps all of it. It changes no decision.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::policy::{self, Question, Statement};

/// One thing that a role asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The role's ARN.
    pub role: String,
    /// `s3:GetObject`.
    pub action: String,
    /// The ARN of the resource.
    pub resource: String,
    /// What came of it.
    pub allowed: bool,
}

/// What of a role's own policies allowed something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ground {
    /// The role's ARN.
    pub role: String,
    /// The place of the statement among those of the role.
    pub statement: usize,
    /// The action, as the statement has it.
    pub action: String,
    /// The resource, as the statement has it.
    pub resource: String,
}

/// The log.
#[derive(Debug, Default)]
pub struct Audit {
    on: bool,
    // Whether somebody may do something is asked of a world that nobody changes.
    log: RefCell<(BTreeSet<Use>, BTreeSet<Ground>)>,
    events: Vec<(String, Value)>,
    calls: BTreeMap<String, u64>,
}

impl Audit {
    /// Begins to keep what is asked from now on, or stops and forgets it.
    pub fn switch(&mut self, on: bool) {
        self.on = on;
        self.log.take();
        self.events.clear();
        self.calls.clear();
    }

    /// How often each thing was asked for: `S3 GetObject`, `Lambda` and the function's name.
    pub fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// Counts a call.
    pub(crate) fn call(&mut self, what: impl FnOnce() -> String) {
        if self.on {
            *self.calls.entry(what()).or_default() += 1;
        }
    }

    /// Every event that was matched, with its bus, in order.
    pub fn events(&self) -> &[(String, Value)] {
        &self.events
    }

    /// Keeps an event.
    pub(super) fn event(&mut self, bus: &str, envelope: &Value) {
        if self.on {
            self.events.push((bus.to_owned(), envelope.clone()));
        }
    }

    /// Everything that was asked, in order of role, action and resource.
    pub fn uses(&self) -> BTreeSet<Use> {
        self.log.borrow().0.clone()
    }

    /// Every part of a policy that allowed something.
    pub fn grounds(&self) -> BTreeSet<Ground> {
        self.log.borrow().1.clone()
    }

    /// Keeps an answer, and which of the role's own statements gave it.
    pub(super) fn keep(&self, question: &Question<'_>, own: &[Statement], allowed: bool) {
        if !self.on {
            return;
        }
        let mut log = self.log.borrow_mut();
        log.0.insert(Use {
            role: question.principal.to_owned(),
            action: question.action.to_owned(),
            resource: question.resource.to_owned(),
            allowed,
        });
        if !allowed {
            return;
        }
        for (statement, action, resource) in policy::grounds(own, question) {
            log.1.insert(Ground {
                role: question.principal.to_owned(),
                statement,
                action: action.to_owned(),
                resource: resource.to_owned(),
            });
        }
    }
}
