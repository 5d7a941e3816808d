//! The order of one launch, and why nothing is lost wherever it is cut short.
//!
//! 1. Read the head. Finish the plan that it calls *launching*, if any (6, 7). List what is new:
//!    segments, settled jobs, notices.
//! 2. Fold it all once to survey, read the statuses that are due, decide.
//! 3. Fold again, into a new ledger run and the manifest; write the plan.
//!    *Cut short here or before:* no head names what was written. The next launch folds the same
//!    again; the leftovers expire.
//! 4. Reserve the plan's slot and money in `account.json`.
//!    *Cut short here:* a reservation that no head names is dropped after an hour, whatever bucket's
//!    launch comes by ([`account::forget`]). A plan whose launch was only slow reserves again in 6.
//! 5. Swap the head. **This is the commit.** Whoever loses the swap deletes nothing, gives its
//!    reservation back and starts over; finding its own id in the head means that it won and only
//!    the answer was lost.
//!    *Cut short here:* the head names the plan as launching; step 1 of the next launch finishes it.
//! 6. Look for the plan's job by its Description and adopt it, or ask for it with the plan's own
//!    token. A refusal that cannot pass abandons the plan: a launch later its rows return without an
//!    attempt, unless the job is found after all (another launch may have got it).
//!    *Cut short here:* the job exists, and is found by its Description, or given again for the same
//!    token.
//! 7. Record the job in the head.
//!    *Cut short here:* as in 6.
//! 8. Delete what was folded, and tell the metrics ([`crate::measure`]). *Cut short here:* a segment that
//!    is folded again changes nothing, since its failures are known; verdicts on a plan that no head
//!    names are not read.
//!
//! A folded object that is gone in 2 or 3 means that another launch has won. Only the run that the head
//! names may not be gone while the head is as it was: that is an error.
//!
//! No two launches write under the same name, even if one event woke both ([`crate::Names`]): what the
//! head names, only its own launch has written.

use resilver_aws::{Swapped, Woken, store::Loaded};
use resilver_heal::entry::Cause;
use resilver_heal::fold::Folding;
use resilver_heal::key::Bucket;
use resilver_heal::launch::{Asked, Decision, next_due};
use resilver_heal::laws;
use resilver_heal::ledger::{Flight, HEAD_FORMAT, Head};
use resilver_heal::plan::PlanId;
use resilver_heal::scan::{Stage, is_due};
use resilver_heal::state::StateKey;
use resilver_heal::survey::Survey;
use resilver_heal::transition::Given;

use crate::account::Claim;
use crate::job::Finished;
use crate::news::News;
use crate::write::Written;
use crate::{
    Ctx, Found, LaunchError, account, job, leftovers, measure, outbox, scan, stream, write,
};

/// What a launch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launched {
    /// There was nothing to do.
    Idle,
    /// The ledger was folded or the outbox emptied; no job was started.
    Folded,
    /// A job was started.
    Started,
    /// Another launch was faster every time; it does the work.
    Outrun,
}

impl Launched {
    /// A word for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Folded => "folded",
            Self::Started => "started",
            Self::Outrun => "outrun",
        }
    }
}

/// A head and the ETag that a swap has to match; no ETag where there was no head.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) head: Head,
    pub(crate) etag: Option<String>,
}

/// How often a launch that lost a swap starts over.
const TRIES: usize = 3;

/// Launches one bucket.
pub(crate) async fn launch(
    ctx: &Ctx,
    bucket: &Bucket,
    woken: &Woken,
    found: Found,
) -> Result<Launched, LaunchError> {
    for _ in 0..TRIES {
        let mut held = read_head(ctx, bucket, woken).await?;
        let attempted = Box::pin(attempt(ctx, &mut held, woken, found)).await;
        if matches!(attempted, Ok(None)) {
            continue;
        }
        let idle = matches!(attempted, Ok(Some(Launched::Idle)));
        measure::tell(ctx, &mut held, woken, idle).await;
        return attempted.map(|launched| launched.unwrap_or(Launched::Outrun));
    }
    Ok(Launched::Outrun)
}

