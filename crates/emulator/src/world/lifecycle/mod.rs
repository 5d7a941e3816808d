//! Lifecycle rules: what S3 expires, moves and cleans up by itself, each midnight (S3 User Guide: managing
//! the lifecycle of objects).
//!
//! A version whose replication is PENDING or FAILED is left alone until that is resolved (S3 User Guide:
//! S3 Lifecycle and other bucket configurations), and nothing done here is ever replicated. The runs are
//! not on the agenda: a world in which nothing else is to happen is at rest.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::bucket::{Bucket, Versioning};
use super::object::{ReplicationStatus, Tags, Version};
use super::ops::{delete, lock};
use super::{Answer, Millis, Refusal, World, notification};

const DAY: Millis = 86_400_000;
/// The most rules of a bucket (S3 API Reference: PutBucketLifecycleConfiguration).
const RULES_MAX: usize = 1_000;
/// The most noncurrent versions that a rule keeps (S3 User Guide: lifecycle configuration elements).
const KEEP_MAX: i32 = 100;
/// Smaller objects stay where they are, unless a rule speaks of sizes (S3 User Guide: transitioning
/// objects).
const TRANSITION_MIN: u64 = 128 * 1024;

/// When something is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many days after it was made, or became noncurrent.
    Days(i32),
    /// From this moment on.
    Date(Millis),
}

/// What happens to current versions at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiration {
    /// They expire; delete markers with nothing left beneath go too.
    When(When),
    /// Only delete markers with nothing left beneath go.
    ExpiredMarkers(bool),
}

/// Which objects a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The prefix stood in the rule itself, as in older configurations.
    pub is_v1: bool,
    /// The beginning of the key.
    pub prefix: Option<String>,
    /// Tags, all of which must be there.
    pub tags: Vec<(String, String)>,
    /// More bytes than this.
    pub larger_than: Option<u64>,
    /// Fewer bytes than this.
    pub smaller_than: Option<u64>,
}

/// Noncurrent versions: how many days after they were superseded, keeping how many of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noncurrent {
    /// Days since they were superseded.
    pub days: i32,
    /// So many of the newest are kept.
    pub keep: Option<i32>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// `Status`.
    pub enabled: bool,
    /// Which objects.
    pub filter: Filter,
    /// Current versions.
    pub expiration: Option<Expiration>,
    /// Noncurrent versions.
    pub noncurrent: Option<Noncurrent>,
    /// Current versions change their class.
    pub transitions: Vec<(When, String)>,
    /// Noncurrent versions change their class.
    pub noncurrent_transitions: Vec<(Noncurrent, String)>,
    /// Multipart uploads are aborted so many days after they began.
    pub abort_days: Option<i32>,
}

/// Whether a bucket may have these rules.
///
/// # Errors
/// 400 `MalformedXML`, `InvalidArgument`.
pub fn validate(rules: &[Rule]) -> Answer<()> {
    let refuse = |code: &str, message: &str| Err(Refusal::new(400, code, message));
    if rules.is_empty() || rules.len() > RULES_MAX {
        return refuse("MalformedXML", "A lifecycle configuration has 1 to 1000 rules");
    }
    for (at, rule) in rules.iter().enumerate() {
        if rule.id.chars().count() > 255 {
            return refuse("InvalidArgument", "ID length should not exceed allowed limit of 255");
        }
        if rules.iter().take(at).any(|other| other.id == rule.id) {
            return refuse("InvalidArgument", "Rule ID must be unique");
        }
        let acts = rule.expiration.is_some()
            || rule.noncurrent.is_some()
            || !rule.transitions.is_empty()
            || !rule.noncurrent_transitions.is_empty()
            || rule.abort_days.is_some();
        if !acts {
            return refuse("InvalidRequest", "At least one action needs to be specified in a rule");
        }
        let dates = rule.transitions.iter().map(|(when, _)| when);
        let end = match &rule.expiration {
            Some(Expiration::When(when)) => Some(when),
            _ => None,
        };
        let odd = |when: &When| matches!(when, When::Date(date) if date % DAY != 0);
        if dates.chain(end).any(odd) {
            return refuse("InvalidArgument", "'Date' must be at midnight GMT");
        }
        let classes = rule.transitions.iter().map(|(_, class)| class);
        let classes = classes.chain(rule.noncurrent_transitions.iter().map(|(_, class)| class));
        if classes.into_iter().any(|class| depth(class) == 0) {
            return refuse("MalformedXML", "StorageClass is none that objects can be moved to");
        }
        let early = |(when, _): &(When, String)| matches!(when, When::Days(days) if *days < 0);
        let kept = rule.noncurrent_transitions.iter().map(|(it, _)| it).chain(&rule.noncurrent);
        if rule.transitions.iter().any(early)
            || kept.into_iter().any(|it| it.days < 0 || it.keep.is_some_and(|keep| keep < 1))
        {
            return refuse("InvalidArgument", "Days and numbers of versions must be positive");
        }
        if let Some(Expiration::When(When::Days(end))) = &rule.expiration {
            let after =
                |(when, _): &(When, String)| matches!(when, When::Days(days) if days >= end);
            if rule.transitions.iter().any(after) {
                let message = "'Days' in the Expiration action must be greater than 'Days' in the Transition action";
                return refuse("InvalidArgument", message);
            }
        }
        check_combination(rule)?;
        let late = |when: &When| matches!(when, When::Days(days) if *days < 1);
        let expires = matches!(&rule.expiration, Some(Expiration::When(when)) if late(when));
        let early = rule.noncurrent.is_some_and(|it| it.days < 1);
        if expires || early || rule.abort_days.is_some_and(|days| days < 1) {
            return refuse("InvalidArgument", "Days must be a positive integer");
        }
    }
    Ok(())
}

