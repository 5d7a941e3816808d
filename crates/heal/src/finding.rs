//! Blind spots: what will stop healing, or hide failures. Each is told once, with its remedy; `doctor`
//! shows the same. What could not be read is a finding itself and hides no other.
//!
//! Left out on purpose: a rule that is disabled (somebody did that), and what a destination in another
//! account does not let us read.

use std::collections::BTreeSet;

use crate::configuration::{Configuration, name_of};
use crate::key::Bucket;
use crate::notice::NoticeFact;

/// Names that one notice lists.
const NAMES_MAX: usize = 5;

/// What kind of blind spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Objects from before replication are not replicated by themselves.
    History,
    /// No rule at all.
    NoRules,
    /// The source is not versioned.
    Unversioned,
    /// A rule without metrics: its failures send no events.
    Metrics,
    /// No CloudTrail trail: changes are not heard of.
    Trail,
    /// Lifecycle rules that work against a running job.
    Lifecycle,
    /// Archived classes, from which nothing is replicated.
    Archived,
    /// Objects under KMS are skipped.
    KmsOptOut,
    /// The state bucket encrypts with KMS by default.
    StateKms,
    /// Our own state is replicated, or replicated into.
    OwnState,
    /// Something may not be read.
    Unreadable,
}

/// One blind spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// What it is about: a rule's id, a bucket, a call.
    pub subject: String,
    /// What was found, a clause.
    pub what: String,
    /// What to do about it, a clause.
    pub remedy: String,
}

/// What came of reading something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// It says this.
    Is(T),
    /// It may not be read: the permission that is missing.
    Denied(&'static str),
    /// It could not be read this time.
    Unknown,
}

/// A lifecycle rule that is enabled, as far as it matters to replication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its id.
    pub id: String,
    /// It removes delete markers that have no versions, or versions that are not current.
    pub expires: bool,
    /// The classes that it moves versions into.
    pub moves_into: BTreeSet<String>,
}

/// All that blind spots show in.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The source bucket.
    pub bucket: Bucket,
    /// The state bucket's name.
    pub state_bucket: String,
    /// Its replication configuration, settled; `None` while the first one has not, or none was read.
    pub configuration: Option<Configuration>,
    /// Reading the configuration was denied: the permission that is missing.
    pub denied: Option<&'static str>,
    /// A change was made that no event told of.
    pub no_trail: bool,
    /// Whether versioning is enabled.
    pub versioned: Reading<bool>,
    /// Its lifecycle.
    pub lifecycle: Reading<Vec<LifecycleRule>>,
    /// Ids of the Intelligent-Tiering configurations that archive.
    pub tierings: Reading<Vec<String>>,
    /// Whether it encrypts with KMS by default.
    pub kms: Reading<bool>,
    /// The lifecycle of each destination that may be read, by its name.
    pub destinations: Vec<(String, Vec<LifecycleRule>)>,
}

/// Storage classes from which S3 replicates nothing (S3 User Guide: s3-batch-replication-batch).
const ARCHIVED: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What shows in the rules.
const OF_RULES: [Code; 5] =
    [Code::NoRules, Code::Metrics, Code::OwnState, Code::Archived, Code::KmsOptOut];