/// One attempt; `None` where another launch has won in the meantime.
async fn attempt(
    ctx: &Ctx,
    held: &mut Held,
    woken: &Woken,
    found: Found,
) -> Result<Option<Launched>, LaunchError> {
    let bucket = &held.head.bucket.clone();
    let (lands_refused, mut later) = match earlier_plans(ctx, held, woken).await? {
        Earlier::Ended(launched) => return Ok(launched),
        Earlier::GoesOn { lands_refused, later } => (lands_refused, later),
    };
    match scan::look(ctx, held, woken).await {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(problem) => later = Some(problem),
    }
    let now = held.head.now.max(woken.now);
    let sweeps = found.enrolled && scan::may_sweep(ctx, &held.head, now).await;
    let news = News::read(ctx, &held.head, lands_refused, found, now).await?;
    let due = !held.head.is_quiet(now) || is_due(&held.head, now, &ctx.limits, sweeps);
    if news.is_empty() && !due && held.head.is_idle(now) {
        return Ok(Some(Launched::Idle));
    }
    let given = Given { now, limits: &ctx.limits };
    let launch_id = ctx.names.next(bucket, woken);
    let mut next = held.head.clone();
    outbox::take_said(ctx, &mut next).await?;
    next.tell(news.notices.iter().cloned());
    next.backfills.extend(news.backfills.iter().cloned());
    let mut written = Written::default();
    if news.has_rows() || due {
        let fold =
            Fold { ctx, head: &held.head, news: &news, given, launch_id: &launch_id, sweeps };
        written = match Box::pin(fold.run(&mut next)).await {
            Ok(written) => written,
            Err(problem) if stream::is_gone(&problem) => {
                let missing = is_our_run(&problem, &held.head) && !has_moved(ctx, held).await?;
                return if missing { Err(problem) } else { Ok(None) };
            }
            Err(problem) => return Err(problem),
        };
    }
    next.totals.rejects += news.rejects;
    next.now = now;
    laws::time_goes_on(&held.head, now)?;
    laws::nowhere_is_nowhere(&next)?;
    let claims = Claim::of(&held.head, &next);
    if !account::settle(ctx, &next, &news, &claims, now).await? {
        return Ok(None);
    }
    let starts = held.head.launching.is_none() && next.launching.is_some();
    let listed = forgotten_runs(&held.head, &next);
    if !swap(ctx, held, next, &launch_id).await? {
        give_back(ctx, bucket, &claims).await?;
        return Ok(None);
    }
    later = carry_on(ctx, held, woken, starts).await?.or(later);
    outbox::publish(ctx, &held.head).await?;
    news.delete(ctx, written.replaced.into_iter().chain(listed)).await?;
    leftovers::delete(ctx, &held.head).await?;
    match later {
        Some(problem) => Err(problem),
        None if starts => Ok(Some(Launched::Started)),
        None => Ok(Some(Launched::Folded)),
    }
}

/// Does what the head now says is to be done; gives what has to be tried again.
async fn carry_on(
    ctx: &Ctx,
    held: &mut Held,
    woken: &Woken,
    starts: bool,
) -> Result<Option<LaunchError>, LaunchError> {
    let mut later = None;
    if starts
        && let Finished::Later(problem) = job::finish(ctx, held, woken, job::Known::IsNew).await?
    {
        later = Some(problem);
    }
    if let Err(problem) = scan::carry_out(ctx, &held.head).await {
        later = Some(problem);
    }
    Ok(later)
}

/// What came of the plans that earlier launches left.
enum Earlier {
    /// The attempt is over, with this.
    Ended(Option<Launched>),
    /// It goes on. What is `later` keeps nothing else from being done: folding, giving back, telling.
    GoesOn { lands_refused: bool, later: Option<LaunchError> },
}

