//! The job of a scan, between two launches: whether S3 has made its manifest, reading that manifest
//! into runs of ours, and doing to the job what the head says. What is done is decided in
//! `resilver_heal::scan`; the head says *goes* or *drops* before the job is touched, so that whoever is
//! cut short does it again.

use resilver_aws::{AwsError, Kind, LineReader, LineWriter, Store, Woken, jobs};
use resilver_heal::configuration::Config;
use resilver_heal::key::{Bucket, JobId};
use resilver_heal::ledger::{Head, RunRef};
use resilver_heal::listing::{LISTED_CHUNK_ROWS, ListedRow, ListingManifest, Unreadable};
use resilver_heal::plan::PlanId;
use resilver_heal::scan::{self, Scan, Stage};
use resilver_heal::state::StateKey;
use resilver_heal::time::Timestamp;
use tracing::{info, warn};

use crate::news::News;
use crate::order::{Held, swap};
use crate::{Ctx, LaunchError, account};

/// The statuses of a job that S3 Batch Operations waits with for a confirmation.
const SUSPENDED: &str = "Suspended";

/// Looks at the job. Says no if another launch has won in the meantime.
pub(crate) async fn look(ctx: &Ctx, held: &mut Held, woken: &Woken) -> Result<bool, LaunchError> {
    let Some((scan, job)) = scan_of(&held.head) else {
        return Ok(true);
    };
    if scan.stage != Stage::Lists {
        carry_out(ctx, &held.head).await?;
        return Ok(true);
    }
    let Some(described) = jobs::describe(&ctx.clients, job.as_str()).await? else {
        return Ok(true);
    };
    if described.status != SUSPENDED {
        return Ok(true);
    }
    let tasks = described.tasks.0;
    let stage = match read(ctx, &held.head.bucket, &scan.plan, tasks, &described).await? {
        Ok(stage) => stage,
        Err(why) => {
            warn!(%job, plan = %scan.plan, why, "the job has to go alone");
            Stage::Alone { rows: tasks }
        }
    };
    info!(%job, plan = %scan.plan, tasks, "listed");
    let mut next = held.head.clone();
    next.now = next.now.max(woken.now);
    let now = next.now;
    scan::listed(&mut next, stage, now, &ctx.limits);
    let writer = next.writer.clone();
    swap(ctx, held, next, &writer).await
}

/// Whether an enrolled bucket may be swept now: it is due, enough of the day is left, and something
/// replicates. Where nothing does, the job would fail, and S3 charges for it all the same. What cannot be read
/// is looked at again next time.
pub(crate) async fn may_sweep(ctx: &Ctx, head: &Head, now: Timestamp) -> bool {
    if head.paused(now).is_some() || !scan::sweep_is_due(head, now, &ctx.limits) {
        return false;
    }
    let may = async {
        if !account::room(ctx, &News::default(), now).await?.leaves_half(&ctx.limits) {
            return Ok::<_, LaunchError>(false);
        }
        let key = StateKey::Config(&head.bucket).to_string();
        let config = ctx.store.get_json::<Config>(&key).await?;
        Ok(config.is_some_and(|config| config.value.replicates()))
    };
    may.await.unwrap_or_else(|problem| {
        warn!(error = %problem, "not swept");
        false
    })
}

/// Does to the job what the head says, if it is not done yet.
pub(crate) async fn carry_out(ctx: &Ctx, head: &Head) -> Result<(), LaunchError> {
    let Some((scan, job)) = scan_of(head) else { return Ok(()) };
    let (status, why) = match scan.stage {
        Stage::Goes | Stage::GoesAlone => ("Ready", "its manifest is what it should be"),
        Stage::Drops => ("Cancelled", "what it lists is launched from a manifest of its own"),
        Stage::Lists | Stage::Listed { .. } | Stage::Alone { .. } => return Ok(()),
    };
    let described = jobs::describe(&ctx.clients, job.as_str()).await?;
    if described.is_some_and(|described| described.status == SUSPENDED) {
        jobs::update_status(&ctx.clients, job.as_str(), status, why).await?;
        info!(%job, plan = %scan.plan, status, "the job is told what becomes of it");
    }
    Ok(())
}

