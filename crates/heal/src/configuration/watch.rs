//! `configs/<bucket>.json`: when to believe what was read, and what follows from it.
//!
//! S3 answers with an old configuration for a while (S3 User Guide: Welcome, on consistency), and an
//! event only makes us look. So a configuration that differs becomes the *candidate*; it is acted on
//! once it was read again, unchanged, [`CONFIG_SETTLES_MS`] later. One that changes meanwhile starts
//! over, and what it passed through is kept: a rule that was off for three minutes has left a gap, and
//! S3 does not catch up (S3 User Guide: disable-replication).
//!
//! Versions made up to [`CONFIG_SETTLES_MS`] after the change was first seen are asked for; S3 may not
//! have known the new rules either. Those that it did replicate are not listed again as NONE or FAILED.
//!
//! The document is the commit point. What a decision calls for is *owed* in it, is written afterwards,
//! and is crossed off last: whoever loses the swap has written nothing, and whoever is cut short is
//! followed by somebody who writes the same.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Configuration;
use super::cover::{Cover, remember};
use super::diff::{Change, changes};
use super::jobs::{Asked, cheapest};
use crate::backfill::{Backfill, Scope};
use crate::finding::{Code, Finding};
use crate::key::Bucket;
use crate::limits::{
    CONFIG_SETTLES_MS, CONFIGS_PASSED_MAX, FINDING_GONE_MS, FINDINGS_EVERY_MS, Limits,
    TRAIL_HEARD_MS,
};
use crate::notice::{Notice, NoticeFact};
use crate::time::Timestamp;

/// The document's format number.
pub const CONFIG_FORMAT: u32 = 1;

/// What is known of a bucket's replication configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// [`CONFIG_FORMAT`].
    pub format: u32,
    /// The source bucket.
    pub bucket: Bucket,
    /// The configuration that was last acted on; `None` until the first one has settled.
    pub acted: Option<Configuration>,
    /// One that was read since and has to be read again.
    pub candidate: Option<Candidate>,
    /// Candidates that did not stay, oldest first.
    pub passed: Vec<Configuration>,
    /// What former configurations covered and this one does not.
    pub past: Vec<Cover>,
    /// What is known of the account's trail.
    pub trail: Trail,
    /// When blind spots were last looked for.
    pub looked: Option<Timestamp>,
    /// Findings that were told, by code and subject.
    pub told: BTreeMap<String, Told>,
    /// What is decided and not yet written.
    pub owed: Owed,
}

/// A configuration that may only be passing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What was read.
    pub configuration: Configuration,
    /// When it was first read.
    pub since: Timestamp,
}

/// Whether events of CloudTrail reach us: only where the account has a trail (EventBridge User Guide:
/// eb-service-event-cloudtrail), and its absence is silence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// When an event last told of this bucket.
    pub heard: Option<Timestamp>,
    /// Since when there is a change that no event has told of.
    pub unheard: Option<Timestamp>,
}

/// A finding that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// Since when it is gone, if it is.
    pub gone: Option<Timestamp>,
}

/// What is decided and not yet written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Backfills to ask for.
    pub backfills: Vec<Backfill>,
    /// Notices to tell.
    pub notices: Vec<Notice>,
}

impl Owed {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.backfills.is_empty() && self.notices.is_empty()
    }
}

impl Config {
    /// Of a bucket that nobody has looked at.
    pub fn new(bucket: &Bucket) -> Self {
        Self {
            format: CONFIG_FORMAT,
            bucket: bucket.clone(),
            acted: None,
            candidate: None,
            passed: Vec::new(),
            past: Vec::new(),
            trail: Trail::default(),
            looked: None,
            told: BTreeMap::new(),
            owed: Owed::default(),
        }
    }

    /// Whether something replicates: the configuration that was last acted on has an enabled rule.
    pub fn replicates(&self) -> bool {
        self.acted.as_ref().is_some_and(|acted| acted.enabled().next().is_some())
    }

    /// An event told of the bucket: there is a trail.
    pub fn heard(&mut self, now: Timestamp) {
        self.trail = Trail { heard: self.trail.heard.max(Some(now)), unheard: None };
    }