/// The first half of step 1: the plan that is *launching* gets its job, and those that S3 refused are
/// looked for once more.
async fn earlier_plans(ctx: &Ctx, held: &mut Held, woken: &Woken) -> Result<Earlier, LaunchError> {
    let mut later = None;
    if held.head.launching.is_some() {
        match job::finish(ctx, held, woken, job::Known::MayExist).await? {
            Finished::Recorded => return Ok(Earlier::Ended(Some(Launched::Started))),
            Finished::Outrun => return Ok(Earlier::Ended(None)),
            Finished::Later(problem) => later = Some(problem),
        }
    }
    match job::adopt_refused(ctx, held).await {
        Ok(true) => Ok(Earlier::GoesOn { lands_refused: true, later }),
        Ok(false) => Ok(Earlier::Ended(None)),
        Err(problem) => Ok(Earlier::GoesOn { lands_refused: false, later: Some(problem) }),
    }
}

/// Gives the shares of plans back whose swap was lost, unless the head names the plan all the same:
/// the swap was won, and another launch has gone on from it.
async fn give_back(ctx: &Ctx, bucket: &Bucket, claims: &[Claim]) -> Result<(), LaunchError> {
    if claims.is_empty() {
        return Ok(());
    }
    let head = ctx.store.get_json::<Head>(&StateKey::Head(bucket).to_string()).await?;
    for claim in claims {
        if !head.as_ref().is_some_and(|head| claim.is_of(&head.value)) {
            account::untake(ctx, claim).await?;
        }
    }
    Ok(())
}

/// Runs of listed versions that are not needed any more.
fn forgotten_runs(head: &Head, next: &Head) -> Vec<String> {
    let runs = |head: &Head| match head.scan.as_ref().map(|scan| &scan.stage) {
        Some(Stage::Listed { runs, .. }) => runs.iter().map(|run| run.key.clone()).collect(),
        _ => Vec::new(),
    };
    let kept = runs(next);
    runs(head).into_iter().filter(|run| !kept.contains(run)).collect()
}

/// Whether what is gone is the run that the head names.
fn is_our_run(problem: &LaunchError, head: &Head) -> bool {
    let LaunchError::Aws(problem) = problem else { return false };
    head.run.as_ref().is_some_and(|run| problem.target.ends_with(&run.key))
}

/// Whether another launch has replaced the head: then it has deleted its run. If the head is as it was,
/// its run is missing, and people have to know.
async fn has_moved(ctx: &Ctx, held: &Held) -> Result<bool, LaunchError> {
    let found = ctx.store.get_json::<Head>(&StateKey::Head(&held.head.bucket).to_string()).await?;
    Ok(found.map(|loaded| loaded.etag) != held.etag)
}

/// Steps 2 and 3.
struct Fold<'a> {
    ctx: &'a Ctx,
    head: &'a Head,
    news: &'a News,
    given: Given<'a>,
    launch_id: &'a str,
    sweeps: bool,
}