fn scan_of(head: &Head) -> Option<(Scan, JobId)> {
    let scan = head.scan.clone()?;
    let job = head.flights.get(&scan.plan)?.job.clone()?;
    Some((scan, job))
}

/// Reads the manifest that S3 made into sorted runs; or says why the job has to go without that.
async fn read(
    ctx: &Ctx,
    bucket: &Bucket,
    plan: &PlanId,
    tasks: u64,
    described: &jobs::Job,
) -> Result<Result<Stage, String>, LaunchError> {
    if tasks > ctx.limits.job_rows_max {
        return Ok(Err(format!("{tasks} versions are more than the ledger takes in at once")));
    }
    let Some((arn, _)) = &described.generated else {
        return Ok(Err("S3 does not say where its manifest is".to_owned()));
    };
    let ours = format!("{}/", ctx.jobs.bucket_arn(&ctx.store.bucket));
    let Some(key) = arn.strip_prefix(&ours) else {
        return Ok(Err(format!("its manifest is at {arn}")));
    };
    let (rows, runs) = (Vec::new(), Vec::new());
    let mut listing = Listing { ctx, bucket, plan, rows, runs, read: 0, total: 0 };
    match listing.read(key).await {
        // A row that is missed would fly twice.
        Ok(()) if listing.read < tasks => {
            Ok(Err(format!("its manifest has {} of its {tasks} versions", listing.read)))
        }
        Ok(()) => Ok(Ok(Stage::Listed { runs: listing.runs, rows: listing.total })),
        Err(Stopped::Foreign(why)) => Ok(Err(why)),
        Err(Stopped::Ours(problem)) => Err(problem),
    }
}

/// What stops the reading of a manifest.
enum Stopped {
    /// It cannot be read: foreign data, or not permitted.
    Foreign(String),
    /// The next launch tries again.
    Ours(LaunchError),
}

impl From<Unreadable> for Stopped {
    fn from(why: Unreadable) -> Self {
        Self::Foreign(why.to_string())
    }
}

impl From<AwsError> for Stopped {
    fn from(problem: AwsError) -> Self {
        match problem.kind {
            Kind::NotFound | Kind::Denied | Kind::Invalid => Self::Foreign(problem.to_string()),
            _ => Self::Ours(problem.into()),
        }
    }
}

/// A manifest that is being read.
struct Listing<'a> {
    ctx: &'a Ctx,
    bucket: &'a Bucket,
    plan: &'a PlanId,
    rows: Vec<ListedRow>,
    runs: Vec<RunRef>,
    /// Rows of the manifest.
    read: u64,
    /// Rows of the runs.
    total: u64,
}

impl Listing<'_> {
    async fn read(&mut self, key: &str) -> Result<(), Stopped> {
        let store: Store = self.ctx.store.clone();
        let Some(document) = store.get(key).await? else {
            return Err(Stopped::Foreign(format!("{key} is not there")));
        };
        let manifest = ListingManifest::parse(&document.bytes)?;
        for file in &manifest.files {
            let mut reader = LineReader::new(store.clone(), file.clone());
            while let Some(page) = reader.next().await? {
                let rows = manifest.rows(&page, self.bucket)?;
                self.read += rows.len() as u64;
                self.rows.extend(rows.into_iter().map(ListedRow));
                if self.rows.len() >= LISTED_CHUNK_ROWS {
                    self.write().await.map_err(|problem| Stopped::Ours(problem.into()))?;
                }
            }
        }
        self.write().await.map_err(|problem| Stopped::Ours(problem.into()))
    }

    /// Sorts what was read and writes it as a run. Another launch that reads the same writes the same.
    async fn write(&mut self) -> Result<(), AwsError> {
        let mut rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        rows.dedup();
        let key = StateKey::Listed(self.bucket, self.plan, self.runs.len()).to_string();
        let mut writer = LineWriter::new(self.ctx.store.clone(), key.clone());
        for row in &rows {
            writer.write(row.line().as_bytes()).await?;
        }
        let finished = writer.finish().await?;
        let (rows, bytes, etag) = (rows.len() as u64, finished.bytes, finished.etag);
        self.total += rows;
        self.runs.push(RunRef { key, rows, bytes, etag });
        Ok(())
    }
}
