//! What is new for a bucket since its head was written.

use std::collections::BTreeMap;

use resilver_heal::fold::Landing;
use resilver_heal::key::Bucket;
use resilver_heal::ledger::Head;
use resilver_heal::limits::{CHUNKS_PER_FOLD, SEGMENTS_PER_FOLD};
use resilver_heal::notice::Notice;
use resilver_heal::plan::PlanId;
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::summary::{SETTLED_FORMAT, Settled};

use crate::{Ctx, LaunchError};

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
    outbox: Vec<String>,
    settling: Vec<String>,
}

impl News {
    /// Lists what there is. Rows of a refused plan return only if it is known that it has no job.
    pub(crate) async fn read(
        ctx: &Ctx,
        head: &Head,
        lands_refused: bool,
    ) -> Result<Self, LaunchError> {
        let mut news = Self::default();
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
            news.settled(ctx, &head.bucket, plan, settled.value).await?;
        }
        news.read_outbox(ctx, head).await?;
        Ok(news)
    }

    async fn settled(
        &mut self,
        ctx: &Ctx,
        bucket: &Bucket,
        plan: &PlanId,
        settled: Settled,
    ) -> Result<(), LaunchError> {
        let verdicts = StatePrefix::Verdicts(bucket, &settled.job).to_string();
        for chunk in ctx.store.list(&verdicts, usize::MAX).await? {
            self.verdicts.push((plan.clone(), chunk.key));
        }
        self.settling.push(StateKey::Settling(bucket, &settled.job).to_string());
        self.landings.insert(plan.clone(), Landing::of(&settled));
        self.settled.insert(plan.clone(), settled);
        Ok(())
    }

    async fn read_outbox(&mut self, ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
        let prefix = StatePrefix::Outbox(&head.bucket).to_string();
        for object in ctx.store.list(&prefix, usize::MAX).await? {
            if let Some(notice) = ctx.store.get_json::<Notice>(&object.key).await? {
                let known = head.outbox.iter().any(|other| other.id == notice.value.id);
                self.notices.extend((!known).then_some(notice.value));
                self.outbox.push(object.key);
            }
        }
        Ok(())
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.landings.is_empty() && self.outbox.is_empty()
    }

    /// Whether rows have to be folded.
    pub(crate) fn has_rows(&self) -> bool {
        !self.segments.is_empty() || !self.landings.is_empty()
    }

    /// Step 8: deletes what was folded, and the run that was replaced.
    pub(crate) async fn delete(self, ctx: &Ctx, replaced: Option<&str>) -> Result<(), LaunchError> {
        let mut keys = self.segments;
        keys.extend(self.verdicts.into_iter().map(|(_, key)| key));
        keys.extend(self.settling);
        keys.extend(self.outbox);
        keys.extend(replaced.map(str::to_owned));
        if !keys.is_empty() {
            ctx.store.delete(&keys).await?;
        }
        Ok(())
    }
}
