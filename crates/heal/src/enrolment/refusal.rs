//! What stands in the way of an enrolment: a word for programs, a sentence for people, and what to do.

use serde::{Deserialize, Serialize};

use super::document::{Kind, Listener};
use super::{ENROLLED_FORMAT, Merge, NAMED_MAX, Ours};
use crate::key::Bucket;
use crate::limits::NOTIFICATION_ENTRIES_MAX;
use crate::notice::NoticeFact;

/// What kind of obstacle it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// Another consumer has our events.
    Overlap,
    /// The document has as many entries as S3 takes.
    Full,
    /// The document cannot be read.
    Unreadable,
    /// The bucket is in another Region.
    Region,
    /// There is no such bucket.
    Gone,
    /// The bucket is not versioned.
    Unversioned,
    /// We may not.
    Denied,
    /// S3 may not send to our queue.
    Queue,
    /// Another tool overwrites the document as fast as we do.
    Contended,
    /// S3 would not write the document.
    Refused,
    /// AWS did not answer.
    Unavailable,
}

impl Obstacle {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Full => "full",
            Self::Unreadable => "unreadable",
            Self::Region => "region",
            Self::Gone => "gone",
            Self::Unversioned => "unversioned",
            Self::Denied => "denied",
            Self::Queue => "queue",
            Self::Contended => "contended",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A bucket is not enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {remedy}")]
pub struct Refusal {
    /// What kind of obstacle it is.
    pub code: Obstacle,
    /// What stands in the way.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refusal {
    fn new(code: Obstacle, why: String, remedy: impl Into<String>) -> Self {
        Self { code, why, remedy: remedy.into() }
    }

    pub(super) fn overlap(ours: &Ours, other: &Listener) -> Self {
        let Listener { kind, id, destination, events, .. } = other;
        let why = format!(
            "the {} {destination} has {} already (entry {id:?}), and S3 gives an event to one destination",
            kind.word(),
            events.join(", ")
        );
        let remedy = if id.starts_with("resilver-") {
            "take the bucket out of one of the two Resilver stacks".to_owned()
        } else {
            let (queue, feeds) = (&ours.queue, ours.feeds());
            let fan = match kind {
                Kind::Topic => format!("subscribe the queue {queue} to that topic"),
                _ => format!(
                    "let that entry send to an SNS topic, to which its {} and the queue {queue} are subscribed",
                    kind.word()
                ),
            };
            format!(
                "{fan} (its policy has to let the topic send), and put {feeds} into the id of the entry; or take those events out of it"
            )
        };
        Self::new(Obstacle::Overlap, why, remedy)
    }

    pub(super) fn full(entries: usize) -> Self {
        let why = format!(
            "the bucket has {entries} notification entries, and S3 allows {NOTIFICATION_ENTRIES_MAX}"
        );
        Self::new(Obstacle::Full, why, "remove one, or let two of them share a topic")
    }

    pub(super) fn unreadable(why: &str) -> Self {
        let why = format!("the bucket's notification document cannot be read: {why}");
        Self::new(
            Obstacle::Unreadable,
            why,
            "it is left as it is; report this with the document (aws s3api get-bucket-notification-configuration --debug)",
        )
    }

    /// A bucket of another Region.
    pub fn region(bucket: &Bucket, theirs: &str, ours: &str) -> Self {
        let why = format!("{bucket} is in {theirs}, and this stack in {ours}");
        let remedy = format!("S3 tells queues of the bucket's own Region only: deploy in {theirs}");
        Self::new(Obstacle::Region, why, remedy)
    }

    /// A bucket that is not there.
    pub fn gone(bucket: &Bucket) -> Self {
        let why = format!("there is no bucket {bucket}");
        Self::new(Obstacle::Gone, why, "correct the name, or take it out of the parameter Buckets")
    }

    /// A bucket without versions.
    pub fn unversioned(bucket: &Bucket, status: &str) -> Self {
        let why =
            format!("the versioning of {bucket} is {status}, and without it nothing replicates");
        Self::new(Obstacle::Unversioned, why, "enable its versioning")
    }

    /// A name that no bucket has.
    pub fn name(why: &str) -> Self {
        Self::new(Obstacle::Gone, why.to_owned(), "correct the parameter Buckets")
    }

    /// A call that we may not make.
    pub fn denied(problem: &str) -> Self {
        let remedy = "allow it in the bucket's policy, and look for a service control policy that denies it; the next run tries again";
        Self::new(Obstacle::Denied, problem.to_owned(), remedy)
    }

    /// S3 cannot send to our queue.
    pub fn queue(queue: &str, said: &str) -> Self {
        let why = format!("S3 may not send to the queue {queue}: {said}");
        let remedy = "let the queue's policy allow s3.amazonaws.com sqs:SendMessage for this bucket, and its key, if it has one, kms:GenerateDataKey and kms:Decrypt";
        Self::new(Obstacle::Queue, why, remedy)
    }

