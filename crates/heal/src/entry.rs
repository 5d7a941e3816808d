//! One row of the ledger: an object version that failed, where it stands, and what it is blamed on.
//! An entry only holds facts and writes itself as a line; [`crate::transition`] moves it.

use serde::{Deserialize, Serialize};

use crate::key::Bucket;
use crate::limits::BLAMES_MAX;
use crate::plan::PlanId;
use crate::reason::{Class, Reason};
use crate::run::{Corrupt, Fields, ObjectVersion, Row};
use crate::time::Timestamp;

/// One thing that a version's failure was put down to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blame {
    /// S3's reason.
    pub reason: Reason,
    /// The destination that was not reached; completion reports do not say.
    pub destination: Option<Bucket>,
    /// When it failed so, the latest time.
    pub at: Timestamp,
}

/// What many versions fail of together, and a person has to repair: a reason at a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// S3's reason.
    pub reason: Reason,
    /// The destination, where it is known.
    pub destination: Option<Bucket>,
}

/// How a version left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its replication status was read and says so.
    Healed,
    /// Its job said *succeeded*; its own status was not read, or stayed PENDING.
    Unproved,
    /// The version no longer exists.
    Gone,
}

/// Where an object version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It goes into the next job after this time.
    Waiting {
        /// Not before.
        not_before: Timestamp,
    },
    /// It is in the manifest of this plan's job.
    InFlight {
        /// The plan.
        plan: PlanId,
        /// Since when: failures after this are echoes of the attempt.
        since: Timestamp,
        /// It is there to try a held cause.
        canary: bool,
    },
    /// Its replication status decides, and has to be read.
    Confirming {
        /// The plan whose job says that it succeeded, if that is why.
        plan: Option<PlanId>,
        /// When to look.
        look_at: Timestamp,
        /// How often it was looked at.
        looks: u32,
    },
    /// An open circuit keeps it back.
    Held,
    /// No retry helps; a person decides.
    Quarantined {
        /// Since when.
        since: Timestamp,
    },
    /// It left; kept as a tombstone so that a late event is recognised.
    Left {
        /// How.
        outcome: Outcome,
        /// Failures up to then are old news.
        at: Timestamp,
    },
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which version.
    pub id: ObjectVersion,
    /// Where it stands.
    pub state: State,
    /// Job verdicts over its whole life, but for canaries that failed with their own cause.
    pub attempts: u32,
    /// Its first failure since it came; of one that left and is back, since then.
    pub first_seen: Timestamp,
    /// The latest failure.
    pub last_failure: Timestamp,
    /// When its last job ended; failures up to then are part of that attempt.
    pub judged: Timestamp,
    /// What it is blamed on, as of the latest attempt.
    pub blames: Vec<Blame>,
}

impl Row for Entry {
    fn id(&self) -> &ObjectVersion {
        &self.id
    }
}

impl Entry {
    /// A version that nobody knew before, blamed on nothing yet.
    pub fn new(id: ObjectVersion, at: Timestamp) -> Self {
        Self {
            id,
            state: State::Waiting { not_before: at },
            attempts: 0,
            first_seen: at,
            last_failure: at,
            judged: Timestamp::default(),
            blames: Vec::new(),
        }
    }

    /// Adds a blame, or moves one that is there to a later time. Says whether that was news.
    pub fn blame(&mut self, blame: &Blame) -> bool {
        let same = |b: &&mut Blame| b.reason == blame.reason && b.destination == blame.destination;
        if let Some(known) = self.blames.iter_mut().find(same) {
            let news = blame.at > known.at;
            known.at = known.at.max(blame.at);
            return news;
        }
        if self.blames.len() < BLAMES_MAX {
            self.blames.push(blame.clone());
            self.blames.sort();
        }
        true
    }

    /// The causes that a person has to repair before it can heal. A reason that usually passes is one
    /// of them once its row is held for it, or goes up as a canary.
    pub fn causes(&self) -> Vec<Cause> {
        let held = matches!(
            self.state,
            State::Held | State::InFlight { canary: true, .. } | State::Confirming { .. }
        );
        let blames = self.blames.iter().filter(|blame| match blame.reason.class() {
            Class::Fix => true,
            Class::Race => held,
            _ => false,
        });
        let mut causes: Vec<Cause> = blames
            .map(|b| Cause { reason: b.reason.clone(), destination: b.destination.clone() })
            .collect();
        causes.sort();
        causes.dedup();
        causes
    }

    /// Whether it is still to be healed. A quarantined version is not: no retry helps, a person was told and
    /// may leave it there.
    pub fn is_unhealed(&self) -> bool {
        !matches!(self.state, State::Quarantined { .. } | State::Left { .. })
    }