/// What S3 does not let stand together in one rule; where the sentence is S3's own, it has been seen.
fn check_combination(rule: &Rule) -> Answer<()> {
    let request = |message: &str| Err(Refusal::new(400, "InvalidRequest", message));
    let argument = |message: String| Err(Refusal::new(400, "InvalidArgument", message));
    let filter = &rule.filter;
    let sized = filter.larger_than.is_some() || filter.smaller_than.is_some();
    if rule.abort_days.is_some() && !filter.tags.is_empty() {
        return request("AbortIncompleteMultipartUpload cannot be specified with Tags.");
    }
    if rule.abort_days.is_some() && sized {
        return request("AbortIncompleteMultipartUpload cannot be specified with Object Size.");
    }
    let markers = matches!(rule.expiration, Some(Expiration::ExpiredMarkers(_)));
    if markers && !filter.tags.is_empty() {
        return request("ExpiredObjectDeleteMarker cannot be specified with Tags.");
    }
    let current = rule.transitions.iter().filter_map(|(when, class)| match when {
        When::Days(days) => Some((*days, class, "Days", "Transition")),
        When::Date(_) => None,
    });
    let older = rule.noncurrent_transitions.iter();
    let older =
        older.map(|(it, class)| (it.days, class, "NoncurrentDays", "NoncurrentVersionTransition"));
    let infrequent = |class: &str| matches!(class, "STANDARD_IA" | "ONEZONE_IA");
    let early = current.chain(older).find(|(days, class, ..)| *days < 30 && infrequent(class));
    if let Some((_, class, days, action)) = early {
        return argument(format!(
            "'{days}' in {action} action must be greater than or equal to 30 for storageClass '{class}'"
        ));
    }
    if let Some(end) = rule.noncurrent
        && rule.noncurrent_transitions.iter().any(|(it, _)| it.days >= end.days)
    {
        let message = "'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than 'NoncurrentDays' in the NoncurrentVersionTransition action";
        return argument(message.to_owned());
    }
    let is_repeated = |classes: &[&String]| {
        let distinct: std::collections::BTreeSet<_> = classes.iter().collect();
        distinct.len() < classes.len()
    };
    let current: Vec<_> = rule.transitions.iter().map(|(_, class)| class).collect();
    let older: Vec<_> = rule.noncurrent_transitions.iter().map(|(_, class)| class).collect();
    if is_repeated(&current) || is_repeated(&older) {
        return request("A rule moves objects into a storage class once at most");
    }
    let dated = |when: &When| matches!(when, When::Date(_));
    let mut moments = rule.transitions.iter().map(|(when, _)| when);
    if moments.clone().any(dated) && !moments.all(dated) {
        return request("Days and Date cannot be mixed in the transitions of a rule");
    }
    let kept = rule.noncurrent_transitions.iter().map(|(it, _)| it).chain(&rule.noncurrent);
    if kept.into_iter().any(|it| it.keep.is_some_and(|keep| keep > KEEP_MAX)) {
        return argument(format!("'NewerNoncurrentVersions' must not be greater than {KEEP_MAX}"));
    }
    Ok(())
}

/// When, and by the rule of which id, a current version will expire first: `x-amz-expiration` (S3 API Reference:
/// GetObject).
pub fn expiration_of<'a>(
    rules: &'a [Rule],
    key: &str,
    version: &Version,
) -> Option<(Millis, &'a str)> {
    let of = |rule: &'a Rule| {
        let fits = rule.enabled
            && key.starts_with(rule.filter.prefix.as_deref().unwrap_or_default())
            && rule.filter.fits(version);
        match &rule.expiration {
            Some(Expiration::When(When::Days(days))) if fits => {
                Some((midnight_after(version.modified, *days), rule.id.as_str()))
            }
            Some(Expiration::When(When::Date(date))) if fits => Some((*date, rule.id.as_str())),
            _ => None,
        }
    };
    rules.iter().filter(|_| !version.is_delete_marker()).filter_map(of).min()
}