impl Code {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::NoRules => "no-rules",
            Self::Unversioned => "unversioned",
            Self::Metrics => "metrics",
            Self::Trail => "trail",
            Self::Lifecycle => "lifecycle",
            Self::Archived => "archived",
            Self::KmsOptOut => "kms-opt-out",
            Self::StateKms => "state-kms",
            Self::OwnState => "self",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Finding {
    fn new(code: Code, subject: &str, what: String, remedy: impl Into<String>) -> Self {
        Self { code, subject: subject.to_owned(), what, remedy: remedy.into() }
    }

    /// Code and subject: the same for the same finding.
    pub fn name(&self) -> String {
        format!("{} {}", self.code.as_str(), self.subject)
    }

    /// The first configuration of a bucket plans nothing: what was before it may be millions of objects
    /// that nobody wants copied.
    pub(crate) fn history(bucket: &Bucket) -> Self {
        let what = "objects from before its rules are not replicated by themselves".to_owned();
        let remedy = format!("to replicate them too, type: resilver backfill s3://{bucket}");
        Self::new(Code::History, bucket.as_str(), what, remedy)
    }

    fn unreadable(permission: &str) -> Self {
        let what = format!("{permission} is denied, so nobody sees what shows there");
        let remedy = "allow the backfill function's role what is denied, on the bucket";
        Self::new(Code::Unreadable, permission, what, remedy)
    }

    /// One fact for findings that call for the same.
    pub(crate) fn fact(findings: &[&Self]) -> Option<NoticeFact> {
        let (first, rest) = findings.split_first()?;
        let mut what = first.what.clone();
        if !rest.is_empty() {
            let names: Vec<&str> =
                rest.iter().take(NAMES_MAX).map(|finding| finding.subject.as_str()).collect();
            what.push_str(&format!("; the same is true of {}", names.join(", ")));
            if rest.len() > NAMES_MAX {
                what.push_str(&format!(" and {} more", rest.len() - NAMES_MAX));
            }
        }
        Some(NoticeFact::Found {
            code: first.code.as_str().to_owned(),
            subject: first.subject.clone(),
            what,
            remedy: first.remedy.clone(),
        })
    }
}

impl Sight {
    /// What there is to find, and the codes of which nothing can be said because something was not read.
    pub fn findings(&self) -> (Vec<Finding>, BTreeSet<Code>) {
        let mut found = Found::default();
        if let Some(permission) = self.denied {
            found.add(Finding::unreadable(permission));
        }
        match &self.configuration {
            Some(configuration) => self.of_rules(configuration, &mut found),
            None => found.unread.extend(OF_RULES),
        }
        if self.no_trail {
            let what = "its replication was changed, and no event told of it within an hour";
            let remedy = "create a CloudTrail trail of management events in this Region and turn its \
                          logging on; until then changes and ended jobs are only seen by schedule";
            found.add(Finding::new(Code::Trail, self.bucket.as_str(), what.to_owned(), remedy));
        }
        if let Some(false) = found.read(&self.versioned, &[Code::Unversioned]) {
            let remedy =
                "enable versioning: what is written while it is suspended is never replicated";
            let what = "its versioning is not enabled".to_owned();
            found.add(Finding::new(Code::Unversioned, self.bucket.as_str(), what, remedy));
        }
        self.of_lifecycle(&mut found);
        self.of_encryption(&mut found);
        (found.findings, found.unread)
    }

    fn of_rules(&self, configuration: &Configuration, found: &mut Found) {
        if configuration.rules.is_empty() {
            let what = "it has no replication rules, so there is nothing to heal".to_owned();
            let remedy = "put a replication configuration, or unenroll the bucket";
            found.add(Finding::new(Code::NoRules, self.bucket.as_str(), what, remedy));
        }
        for rule in configuration.enabled() {
            let id = &rule.id;
            if !rule.tells_failures() {
                let what = format!("rule {id} has no metrics, so S3 sends no event when it fails");
                let remedy = "set Destination.Metrics to Enabled on the rule; until then only the \
                              sweep finds its failures";
                found.add(Finding::new(Code::Metrics, id, what, remedy));
            }
            if rule.destination.name() == self.state_bucket {
                let what = format!("rule {id} replicates into the state bucket of Resilver");
                let remedy = "send the rule to a bucket of its own";
                found.add(Finding::new(Code::OwnState, id, what, remedy));
            }
            if let Some(class) = &rule.destination.storage_class
                && ARCHIVED.contains(&class.as_str())
            {
                let what = format!("rule {id} stores replicas as {class}");
                let remedy = "replicas in it go no further and are read back only after a restore; \
                              GLACIER_IR has neither limit";
                found.add(Finding::new(Code::Archived, id, what, remedy));
            }
        }
        let source = self.bucket.as_str();
        if source == self.state_bucket && configuration.enabled().next().is_some() {
            let what =
                "it is the state bucket of Resilver, and its rules replicate that".to_owned();
            let remedy = "unenroll it, and keep the state in a bucket without replication";
            found.add(Finding::new(Code::OwnState, source, what, remedy));
        }
    }

    fn of_lifecycle(&self, found: &mut Found) {
        let source = self.bucket.as_str();
        if let Some(rules) = found.read(&self.lifecycle, &[Code::Lifecycle, Code::Archived]) {
            expiring(source, rules, found);
            let archiving: BTreeSet<&str> = (rules.iter())
                .filter(|rule| rule.moves_into.iter().any(|it| ARCHIVED.contains(&it.as_str())))
                .map(|rule| rule.id.as_str())
                .collect();
            archives(source, "lifecycle rule", archiving, found);
        }
        for (name, rules) in &self.destinations {
            expiring(name, rules, found);
        }
        if let Some(ids) = found.read(&self.tierings, &[Code::Archived]) {
            let ids = ids.iter().map(String::as_str).collect();
            archives(source, "Intelligent-Tiering configuration", ids, found);
        }
    }