    /// Someone else overwrites what we write.
    pub fn contended(bucket: &Bucket, times: usize) -> Self {
        let why = format!(
            "another tool overwrote the notifications of {bucket} {times} times while our entry was put in"
        );
        Self::new(
            Obstacle::Contended,
            why,
            "give that tool our entry too, or let it rest; the next run tries again",
        )
    }

    /// S3 refuses the document.
    pub fn refused(said: &str) -> Self {
        let why = format!("S3 would not write the notifications: {said}");
        Self::new(
            Obstacle::Refused,
            why,
            "look at the bucket's notifications; the next run tries again",
        )
    }

    /// AWS does not answer.
    pub fn unavailable(problem: &str) -> Self {
        Self::new(Obstacle::Unavailable, problem.to_owned(), "the next run tries again")
    }

    /// A document of ours that a later release wrote.
    pub fn newer(bucket: &Bucket, format: u32) -> Self {
        let why = format!(
            "what is kept of {bucket} has format {format}, and this release knows {ENROLLED_FORMAT}"
        );
        Self::new(Obstacle::Refused, why, "leave it as it is and deploy the newer release")
    }

    /// As a notice, where it is our entry that could not be taken out.
    pub fn left_behind(&self, bucket: &Bucket) -> NoticeFact {
        NoticeFact::Found {
            code: "entry-left".to_owned(),
            subject: bucket.to_string(),
            what: format!("our entry could not be taken out of its notifications: {}", self.why),
            remedy: self.remedy.clone(),
        }
    }

    /// Whether it may pass by itself, so that only someone who waits for it has to hear of it.
    pub fn may_pass(&self) -> bool {
        self.code == Obstacle::Unavailable
    }

    /// Whether the stack may leave all the same: nothing is left there that it could take along, or
    /// nothing that it may touch.
    pub fn lets_go(&self) -> bool {
        matches!(self.code, Obstacle::Gone | Obstacle::Denied | Obstacle::Unreadable)
    }

    /// As a notice.
    pub fn fact(&self) -> NoticeFact {
        let (code, why) = (self.code.as_str().to_owned(), self.why.clone());
        NoticeFact::NotEnrolled { code, why, remedy: self.remedy.clone() }
    }
}

/// What S3 says when it cannot send to one of a document's destinations (S3 User Guide:
/// notification-how-to-event-types-and-destinations).
const UNVALIDATED: &str = "Unable to validate the following destination";

/// Whose destination it is that S3 cannot send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unvalidated {
    /// Ours: its policy may need seconds to arrive.
    Ours,
    /// Another consumer's: no reason not to hear of failures.
    Theirs(Vec<String>),
    /// S3 does not say.
    Unsaid(Vec<String>),
}

impl Unvalidated {
    /// What a refusal of S3 says of destinations, if it is about them. S3 names each that it could not
    /// send to, but does not document that it does: what says nothing may be any.
    pub fn of(said: &str, others: &[Listener], ours: &Ours) -> Option<Self> {
        if !said.contains(UNVALIDATED) {
            return None;
        }
        if said.contains(&ours.queue) || others.is_empty() {
            return Some(Self::Ours);
        }
        let arns = others.iter().map(|listener| listener.destination.clone());
        let (named, rest): (Vec<_>, Vec<_>) =
            arns.partition(|arn| !arn.is_empty() && said.contains(arn.as_str()));
        Some(if named.is_empty() { Self::Unsaid(rest) } else { Self::Theirs(named) })
    }

    /// What is told when the document was written without asking its destinations; nothing where ours
    /// is the one, since then it is not written.
    pub fn fact(&self, bucket: &Bucket, ours: &Ours) -> Option<NoticeFact> {
        let some = |arns: &[String]| {
            let some: Vec<&str> = arns.iter().take(NAMED_MAX).map(String::as_str).collect();
            some.join(", ")
        };
        let (what, remedy) = match self {
            Self::Ours => return None,
            Self::Theirs(arns) => (
                format!("S3 cannot send its notifications to {}", some(arns)),
                "remove the entry of a destination that no longer exists; ours was written without asking the others".to_owned(),
            ),
            Self::Unsaid(arns) => (
                format!(
                    "S3 cannot send its notifications to one of {} or {}, and does not say to which",
                    some(arns),
                    ours.queue
                ),
                "remove the entry of a destination that no longer exists, and see that the queue's policy lets S3 send; our entry was written without asking".to_owned(),
            ),
        };
        let (code, subject) = ("destination".to_owned(), bucket.to_string());
        Some(NoticeFact::Found { code, subject, what, remedy })
    }
}

impl Merge {
    /// The document that is to be written, if any is.
    pub fn into_document(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Write(document) => Some(document),
        }
    }
}