/// When the rules run next; `None` while no bucket has any.
pub(super) fn next_run(world: &World) -> Option<Millis> {
    let any = world.buckets.values().any(|bucket| !bucket.lifecycle.is_empty());
    any.then(|| (world.now() / DAY + 1) * DAY)
}

/// One run over all buckets. Returns the next midnight at which a run will find something to do, if nothing
/// changes until then but the time.
pub(super) fn run(world: &mut World) -> Millis {
    let mut next = Millis::MAX;
    let with_rules = world.buckets.iter().filter(|(_, bucket)| !bucket.lifecycle.is_empty());
    let names: Vec<String> = with_rules.map(|(name, _)| name.clone()).collect();
    for name in names {
        let rules: Vec<Rule> = world.buckets.get(&name).map_or_else(Vec::new, |bucket| {
            bucket.lifecycle.iter().filter(|rule| rule.enabled).cloned().collect()
        });
        for rule in &rules {
            next = next.min(apply(world, &name, rule));
        }
    }
    next
}

/// One thing that a rule does to one version.
enum Act {
    /// A delete marker on top, or the end where there are no versions.
    Expire { key: String },
    /// The version goes for good.
    Remove { key: String, id: Arc<str> },
    /// The version changes its class.
    Move { key: String, id: Arc<str>, class: String },
}

fn apply(world: &mut World, name: &str, rule: &Rule) -> Millis {
    let mut clock = Clock { now: world.now(), next: Millis::MAX };
    let Some(bucket) = world.buckets.get_mut(name) else {
        return clock.next;
    };
    let prefix = rule.filter.prefix.as_deref().unwrap_or_default();
    if let Some(days) = rule.abort_days {
        bucket.uploads.retain(|_, upload| {
            !upload.key.starts_with(prefix) || !clock.is_due(midnight_after(upload.initiated, days))
        });
    }
    let mut acts = Vec::new();
    for (key, versions) in bucket.keys.range(prefix.to_owned()..) {
        if !key.starts_with(prefix) {
            break;
        }
        plan((rule, bucket.lifecycle_varies), key, versions, &mut clock, &mut acts);
    }
    // What is done now may be followed by more at the next midnight.
    let next = if acts.is_empty() { clock.next } else { clock.now };
    for act in acts {
        perform(world, name, act);
    }
    next
}

/// What is due, and when the first thing will be that is not.
struct Clock {
    now: Millis,
    next: Millis,
}

impl Clock {
    fn is_due(&mut self, at: Millis) -> bool {
        if at > self.now {
            self.next = self.next.min(at);
        }
        at <= self.now
    }
}

fn plan(
    (rule, varies): (&Rule, bool),
    key: &str,
    versions: &[Version],
    clock: &mut Clock,
    acts: &mut Vec<Act>,
) {
    let Some((current, older)) = versions.split_first() else {
        return;
    };
    let at = |when: &When, since: Millis| match when {
        When::Days(days) => midnight_after(since, *days),
        When::Date(date) => *date,
    };
    if current.is_delete_marker() {
        let filter = &rule.filter;
        let any = filter.tags.is_empty() && filter.larger_than.is_none();
        let lone = older.is_empty() && any && !is_held(current);
        let goes = match &rule.expiration {
            Some(Expiration::ExpiredMarkers(on)) => *on,
            Some(Expiration::When(when)) => lone && clock.is_due(at(when, current.modified)),
            None => false,
        };
        if lone && goes {
            acts.push(Act::Remove { key: key.to_owned(), id: Arc::clone(&current.id) });
        }
    } else if rule.filter.fits(current) && !is_held(current) {
        let expires = match &rule.expiration {
            Some(Expiration::When(when)) => clock.is_due(at(when, current.modified)),
            _ => false,
        };
        if expires {
            acts.push(Act::Expire { key: key.to_owned() });
        } else {
            let due = |(when, _): &&(When, String)| clock.is_due(at(when, current.modified));
            let due = rule.transitions.iter().filter(due).map(|(_, class)| class);
            push_move((rule, varies), key, current, due, acts);
        }
    }
    let mut superseded = current.modified;
    for (newer, version) in older.iter().enumerate() {
        let applies = |it: &Noncurrent, clock: &mut Clock| {
            it.keep.is_none_or(|keep| newer >= usize::try_from(keep).unwrap_or(0))
                && clock.is_due(midnight_after(superseded, it.days))
        };
        if rule.filter.fits(version) && !is_held(version) {
            let goes = rule.noncurrent.as_ref().is_some_and(|it| applies(it, clock));
            if goes && lock::deletable(version, clock.now, false).is_err() {
                // What is locked stays, for a rule too, until the lock is over.
                let until = version.extra.as_ref().and_then(|extra| extra.retention);
                clock.is_due(until.map_or(Millis::MAX, |it| it.until.div_ceil(DAY) * DAY));
            } else if goes {
                acts.push(Act::Remove { key: key.to_owned(), id: Arc::clone(&version.id) });
            } else {
                let due = |(it, _): &&(Noncurrent, String)| applies(it, clock);
                let due = rule.noncurrent_transitions.iter().filter(due).map(|(_, class)| class);
                push_move((rule, varies), key, version, due, acts);
            }
        }
        superseded = version.modified;
    }
}