    /// This was read. Says whether it was acted on: only then may something be newly owed.
    pub fn saw(&mut self, read: Configuration, now: Timestamp, limits: &Limits) -> bool {
        match self.candidate.take() {
            Some(candidate) if candidate.configuration == read => {
                if now.since(candidate.since) >= CONFIG_SETTLES_MS {
                    self.act(candidate, limits);
                    return true;
                }
                self.candidate = Some(candidate);
            }
            Some(candidate) => {
                self.passed.retain(|passed| *passed != candidate.configuration);
                self.passed.push(candidate.configuration);
                let more = self.passed.len().saturating_sub(CONFIGS_PASSED_MAX);
                self.passed.drain(..more);
                self.candidate = Some(Candidate { configuration: read, since: now });
            }
            None if self.acted.as_ref() == Some(&read) => {}
            None => {
                let told = self.trail.heard.is_some_and(|at| now.since(at) < TRAIL_HEARD_MS);
                if self.acted.is_some() && !told {
                    self.trail.unheard.get_or_insert(now);
                }
                self.candidate = Some(Candidate { configuration: read, since: now });
            }
        }
        false
    }

    /// The candidate has settled.
    fn act(&mut self, candidate: Candidate, limits: &Limits) {
        let Candidate { configuration, since } = candidate;
        let passed = std::mem::take(&mut self.passed);
        let before = self.acted.take();
        let first = before.is_none();
        let passed: Vec<Configuration> = before.into_iter().chain(passed).collect();
        let mut known = std::mem::take(&mut self.past);
        known.extend(passed.iter().flat_map(Configuration::covers));
        known.sort();
        known.dedup();
        if first {
            if configuration.enabled().next().is_some() {
                self.tell(&[&Finding::history(&self.bucket)], since);
            }
        } else {
            self.plan(&passed, &known, &configuration, since, limits);
        }
        self.past = remember(known, &configuration.covers());
        self.acted = Some(configuration);
    }

    /// Asks for what is newly wanted since any of the configurations before.
    fn plan(
        &mut self,
        before: &[Configuration],
        known: &[Cover],
        now: &Configuration,
        since: Timestamp,
        limits: &Limits,
    ) {
        let asked = |Change { said: why, wanted }| wanted.map(|wanted| Asked { wanted, why });
        let others = before.iter().filter(|before| *before != now);
        let all = others.flat_map(|before| changes(before, now, known));
        let jobs = cheapest(all.filter_map(asked).collect(), now, limits.bucket_objects);
        for Asked { wanted, why } in jobs {
            let scope = Scope {
                statuses: wanted.statuses,
                prefix: Some(wanted.prefix).filter(|prefix| !prefix.is_empty()),
                created_before: Some(since.plus_ms(CONFIG_SETTLES_MS)),
            };
            let backfill = Backfill::new(&self.bucket, since, scope, why.clone());
            let fact = NoticeFact::BackfillPlanned { backfill: backfill.id.clone(), why };
            self.owed.notices.push(Notice::new(&self.bucket, since, since, fact));
            self.owed.backfills.push(backfill);
        }
    }

    /// Whether it is time to look for blind spots.
    pub fn looks(&self, now: Timestamp, changed: bool) -> bool {
        changed || self.looked.is_none_or(|at| now.since(at) >= FINDINGS_EVERY_MS)
    }

    /// Whether a change was made so long ago, and no event told of it, that there is no trail.
    pub fn has_no_trail(&self, now: Timestamp) -> bool {
        self.trail.unheard.is_some_and(|at| now.since(at) >= TRAIL_HEARD_MS)
    }

    /// These blind spots were found, and those of the codes `unread` could not be looked for. Each is
    /// told once, and again only after it was gone for [`FINDING_GONE_MS`].
    pub fn found(&mut self, findings: &[Finding], unread: &BTreeSet<Code>, now: Timestamp) {
        self.looked = Some(now);
        let there: BTreeSet<String> = findings.iter().map(Finding::name).collect();
        let unread: BTreeSet<&str> = unread.iter().map(|code| code.as_str()).collect();
        self.told.retain(|name, told| {
            let code = name.split(' ').next().unwrap_or_default();
            if there.contains(name) {
                told.gone = told.gone.filter(|gone| now.since(*gone) >= FINDING_GONE_MS);
                return told.gone.is_none();
            }
            if unread.contains(code) {
                return true;
            }
            let gone = *told.gone.get_or_insert(now);
            now.since(gone) < FINDING_GONE_MS
        });
        // What calls for the same is one notice.
        let mut news: BTreeMap<(Code, &str), Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            if let Entry::Vacant(untold) = self.told.entry(finding.name()) {
                untold.insert(Told { at: now, gone: None });
                news.entry((finding.code, &finding.remedy)).or_default().push(finding);
            }
        }
        for findings in news.values() {
            self.tell(findings, now);
        }
    }

    /// One notice of findings that call for the same.
    fn tell(&mut self, findings: &[&Finding], now: Timestamp) {
        if let Some(fact) = Finding::fact(findings) {
            self.owed.notices.push(Notice::new(&self.bucket, now, now, fact));
        }
    }
}