    /// The entry as a line, line end included.
    pub fn line(&self) -> String {
        let (state, at, more) = self.state_fields();
        let blames: Vec<String> = self.blames.iter().map(Blame::text).collect();
        format!(
            "{},{},{state},{at},{more},{},{},{},{},{}\n",
            self.id.key.to_manifest(),
            self.id.version,
            self.attempts,
            self.first_seen.0,
            self.last_failure.0,
            self.judged.0,
            blames.join(" "),
        )
    }

    fn state_fields(&self) -> (&'static str, u64, String) {
        match &self.state {
            State::Waiting { not_before } => ("waiting", not_before.0, String::new()),
            State::InFlight { plan, since, canary: false } => {
                ("in-flight", since.0, plan.to_string())
            }
            State::InFlight { plan, since, canary: true } => ("canary", since.0, plan.to_string()),
            State::Confirming { plan, look_at, looks } => {
                let plan = plan.as_ref().map_or("", PlanId::as_str);
                ("confirming", look_at.0, format!("{looks}:{plan}"))
            }
            State::Held => ("held", 0, String::new()),
            State::Quarantined { since } => ("quarantined", since.0, String::new()),
            State::Left { outcome, at } => (outcome.as_str(), at.0, String::new()),
        }
    }

    /// Reads a line back.
    pub fn decode(line: &str) -> Result<Self, Corrupt> {
        let mut fields = Fields::of(line);
        let id = fields.id()?;
        let state = decode_state(&mut fields)?;
        let attempts = fields.parse("not a count of attempts")?;
        let first_seen = Timestamp(fields.parse("not a time")?);
        let last_failure = Timestamp(fields.parse("not a time")?);
        let judged = Timestamp(fields.parse("not a time")?);
        let blames = fields.text()?.split(' ').filter(|text| !text.is_empty());
        let blames = blames.map(Blame::read).collect::<Option<Vec<_>>>();
        let blames = blames.ok_or_else(|| fields.complain("not a list of blames"))?;
        Ok(Self { id, state, attempts, first_seen, last_failure, judged, blames })
    }
}

fn decode_state(fields: &mut Fields<'_>) -> Result<State, Corrupt> {
    let name = fields.text()?;
    let at = Timestamp(fields.parse("not a time")?);
    let more = fields.text()?;
    let plan =
        |text: &str| PlanId::try_from(text.to_owned()).map_err(|_| fields.complain("not a plan"));
    Ok(match name {
        "waiting" => State::Waiting { not_before: at },
        "in-flight" | "canary" => {
            State::InFlight { plan: plan(more)?, since: at, canary: name == "canary" }
        }
        "confirming" => {
            let (looks, of) =
                more.split_once(':').ok_or_else(|| fields.complain("not looks and a plan"))?;
            let looks = looks.parse().map_err(|_| fields.complain("not a count of looks"))?;
            let plan = if of.is_empty() { None } else { Some(plan(of)?) };
            State::Confirming { plan, look_at: at, looks }
        }
        "held" => State::Held,
        "quarantined" => State::Quarantined { since: at },
        "healed" => State::Left { outcome: Outcome::Healed, at },
        "unproved" => State::Left { outcome: Outcome::Unproved, at },
        "gone" => State::Left { outcome: Outcome::Gone, at },
        _ => return Err(fields.complain("a state that this release does not know")),
    })
}

impl Outcome {
    /// Its word in a run.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Unproved => "unproved",
            Self::Gone => "gone",
        }
    }
}

impl Blame {
    /// Earlier first; of the same time, in any fixed order.
    pub fn cmp_by_time(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at).then_with(|| self.cmp(other))
    }

    fn text(&self) -> String {
        let destination = self.destination.as_ref().map_or("", Bucket::as_str);
        format!("{}@{destination}@{}", escape(self.reason.as_str()), self.at.0)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('@');
        let reason = Reason::parse(&unescape(parts.next()?));
        let destination =
            optional(parts.next()?, |text| Bucket::try_from(text.to_owned()).ok()).ok()?;
        let at = Timestamp(parts.next()?.parse().ok()?);
        Some(Self { reason, destination, at })
    }
}

/// Reads a field that may be empty.
pub(crate) fn optional<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).ok_or(()) }
}

const SEPARATORS: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b'%').add(b',').add(b' ').add(b'@').add(b'"');

/// Foreign text as one field: without the characters that part fields.
pub(crate) fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, SEPARATORS).to_string()
}

/// The text that [`escape`] was given.
pub(crate) fn unescape(field: &str) -> String {
    percent_encoding::percent_decode_str(field).decode_utf8_lossy().into_owned()
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.destination {
            Some(destination) => write!(f, "{} at {destination}", self.reason.as_str()),
            None => write!(f, "{}", self.reason.as_str()),
        }
    }
}