impl Fold<'_> {
    async fn run(&self, next: &mut Head) -> Result<Written, LaunchError> {
        let Self { ctx, head, news, given, launch_id, .. } = *self;
        let listed_at = head.scan.as_ref().map(|scan| scan.at).unwrap_or_default();
        let folding = Folding { given, landings: &news.landings, listed_at };
        let turn = |cause: &Cause| {
            let circuit = head.circuits.iter().find(|circuit| circuit.cause() == Some(cause));
            circuit.map_or(0, |circuit| circuit.probes)
        };
        let mut survey = stream::survey(ctx, head, news, &folding, &turn).await?;
        let statuses = stream::look(ctx, &head.bucket, &survey.looks).await?;
        let seen = survey.looked(&given, statuses, &turn);
        let mut decision = self.decide(next, &survey).await?;
        let rewrite = survey.changed
            || decision.marks.plan.is_some()
            || decision.marks.take.is_some()
            || survey.released(&decision.marks.open) > 0;
        let written = if rewrite {
            let write = write::Write { ctx, head, news, folding, seen, launch_id };
            write.run(&mut decision).await?
        } else {
            Written { after: survey_again(&survey), run: head.run.clone(), ..Written::default() }
        };
        if let Some(scan) = decision.scanning.scan.as_ref().filter(|_| decision.scanning.begins) {
            write::scan_plan(ctx, head, scan).await?;
        }
        self.commit(next, &survey, decision, &written);
        laws::nothing_flies_alone(next, &written.after.flying)?;
        Ok(written)
    }

    async fn decide(&self, next: &Head, survey: &Survey) -> Result<Decision, LaunchError> {
        // With the backfills that are asked for now.
        let head = Head { backfills: next.backfills.clone(), ..self.head.clone() };
        let now = self.given.now;
        let asked = Asked {
            now,
            limits: self.given.limits,
            head: &head,
            survey,
            settled: &self.news.settled,
            room: account::room(self.ctx, self.news, now).await?,
            plan: PlanId::of(now, &head.bucket, self.launch_id),
            sweeps: self.sweeps,
        };
        Ok(asked.decide())
    }

    /// Puts what was decided and written into the head that is to be.
    fn commit(&self, next: &mut Head, survey: &Survey, decision: Decision, written: &Written) {
        let Given { now, limits } = self.given;
        next.flights.retain(|plan, _| !self.news.landings.contains_key(plan));
        if let Some((plan, rows)) = &written.plan {
            next.flights.insert(plan.clone(), Flight::new(now, *rows));
            next.launching = Some(plan.clone());
        }
        next.run = written.run.clone();
        next.counts = written.after.counts;
        next.oldest_unhealed = written.after.oldest_unhealed;
        next.totals.add(&survey.totals);
        next.totals.collected += decision.marks.taken;
        next.next_due = next_due(now, limits, &decision.circuits, &written.after);
        next.circuits = decision.circuits;
        if decision.paused.is_none() {
            next.resume_at = None;
        }
        next.paused = decision.paused;
        next.tell(decision.notices);
        decision.scanning.commit(next, now, decision.marks.taken, limits);
    }
}

/// The survey of rows that were not rewritten is that of the rows as they are.
fn survey_again(survey: &Survey) -> Survey {
    Survey {
        counts: survey.counts,
        first_due: survey.first_due,
        first_look: survey.first_look,
        oldest_unhealed: survey.oldest_unhealed,
        flying: survey.flying.clone(),
        ..Survey::default()
    }
}

pub(crate) async fn read_head(
    ctx: &Ctx,
    bucket: &Bucket,
    woken: &Woken,
) -> Result<Held, LaunchError> {
    let key = StateKey::Head(bucket).to_string();
    match ctx.store.get_json::<Head>(&key).await {
        Ok(Some(Loaded { value: head, etag })) if head.format <= HEAD_FORMAT => {
            Ok(Held { head, etag: Some(etag) })
        }
        Ok(Some(Loaded { value: head, .. })) => {
            Err(LaunchError::newer(key, head.format, HEAD_FORMAT))
        }
        Ok(None) => Ok(Held { head: Head::new(bucket.clone(), woken.now), etag: None }),
        Err(problem) => Err(problem.into()),
    }
}

/// Step 5: replaces the head by `next`. Says whether this launch won.
pub(crate) async fn swap(
    ctx: &Ctx,
    held: &mut Held,
    mut next: Head,
    launch_id: &str,
) -> Result<bool, LaunchError> {
    next.generation = held.head.generation + 1;
    next.writer = launch_id.to_owned();
    let key = StateKey::Head(&next.bucket).to_string();
    let swapped = ctx.store.swap_json(&key, &next, held.etag.as_deref()).await;
    let etag = match swapped {
        Ok(Swapped::Won { etag }) => etag,
        Ok(Swapped::Lost) | Err(_) => match won_after_all(ctx, &key, &next).await? {
            Some(etag) => etag,
            None => match swapped {
                Err(problem) => return Err(problem.into()),
                Ok(_) => return Ok(false),
            },
        },
    };
    *held = Held { head: next, etag: Some(etag) };
    Ok(true)
}

/// Whether the head is what we wanted to write: then we won, and only the answer was lost.
async fn won_after_all(ctx: &Ctx, key: &str, next: &Head) -> Result<Option<String>, LaunchError> {
    let found = ctx.store.get_json::<Head>(key).await?;
    Ok(found.filter(|loaded| loaded.value == *next).map(|loaded| loaded.etag))
}