/// Moves a version to the deepest of the classes that are due, if that is deeper than its own.
fn push_move<'a>(
    (rule, varies): (&Rule, bool),
    key: &str,
    version: &Version,
    due: impl Iterator<Item = &'a String>,
    acts: &mut Vec<Act>,
) {
    // The whole iterator: what is not due yet says when it will be.
    let deepest = due.max_by_key(|class| depth(class));
    let Some(class) = deepest.filter(|class| depth(class) > depth(&version.storage_class)) else {
        return;
    };
    let is_archive = matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE");
    let sized = rule.filter.larger_than.is_some()
        || rule.filter.smaller_than.is_some()
        || (varies && is_archive)
        || version.size() >= TRANSITION_MIN;
    if sized && !version.is_delete_marker() {
        let id = Arc::clone(&version.id);
        acts.push(Act::Move { key: key.to_owned(), id, class: class.clone() });
    }
}

/// How deep a class lies: transitions go down and never up (S3 User Guide: transitioning objects).
fn depth(class: &str) -> usize {
    const CLASSES: [&str; 7] = [
        "STANDARD",
        "STANDARD_IA",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
        "GLACIER_IR",
        "GLACIER",
        "DEEP_ARCHIVE",
    ];
    CLASSES.iter().position(|it| *it == class).unwrap_or_default()
}

fn perform(world: &mut World, name: &str, act: Act) {
    match act {
        Act::Expire { key } => {
            let Some(versioning) = world.buckets.get(name).map(|bucket| bucket.versioning) else {
                return;
            };
            if versioning == Versioning::Unversioned {
                delete::forget(world, name, &key, "null", "LifecycleExpiration:Delete");
            } else if let Ok(id) = delete::mark(world, name, &key) {
                let versions = world.buckets.get_mut(name).and_then(|it| it.keys.get_mut(&key));
                let made = versions.and_then(|list| list.iter_mut().find(|it| *it.id == *id));
                if let Some(marker) = made {
                    marker.extra().by_lifecycle = true;
                }
                let event = "LifecycleExpiration:DeleteMarkerCreated";
                notification::on_object(world, name, &key, &id, event);
            }
        }
        Act::Remove { key, id } => {
            delete::forget(world, name, &key, &id, "LifecycleExpiration:Delete");
        }
        Act::Move { key, id, class } => {
            let versions = world.buckets.get_mut(name).and_then(|it| it.keys.get_mut(&key));
            let version = versions.and_then(|list| list.iter_mut().find(|it| it.id == id));
            if let Some(version) = version {
                version.storage_class = class.as_str().into();
                notification::on_object(world, name, &key, &id, "LifecycleTransition");
            }
        }
    }
}

impl Filter {
    fn fits(&self, version: &Version) -> bool {
        let has = |(key, value): &(String, String)| tag(&version.tags, key) == Some(value);
        self.tags.iter().all(has)
            && self.larger_than.is_none_or(|bytes| version.size() > bytes)
            && self.smaller_than.is_none_or(|bytes| version.size() < bytes)
    }
}

fn tag<'a>(tags: &'a Tags, key: &str) -> Option<&'a String> {
    tags.get(key)
}

/// Whether replication still has to come to an end.
fn is_held(version: &Version) -> bool {
    matches!(version.replication, Some(ReplicationStatus::Pending | ReplicationStatus::Failed))
}

/// The midnight after so many days.
fn midnight_after(since: Millis, days: i32) -> Millis {
    let days = Millis::try_from(days).unwrap_or_default();
    (since + days * DAY).div_ceil(DAY) * DAY
}

/// The rules of a bucket, or 404 `NoSuchLifecycleConfiguration`.
///
/// # Errors
/// That.
pub fn of(bucket: &Bucket) -> Answer<&[Rule]> {
    if bucket.lifecycle.is_empty() {
        let message = "The lifecycle configuration does not exist";
        return Err(Refusal::new(404, "NoSuchLifecycleConfiguration", message));
    }
    Ok(&bucket.lifecycle)
}