    fn of_encryption(&self, found: &mut Found) {
        let kms = found.read(&self.kms, &[Code::KmsOptOut]) == Some(&true);
        let Some(configuration) = self.configuration.as_ref().filter(|_| kms) else { return };
        for rule in configuration.enabled().filter(|rule| !rule.takes_kms()) {
            let id = &rule.id;
            let what = format!(
                "rule {id} skips objects encrypted with KMS, and the bucket encrypts so by default"
            );
            let remedy = "set SseKmsEncryptedObjects to Enabled and name a ReplicaKmsKeyID on the \
                          rule: what it skips has no status and sends no event";
            found.add(Finding::new(Code::KmsOptOut, id, what, remedy));
        }
    }
}

#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    unread: BTreeSet<Code>,
}

impl Found {
    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What was read; otherwise nothing can be said of these codes.
    fn read<'a, T>(&mut self, reading: &'a Reading<T>, codes: &[Code]) -> Option<&'a T> {
        match reading {
            Reading::Is(value) => return Some(value),
            Reading::Denied(permission) => self.add(Finding::unreadable(permission)),
            // What is not readable may be so still.
            Reading::Unknown => self.unread.extend([Code::Unreadable]),
        }
        self.unread.extend(codes);
        None
    }
}

/// S3 asks that such rules are off while a job runs (S3 User Guide: s3-batch-replication-batch).
fn expiring(bucket: &str, rules: &[LifecycleRule], found: &mut Found) {
    let ids: BTreeSet<&str> =
        rules.iter().filter(|rule| rule.expires).map(|rule| rule.id.as_str()).collect();
    if ids.is_empty() {
        return;
    }
    let verb = if ids.len() == 1 { "expires" } else { "expire" };
    let which = listed("lifecycle rule", &ids);
    let what = format!("{which} of {bucket} {verb} delete markers or noncurrent versions");
    let remedy = "turn such rules off on both sides while a job runs: a delete marker that arrives \
                  before its versions is taken for an expired one and removed";
    found.add(Finding::new(Code::Lifecycle, bucket, what, remedy));
}

fn archives(bucket: &str, sort: &str, ids: BTreeSet<&str>, found: &mut Found) {
    if ids.is_empty() {
        return;
    }
    let verb = if ids.len() == 1 { "archives" } else { "archive" };
    let what = format!("{} of {bucket} {verb} objects", listed(sort, &ids));
    let remedy = "archived versions are not replicated: restore one and copy it in place before it is \
                  healed, or move only what is replicated, or into GLACIER_IR";
    found.add(Finding::new(Code::Archived, &format!("{sort}s of {bucket}"), what, remedy));
}

fn listed(sort: &str, ids: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = ids.iter().copied().take(NAMES_MAX).collect();
    let more = ids.len().saturating_sub(NAMES_MAX);
    match (ids.len(), more) {
        (1, _) => format!("{sort} {}", names.join("")),
        (_, 0) => format!("{sort}s {}", names.join(", ")),
        _ => format!("{sort}s {} and {more} more", names.join(", ")),
    }
}

/// What there is to find in the state bucket. That it encrypts with KMS by default stops nothing by
/// itself, since everything of ours is written with SSE-S3 by name: only what others put there.
pub fn of_state(state_bucket: &str, kms: &Reading<bool>) -> (Vec<Finding>, BTreeSet<Code>) {
    let mut found = Found::default();
    if found.read(kms, &[Code::StateKms]) == Some(&true) {
        let what = "it encrypts with a KMS key by default, and S3 Batch Operations reads no CSV \
                    manifest that is encrypted so"
            .to_owned();
        let remedy = "leave it if only Resilver writes there, which asks for SSE-S3 by name, and let \
                      no bucket policy deny that; write a manifest of your own with SSE-S3";
        found.add(Finding::new(Code::StateKms, state_bucket, what, remedy));
    }
    (found.findings, found.unread)
}

/// The bucket names of the destinations of a configuration whose lifecycle we may try to read: those
/// that are not said to be another account's.
pub fn destinations_of<'a>(configuration: &'a Configuration, account: &str) -> BTreeSet<&'a str> {
    let ours = configuration
        .enabled()
        .filter(|rule| rule.destination.account.as_deref().is_none_or(|owner| owner == account));
    ours.map(|rule| name_of(&rule.destination.bucket)).collect()
}

#[cfg(test)]
mod tests;
