//! What is new for a bucket since its head was written.

use std::collections::BTreeMap;

use resilver_heal::backfill::{BACKFILL_FORMAT, Backfill};
use resilver_heal::fold::Landing;
use resilver_heal::ledger::{Head, RunRef};
use resilver_heal::limits::{CHUNKS_PER_FOLD, SEGMENTS_PER_FOLD};
use resilver_heal::notice::{Notice, NoticeFact};
use resilver_heal::plan::PlanId;
use resilver_heal::state::{SAID, StateKey, StatePrefix};
use resilver_heal::summary::{SETTLED_FORMAT, Settled};
use resilver_heal::time::Timestamp;

use crate::{Ctx, Found, LaunchError};

/// Objects that wait to be folded.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Keys of segments, oldest first.
    pub(crate) segments: Vec<String>,
    /// Jobs of this ledger's flights that ended.
    pub(crate) settled: BTreeMap<PlanId, Settled>,
    /// Keys of their verdicts.
    pub(crate) verdicts: Vec<(PlanId, String)>,
    /// Flights that are over, refused ones included.
    pub(crate) landings: BTreeMap<PlanId, Landing>,
    /// Notices of the outbox that the head does not have.
    pub(crate) notices: Vec<Notice>,
    /// Backfills that are asked for.
    pub(crate) backfills: Vec<Backfill>,
    /// Runs of the versions that S3 has listed for the scan, if they are to be taken in.
    pub(crate) listed: Vec<RunRef>,
    /// Pieces that could not be read, as the notices of the outbox say.
    pub(crate) rejects: u64,
    outbox: Vec<String>,
    asked: Vec<String>,
    settling: Vec<String>,
}

impl News {
    /// Lists what there is. Rows of a refused plan return only if it is known that it has no job.
    pub(crate) async fn read(
        ctx: &Ctx,
        head: &Head,
        lands_refused: bool,
        found: Found,
        now: Timestamp,
    ) -> Result<Self, LaunchError> {
        let mut news = Self::default();
        if let Some(scan) = &head.scan {
            news.listed = scan.runs(head, now, &ctx.limits).to_vec();
        }
        if found.asked {
            news.read_backfills(ctx, head).await?;
        }
        let segments = StatePrefix::Failures(&head.bucket).to_string();
        let listed = ctx.store.list(&segments, SEGMENTS_PER_FOLD).await?;
        news.segments = listed.into_iter().map(|object| object.key).collect();
        for (plan, flight) in &head.flights {
            // The rest lands in the next launch: each chunk is read beside all others.
            if news.verdicts.len() >= CHUNKS_PER_FOLD {
                break;
            }
            if flight.refused.is_some() && lands_refused {
                news.landings.insert(plan.clone(), Landing::refused(head.now));
            }
            let Some(job) = &flight.job else { continue };
            let key = StateKey::Settled(&head.bucket, job).to_string();
            let Some(settled) = ctx.store.get_json::<Settled>(&key).await? else {
                continue;
            };
            if settled.value.format > SETTLED_FORMAT {
                return Err(LaunchError::newer(key, settled.value.format, SETTLED_FORMAT));
            }
            news.settled(ctx, head, plan, settled.value).await?;
        }
        news.read_outbox(ctx, head).await?;
        Ok(news)
    }

    async fn settled(
        &mut self,
        ctx: &Ctx,
        head: &Head,
        plan: &PlanId,
        settled: Settled,
    ) -> Result<(), LaunchError> {
        let Some(flight) = head.flights.get(plan) else { return Ok(()) };
        let scan = head.scan.as_ref().filter(|scan| scan.plan == *plan);
        let verdicts = StatePrefix::Verdicts(&head.bucket, &settled.job).to_string();
        for chunk in ctx.store.list(&verdicts, usize::MAX).await? {
            self.verdicts.push((plan.clone(), chunk.key));
        }
        self.settling.push(StateKey::Settling(&head.bucket, &settled.job).to_string());
        self.landings.insert(plan.clone(), Landing::of(&settled, flight, scan));
        self.settled.insert(plan.clone(), settled);
        Ok(())
    }

    async fn read_outbox(&mut self, ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
        let prefix = StatePrefix::Outbox(&head.bucket).to_string();
        for object in ctx.store.list(&prefix, usize::MAX).await? {
            if let Some(notice) = ctx.store.get_json::<Notice>(&object.key).await? {
                let known = head.outbox.iter().any(|other| other.id == notice.value.id);
                if !known {
                    self.rejects += rejects(ctx, &notice.value).await?;
                    self.notices.push(notice.value);
                }
                self.outbox.push(object.key);
            }
        }
        Ok(())
    }

    async fn read_backfills(&mut self, ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
        let prefix = StatePrefix::Backfills(&head.bucket).to_string();
        for object in ctx.store.list(&prefix, usize::MAX).await? {
            let Some(asked) = ctx.store.get_json::<Backfill>(&object.key).await? else {
                continue;
            };
            if asked.value.format > BACKFILL_FORMAT {
                return Err(LaunchError::newer(object.key, asked.value.format, BACKFILL_FORMAT));
            }
            let known = head.backfills.iter().any(|other| other.id == asked.value.id);
            self.backfills.extend((!known).then_some(asked.value));
            self.asked.push(object.key);
        }
        Ok(())
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_rows() && self.outbox.is_empty() && self.asked.is_empty()
    }

    /// Whether rows have to be folded.
    pub(crate) fn has_rows(&self) -> bool {
        !self.segments.is_empty() || !self.landings.is_empty() || !self.listed.is_empty()
    }

    /// Step 8: deletes what was folded, and the runs that were replaced.
    pub(crate) async fn delete(
        self,
        ctx: &Ctx,
        replaced: impl Iterator<Item = String>,
    ) -> Result<(), LaunchError> {
        let mut keys = self.segments;
        keys.extend(self.verdicts.into_iter().map(|(_, key)| key));
        keys.extend(self.settling);
        keys.extend(self.outbox);
        keys.extend(self.asked);
        keys.extend(replaced);
        if !keys.is_empty() {
            ctx.store.delete(&keys).await?;
        }
        Ok(())
    }
}

/// Pieces that a notice says could not be read; none if it was said before: whoever met them a second time
/// has put the same notice there again.
async fn rejects(ctx: &Ctx, notice: &Notice) -> Result<u64, LaunchError> {
    let NoticeFact::Rejected { pieces, .. } = &notice.fact else { return Ok(0) };
    let mark = StateKey::Notice(&notice.id, SAID).to_string();
    Ok(if ctx.store.exists(&mark).await? { 0 } else { *pieces })
}
