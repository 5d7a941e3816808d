//! A change in the account that may be the repair of what a circuit is open for: a policy, a key, a
//! destination that is versioned again. It makes the circuit's next canary due at once. Whether the
//! change does repair anything, only that canary can tell; where no change is seen, the cadence decides.
//!
//! The ledger knows a cause's destination, but neither roles nor keys, and a managed policy that changes
//! does not say whose it is: so a change of any key tries what may be for want of one, and so do roles.

use crate::circuit::Fault;
use crate::entry::Cause;
use crate::key::Bucket;
use crate::ledger::Head;
use crate::reason::Class;
use crate::survey::earliest;
use crate::time::Timestamp;

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A bucket's policy, its versioning, or what else of it replication needs.
    Bucket(Bucket),
    /// A KMS key: its policy, or whether it can be used.
    Key,
    /// A role, or a policy that roles have.
    Role,
}

impl Change {
    /// The change that a call to this service is; `bucket` is the one that the call names. `None` for
    /// what repairs nothing.
    pub fn of(service: &str, bucket: Option<&str>) -> Option<Self> {
        match service {
            "s3.amazonaws.com" => {
                let bucket = Bucket::try_from(bucket?.to_owned()).ok()?;
                Some(Self::Bucket(bucket))
            }
            "kms.amazonaws.com" => Some(Self::Key),
            "iam.amazonaws.com" => Some(Self::Role),
            _ => None,
        }
    }

    /// Whether it may be the repair of what a circuit of the bucket `source` is open for.
    pub fn may_repair(&self, source: &Bucket, fault: &Fault) -> bool {
        match fault {
            Fault::Cause(cause) => self.may_repair_cause(source, cause),
            // What S3 refuses or fails as a whole, our own roles may be in want of.
            Fault::Launch(_) | Fault::Job(_) => *self == Self::Role,
        }
    }

    fn may_repair_cause(&self, source: &Bucket, cause: &Cause) -> bool {
        let reason = cause.reason.as_str();
        let permission = reason.ends_with("NotPermitted");
        match self {
            // Its replication configuration is one of the things that may have changed.
            Self::Bucket(bucket) if bucket == source => true,
            Self::Bucket(bucket) => match &cause.destination {
                Some(destination) => bucket == destination,
                // A report does not say which.
                None => reason.starts_with("Dst") && cause.reason.class() == Class::Fix,
            },
            Self::Key => reason.contains("Kms") || cause.reason.remedy().contains("kms:"),
            Self::Role => permission,
        }
    }

    /// Takes note of it in a head: circuits that it may repair are tried again as soon as they may be. It
    /// came about at `at`, by the time of the event that tells of it. Says whether it was news to any.
    pub fn note(&self, head: &mut Head, at: Timestamp, now: Timestamp) -> bool {
        let mut news = false;
        for circuit in &mut head.circuits {
            if self.may_repair(&head.bucket, &circuit.fault) && circuit.saw_change(at, now) {
                news = true;
                if circuit.probe.is_none() {
                    head.next_due = earliest(head.next_due, circuit.due_at());
                }
            }
        }
        news
    }
}

#[cfg(test)]
#[path = "change/tests.rs"]
mod tests;
