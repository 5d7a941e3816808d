//! The second fold: the same rows as the survey saw, now written as the next ledger run, with what
//! was decided; the rows that go up are written into the manifest beside it.

use resilver_aws::LineWriter;
use resilver_heal::fold::Folding;
use resilver_heal::launch::Decision;
use resilver_heal::ledger::{Head, RunRef};
use resilver_heal::manifest;
use resilver_heal::plan::{Plan, PlanId};
use resilver_heal::run::ObjectVersion;
use resilver_heal::scan::Scan;
use resilver_heal::state::StateKey;
use resilver_heal::survey::Survey;
use resilver_heal::transition::Status;

use crate::news::News;
use crate::stream::Groups;
use crate::{Ctx, LaunchError};

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The rows as they stand now.
    pub(crate) after: Survey,
    /// The run that holds them; `None` if there are none.
    pub(crate) run: Option<RunRef>,
    /// The run that it replaces.
    pub(crate) replaced: Option<String>,
    /// The plan and its rows, if any row goes up.
    pub(crate) plan: Option<(PlanId, u64)>,
}

/// A second fold.
pub(crate) struct Write<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) head: &'a Head,
    pub(crate) news: &'a News,
    pub(crate) folding: Folding<'a>,
    pub(crate) seen: Vec<(ObjectVersion, Status)>,
    pub(crate) launch_id: &'a str,
}

/// The manifest that is being written; there is none until a row goes up.
struct Manifest {
    key: String,
    writer: Option<LineWriter>,
    rows: u64,
}

impl Write<'_> {
    /// Folds and writes.
    pub(crate) async fn run(mut self, decision: &mut Decision) -> Result<Written, LaunchError> {
        let bucket = &self.head.bucket;
        let number = self.head.generation + 1;
        let key = StateKey::Ledger(bucket, number, self.launch_id).to_string();
        let mut ledger = LineWriter::new(self.ctx.store.clone(), key.clone());
        let plan = decision.marks.plan.as_ref().map(|(plan, _)| plan.clone());
        let manifest = plan.as_ref().map(|plan| StateKey::Manifest(bucket, plan).to_string());
        let mut manifest = Manifest { key: manifest.unwrap_or_default(), writer: None, rows: 0 };
        let seen = std::mem::take(&mut self.seen);
        let mut groups = Groups::open(self.ctx, self.head, self.news, seen);
        let mut after = Survey::default();
        while let Some(group) = groups.next().await? {
            let folded = self.folding.fold(group, &mut Vec::new());
            let (entry, goes_up) = decision.marks.mark(&self.folding.given, folded);
            let Some(entry) = entry else { continue };
            if goes_up {
                let row = manifest::row(bucket, &entry.id.key, &entry.id.version);
                manifest.write(self.ctx, row.as_bytes()).await?;
            }
            after.see(&self.folding.given, &entry, &|_| 0);
            ledger.write(entry.line().as_bytes()).await?;
        }
        let run = self.finish_run(ledger, key, after.counts.rows()).await?;
        let plan = self.finish_plan(manifest, plan).await?;
        let replaced = self.head.run.as_ref().map(|run| run.key.clone());
        Ok(Written { after, run, replaced, plan })
    }

    async fn finish_run(
        &self,
        ledger: LineWriter,
        key: String,
        rows: u64,
    ) -> Result<Option<RunRef>, LaunchError> {
        let finished = ledger.finish().await?;
        if rows == 0 {
            self.ctx.store.delete(&[key]).await?;
            return Ok(None);
        }
        Ok(Some(RunRef { key, rows, bytes: finished.bytes, etag: finished.etag }))
    }

    /// Writes the plan of the manifest, if a row went up.
    async fn finish_plan(
        &self,
        manifest: Manifest,
        plan: Option<PlanId>,
    ) -> Result<Option<(PlanId, u64)>, LaunchError> {
        let (Some(id), Some(writer)) = (plan, manifest.writer) else {
            return Ok(None);
        };
        let finished = writer.finish().await?;
        let (bucket, now) = (&self.head.bucket, self.folding.given.now);
        let settings = &self.ctx.jobs;
        let plan = Plan::of_manifest(id, bucket, now, manifest.rows, &finished.etag, settings);
        let key = StateKey::Plan(bucket, &plan.id).to_string();
        // If it exists, it is ours: the answer to the first try was lost.
        self.ctx.store.put_json_new(&key, &plan).await?;
        Ok(Some((plan.id, manifest.rows)))
    }
}

/// Writes the plan of a scan that begins.
pub(crate) async fn scan_plan(ctx: &Ctx, head: &Head, scan: &Scan) -> Result<(), LaunchError> {
    let (bucket, scope) = (&head.bucket, scan.purpose.scope());
    let plan = Plan::of_scope(scan.plan.clone(), bucket, scan.at, &scope, &ctx.jobs);
    let key = StateKey::Plan(bucket, &plan.id).to_string();
    ctx.store.put_json_new(&key, &plan).await?;
    Ok(())
}

impl Manifest {
    async fn write(&mut self, ctx: &Ctx, row: &[u8]) -> Result<(), LaunchError> {
        if self.writer.is_none() {
            self.writer = Some(LineWriter::new(ctx.store.clone(), self.key.clone()));
        }
        if let Some(writer) = &mut self.writer {
            writer.write(row).await?;
        }
        self.rows += 1;
        Ok(())
    }
}
