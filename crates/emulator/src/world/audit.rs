//! Who asked for what, and on what grounds it was allowed: what a role of an account really uses of its
//! policies; which events came by which bus; and how often what was called, which is what AWS bills. Off
//! unless it is switched on, since it keeps all of it. It changes no decision.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::policy::{Effect, Question, Statement, like};

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
    /// The statement: its policy and its `Sid`, `policy/Sid`.
    pub statement: String,
    /// The action, as the statement has it.
    pub action: String,
    /// The resource, as the statement has it.
    pub resource: String,
}

impl Ground {
    /// Everything that a role's statements allow, each action with each resource.
    pub fn all(role: &str, statements: &[Statement]) -> BTreeSet<Self> {
        let mut all = BTreeSet::new();
        for statement in statements.iter().filter(|one| one.effect == Effect::Allow) {
            for action in &statement.actions {
                let of = |resource: &String| Self::of(role, statement, action, resource);
                all.extend(statement.resources.iter().map(of));
            }
        }
        all
    }

    fn of(role: &str, statement: &Statement, action: &str, resource: &str) -> Self {
        let sid = statement.sid.as_deref().unwrap_or_default();
        Self {
            role: role.to_owned(),
            statement: format!("{}/{sid}", statement.id),
            action: action.to_owned(),
            resource: resource.to_owned(),
        }
    }
}

/// What of these statements allows what is asked: each action and each resource that fits.
fn grounds(own: &[Statement], question: &Question<'_>) -> BTreeSet<Ground> {
    let allow = |one: &&Statement| one.effect == Effect::Allow && one.matches(question);
    let fits = |ground: &Ground| {
        like(&ground.action, question.action, true)
            && like(&ground.resource, question.resource, false)
    };
    let grounds = own.iter().filter(allow);
    let grounds =
        grounds.flat_map(|one| Ground::all(question.principal, std::slice::from_ref(one)));
    grounds.filter(fits).collect()
}

#[derive(Debug, Default)]
struct Log {
    uses: BTreeSet<Use>,
    grounds: BTreeSet<Ground>,
    needed: BTreeSet<Ground>,
}

/// The log.
#[derive(Debug, Default)]
pub struct Audit {
    on: bool,
    // Whether somebody may do something is asked of a world that nobody changes.
    log: RefCell<Log>,
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
        self.log.borrow().uses.clone()
    }

    /// Every part of a policy that allowed something.
    pub fn grounds(&self) -> BTreeSet<Ground> {
        self.log.borrow().grounds.clone()
    }

    /// Every part of a policy that alone allowed something: without it, that would have been denied.
    pub fn needed(&self) -> BTreeSet<Ground> {
        self.log.borrow().needed.clone()
    }

    /// Keeps an answer, and which of the role's own statements gave it.
    pub(super) fn keep(&self, question: &Question<'_>, own: &[Statement], allowed: bool) {
        if !self.on {
            return;
        }
        let mut log = self.log.borrow_mut();
        log.uses.insert(Use {
            role: question.principal.to_owned(),
            action: question.action.to_owned(),
            resource: question.resource.to_owned(),
            allowed,
        });
        if !allowed {
            return;
        }
        let grounds = grounds(own, question);
        if grounds.len() == 1 {
            log.needed.extend(grounds.iter().cloned());
        }
        log.grounds.extend(grounds);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::world::policy;

    const ROLE: &str = "arn:aws:iam::111122223333:role/r";

    /// What is asked of these statements; gives whether it is allowed, too.
    fn keeps(audit: &Audit, statements: &[Statement], action: &str, resource: &str) -> bool {
        let question = Question { principal: ROLE, action, resource, context: &[] };
        let allowed = policy::decide(statements, &question) == policy::Decision::Allowed;
        audit.keep(&question, statements, allowed);
        allowed
    }

    #[test]
    fn a_part_of_a_policy_is_needed_if_without_it_something_would_be_denied() {
        let document = r#"{"Statement":[
            {"Sid":"A","Effect":"Allow","Action":["s3:Get*","s3:PutObject"],"Resource":["arn:aws:s3:::b/1/*","arn:aws:s3:::b/2/*"]},
            {"Sid":"B","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
        let mut statements = policy::parse(document, "p").unwrap();
        let mut audit = Audit::default();
        audit.switch(true);
        for (action, resource) in [
            ("s3:GetObject", "arn:aws:s3:::b/1/k"),
            ("s3:PutObject", "arn:aws:s3:::b/1/k"),
            ("s3:GetObject", "arn:aws:s3:::b/3/k"),
        ] {
            assert!(keeps(&audit, &statements, action, resource));
        }
        assert!(!keeps(&audit, &statements, "s3:DeleteObject", "arn:aws:s3:::b/1/k"));
        let named = |all: BTreeSet<Ground>| {
            let name = |it: Ground| format!("{} {} {}", it.statement, it.action, it.resource);
            all.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(
            named(audit.needed()),
            ["A/A s3:PutObject arn:aws:s3:::b/1/*", "B/B s3:GetObject arn:aws:s3:::b/*"]
        );
        assert_eq!(named(audit.grounds()).len(), 3, "and the one that another makes spare");
        assert_eq!(Ground::all(ROLE, &statements).len(), 5);
        assert_eq!(audit.uses().iter().filter(|it| !it.allowed).count(), 1);
        statements.iter_mut().for_each(|one| one.actions.retain(|it| it != "s3:PutObject"));
        assert!(!keeps(&audit, &statements, "s3:PutObject", "arn:aws:s3:::b/1/k"), "it was needed");
        assert!(
            keeps(&audit, &statements[1..], "s3:GetObject", "arn:aws:s3:::b/1/k"),
            "it was spare"
        );
    }
}
