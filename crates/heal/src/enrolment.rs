//! Enrolment: our one entry in a bucket's notification document, which all consumers of the bucket
//! share and S3 only ever replaces as a whole. What is not ours stays byte for byte; what stands in
//! the way is refused with who it is and what to do about it, and the document is left alone.

mod document;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::document::Document;
pub use self::document::{Kind, Listener};
pub use self::refusal::{Obstacle, Refusal, Unvalidated};
use crate::key::Bucket;
use crate::limits::NOTIFICATION_ENTRIES_MAX;
use crate::time::Timestamp;

/// Format number of [`Enrolled`] and [`Unenrolled`].
pub const ENROLLED_FORMAT: u32 = 1;

/// What we listen to, by name: `s3:Replication:*` would keep others from the rest.
pub const EVENTS: [&str; 2] =
    ["s3:Replication:OperationFailedReplication", "s3:Replication:OperationNotTracked"];

/// Our entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// The stack: several may enrol buckets of one account.
    pub stack: String,
    /// The ARN of the queue of failures.
    pub queue: String,
    /// The events.
    pub events: Vec<String>,
}

impl Ours {
    /// The entry that this release makes.
    pub fn new(stack: &str, queue: &str) -> Self {
        let events = EVENTS.map(str::to_owned).to_vec();
        Self { stack: stack.to_owned(), queue: queue.to_owned(), events }
    }

    /// Its id.
    pub fn id(&self) -> String {
        format!("resilver-{}", self.stack)
    }

    /// What the id of a topic's entry contains if the topic feeds our queue: so its owner says that
    /// failures are heard of without an entry of ours.
    pub fn feeds(&self) -> String {
        format!("feeds-{}", self.id())
    }

    /// Whether an entry's id is of this stack: what follows it is nothing that another stack's name
    /// could go on with (CloudFormation User Guide: letters, digits and hyphens).
    fn is_id(&self, id: &str) -> bool {
        id.strip_prefix(&self.id()).is_some_and(ends_name)
    }

    fn is_fed_by(&self, listener: &Listener) -> bool {
        let marked = listener.id.split_once(&self.feeds()).is_some_and(|(_, rest)| ends_name(rest));
        marked && listener.kind == Kind::Topic && listener.sends_all(&self.events)
    }

    fn listener(&self) -> Listener {
        Listener {
            kind: Kind::Queue,
            id: self.id(),
            destination: self.queue.clone(),
            events: self.events.clone(),
            prefix: String::new(),
            suffix: String::new(),
        }
    }

    fn is(&self, listener: &Listener) -> bool {
        let same = Listener { events: self.events.clone(), ..listener.clone() } == self.listener();
        let (theirs, events): (BTreeSet<_>, BTreeSet<_>) =
            (listener.events.iter().collect(), self.events.iter().collect());
        same && theirs == events
    }

    fn xml(&self, prefix: &str) -> String {
        let element = |name: &str, text: &str| {
            let text = quick_xml::escape::escape(text);
            format!("<{prefix}{name}>{text}</{prefix}{name}>")
        };
        let events: String = self.events.iter().map(|event| element("Event", event)).collect();
        let fields = element("Id", &self.id()) + &element("Queue", &self.queue) + &events;
        format!("<{prefix}QueueConfiguration>{fields}</{prefix}QueueConfiguration>")
    }
}

fn ends_name(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
}

/// What is to be done to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Nothing: it is as it should be.
    Nothing,
    /// This document is to be written.
    Write(String),
}

