//! What `demo --json` prints. The same seed and arguments give the same document, but for `wall_ms`.

use std::collections::BTreeMap;

use resilver_heal::entry::Cause;
use resilver_heal::ledger::Head;
use serde::Serialize;

use super::objects::Skipped;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// Source versions written.
    pub objects: u64,
    /// Distinct versions that were ever FAILED: healed, gone, quarantined and held together.
    pub failed: u64,
    /// Versions that were healed.
    pub healed: u64,
    /// Of those, versions whose own status was read and agrees; the others are believed on the word
    /// of their job's report.
    pub proved: u64,
    /// Versions that no longer exist.
    pub gone: u64,
    /// Versions that no retry heals.
    pub quarantined: u64,
    /// Versions that still wait for a repair, or for their turn.
    pub held: u64,
    /// Jobs, canaries included.
    pub jobs: u64,
    /// Rows of all manifests together.
    pub rows: u64,
    /// What broke.
    pub causes: Vec<CauseFound>,
    /// Pairs of a version and a destination that were compared and agree.
    pub verified: u64,
    /// Pairs that do not: no replica, or other bytes, metadata or tags.
    pub mismatched: u64,
    /// The first few of them.
    pub mismatches: Vec<String>,
    /// Files that were not uploaded.
    pub skipped: Vec<Skipped>,
    /// Job, row and generator fees.
    pub cost_usd: f64,
    /// The seed.
    pub seed: u64,
    /// Time on the embedded AWS's clock, in milliseconds.
    pub virtual_ms: u64,
    /// Time on the wall's clock, in milliseconds.
    pub wall_ms: u64,
}

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CauseFound {
    /// S3's reason.
    pub reason: String,
    /// The destination that was not reached.
    pub destination: String,
    /// Versions that failed of it.
    pub versions: u64,
    /// Whether its circuit has closed again.
    pub repaired: bool,
}

/// Mismatches that are named.
const MISMATCHES_NAMED: usize = 20;

impl Document {
    /// What came of it.
    pub(super) fn of(
        (written, skipped): (u64, Vec<Skipped>),
        head: &Head,
        causes: BTreeMap<Cause, u64>,
        (verified, mut mismatches): (u64, Vec<String>),
        (wall_ms, virtual_ms): (u64, u64),
        seed: u64,
    ) -> Self {
        let (counts, totals) = (&head.counts, &head.totals);
        let mismatched = mismatches.len() as u64;
        mismatches.truncate(MISMATCHES_NAMED);
        let open = |cause: &Cause| head.circuits.iter().any(|c| c.cause() == Some(cause));
        let causes = causes.into_iter().map(|(cause, versions)| CauseFound {
            repaired: !open(&cause),
            reason: cause.reason.as_str().to_owned(),
            destination: cause.destination.map(String::from).unwrap_or_default(),
            versions,
        });
        Self {
            objects: written,
            failed: totals.collected,
            healed: totals.healed + totals.unproved,
            proved: totals.healed,
            gone: totals.gone,
            quarantined: counts.quarantined,
            held: counts.present() - counts.quarantined,
            jobs: totals.jobs,
            rows: totals.launched,
            causes: causes.collect(),
            verified,
            mismatched,
            mismatches,
            skipped,
            cost_usd: totals.micro_usd as f64 / 1e6,
            seed,
            virtual_ms,
            wall_ms,
        }
    }

    /// Whether all that can heal did, was verified, and nothing was left out.
    pub fn all_healed(&self) -> bool {
        self.mismatched == 0
            && self.held == 0
            && self.quarantined == 0
            && self.skipped.is_empty()
            && self.verified == 2 * self.objects
    }

    /// As text, line end included.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{text}\n")
    }
}