/// Puts our entry into a document: adds it, replaces an older one of ours, or finds nothing to do.
///
/// # Errors
/// It cannot be done without harm to somebody else.
pub fn install(document: &[u8], ours: &Ours) -> Result<Merge, Refusal> {
    let parsed = Document::parse(document).map_err(|why| Refusal::unreadable(&why))?;
    let own = own(&parsed, ours);
    let others = || {
        let numbered = parsed.children.iter().enumerate().filter(|(n, _)| !own.contains(n));
        numbered.filter_map(|(_, child)| child.listener.as_ref())
    };
    if others().any(|listener| ours.is_fed_by(listener)) {
        return Ok(if own.is_empty() {
            Merge::Nothing
        } else {
            Merge::Write(parsed.edit(&own, ""))
        });
    }
    if let Some(other) = others().find(|listener| listener.overlaps(&ours.listener())) {
        return Err(Refusal::overlap(ours, other));
    }
    if let [only] = own.as_slice() {
        let only = parsed.children.get(*only).and_then(|child| child.listener.as_ref());
        if only.is_some_and(|listener| ours.is(listener)) {
            return Ok(Merge::Nothing);
        }
    }
    let entries = others().count();
    if entries >= NOTIFICATION_ENTRIES_MAX {
        return Err(Refusal::full(entries));
    }
    Ok(Merge::Write(parsed.edit(&own, &ours.xml(parsed.prefix()))))
}

/// Takes the entries of this stack out of a document.
///
/// # Errors
/// It cannot be read.
pub fn remove(document: &[u8], ours: &Ours) -> Result<Merge, Refusal> {
    let parsed = Document::parse(document).map_err(|why| Refusal::unreadable(&why))?;
    let own = own(&parsed, ours);
    Ok(if own.is_empty() { Merge::Nothing } else { Merge::Write(parsed.edit(&own, "")) })
}

fn own(parsed: &Document<'_>, ours: &Ours) -> Vec<usize> {
    let children = parsed.children.iter().enumerate();
    let is_own = |listener: &Listener| ours.is_id(&listener.id);
    children
        .filter(|(_, child)| child.listener.as_ref().is_some_and(is_own))
        .map(|(n, _)| n)
        .collect()
}

/// The entries of a document that are not ours: whose destinations S3 asks too when ours is written.
pub fn others(document: &[u8], ours: &Ours) -> Vec<Listener> {
    let Ok(parsed) = Document::parse(document) else {
        return Vec::new();
    };
    let listeners = parsed.children.into_iter().filter_map(|child| child.listener);
    listeners.filter(|listener| !ours.is_id(&listener.id)).collect()
}

/// What turns one document into another, for people: a line an entry, those that go with a minus,
/// those that come with a plus.
pub fn diff(before: &[u8], after: &[u8]) -> Vec<String> {
    let lines = |bytes: &[u8]| -> Vec<(String, String)> {
        let Ok(parsed) = Document::parse(bytes) else {
            return Vec::new();
        };
        let line = |child| (parsed.slice(child).to_owned(), line(child));
        parsed.children.iter().map(line).collect()
    };
    let (before, after) = (lines(before), lines(after));
    let less = |all: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        let mut other: Vec<&String> = other.iter().map(|(slice, _)| slice).collect();
        let mut left = Vec::new();
        for (slice, line) in all {
            match other.iter().position(|it| *it == slice) {
                Some(at) => drop(other.swap_remove(at)),
                None => left.push(line.clone()),
            }
        }
        left
    };
    let gone = less(&before, &after).into_iter().map(|line| format!("- {line}"));
    let come = less(&after, &before).into_iter().map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

fn line(child: &document::Child) -> String {
    let Some(listener) = &child.listener else {
        return child.name.clone();
    };
    let Listener { kind, id, destination, events, prefix, suffix } = listener;
    let keys = match (prefix.as_str(), suffix.as_str()) {
        ("", "") => String::new(),
        (prefix, suffix) => format!(" of {prefix}*{suffix}"),
    };
    format!("{id}: {}{keys} to {} {destination}", events.join(", "), kind.word())
}

/// Who asked for a bucket's enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The settings: when they no longer name it, it leaves.
    Settings,
    /// A person: it leaves when a person says so, or with the stack.
    Person,
}

/// `enrolled/<bucket>.json`: what was merged into a bucket's notification document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// [`ENROLLED_FORMAT`] of the release that wrote it.
    pub format: u32,
    /// The bucket.
    pub bucket: Bucket,
    /// The entry.
    #[serde(flatten)]
    pub ours: Ours,
    /// Its id.
    pub entry: String,
    /// Who asked for it.
    pub by: By,
    /// Since when.
    pub since: Timestamp,
    /// When the entry was last found where it should be.
    pub verified: Timestamp,
    /// What was found instead of the entry, while it is put back and until that is told.
    pub drift: Option<String>,
}

impl Enrolled {
    /// A bucket that is enrolled now.
    pub fn new(bucket: &Bucket, ours: &Ours, by: By, now: Timestamp) -> Self {
        Self {
            format: ENROLLED_FORMAT,
            bucket: bucket.clone(),
            ours: ours.clone(),
            entry: ours.id(),
            by,
            since: now,
            verified: now,
            drift: None,
        }
    }

    /// The same bucket, found as it should be.
    #[must_use]
    pub fn again(&self, ours: &Ours, by: By, now: Timestamp) -> Self {
        let verified = now.max(self.verified);
        // Who was asked for by a person stays so.
        let by = if self.by == By::Person { By::Person } else { by };
        Self { since: self.since, verified, ..Self::new(&self.bucket, ours, by, now) }
    }

    /// What a document that was found means for a bucket that is enrolled.
    pub fn standing(&self, document: &[u8]) -> Standing {
        match install(document, &self.ours) {
            Ok(Merge::Nothing) => Standing::Enrolled,
            Ok(Merge::Write(_)) => Standing::Drifted { found: found(document, &self.ours) },
            Err(refusal) => Standing::Refused(refusal),
        }
    }
}

/// How a bucket that is enrolled stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Our entry is where it should be.
    Enrolled,
    /// Another tool took it out or changed it.
    Drifted {
        /// What is there instead.
        found: String,
    },
    /// It is gone, and something stands where it has to be.
    Refused(Refusal),
}

/// Entries that are named in a sentence.
const NAMED_MAX: usize = 3;

fn found(document: &[u8], ours: &Ours) -> String {
    let Ok(parsed) = Document::parse(document) else {
        return "a document that cannot be read".to_owned();
    };
    if let Some(changed) = own(&parsed, ours).first().and_then(|n| parsed.children.get(*n)) {
        return format!("our entry, changed: {}", line(changed));
    }
    let listeners = parsed.children.iter().filter(|child| child.listener.is_some());
    let lines: Vec<String> = listeners.map(line).collect();
    match lines.split_at_checked(NAMED_MAX) {
        _ if lines.is_empty() => "no entry at all".to_owned(),
        Some((named, more)) if !more.is_empty() => {
            format!("only entries of others: {}; and {} more", named.join("; "), more.len())
        }
        _ => format!("only entries of others: {}", lines.join("; ")),
    }
}

/// `unenrolled/<bucket>.json`: why a bucket that should be enrolled is not, so that it is told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unenrolled {
    /// [`ENROLLED_FORMAT`].
    pub format: u32,
    /// The bucket.
    pub bucket: Bucket,
    /// What stands in the way.
    pub code: Obstacle,
    /// Since when.
    pub since: Timestamp,
}

impl Unenrolled {
    /// What is to be remembered of an obstacle found now; the same one as before has stood since then.
    #[must_use]
    pub fn new(before: Option<&Self>, bucket: &Bucket, code: Obstacle, now: Timestamp) -> Self {
        let same = before.filter(|before| before.code == code);
        let since = same.map_or(now, |before| before.since);
        Self { format: ENROLLED_FORMAT, bucket: bucket.clone(), code, since }
    }
}

/// `enrolment.json`: whether the stack is installed. Schedules outlive the custom resource by minutes
/// when a stack is deleted, and must not enrol again what has just left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// [`ENROLLED_FORMAT`].
    pub format: u32,
    /// The stack.
    pub stack: String,
    /// Whether it is installed.
    pub installed: bool,
    /// Since when.
    pub at: Timestamp,
}

impl Installed {
    /// Said now.
    pub fn new(stack: &str, installed: bool, at: Timestamp) -> Self {
        Self { format: ENROLLED_FORMAT, stack: stack.to_owned(), installed, at }
    }
}
