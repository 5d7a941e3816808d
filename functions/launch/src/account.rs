//! `account.json`: read, changed by `resilver_heal::account`, swapped, until the swap holds.

use resilver_aws::{Swapped, store::Loaded};
use resilver_heal::account::{ACCOUNT_FORMAT, Account, Room};
use resilver_heal::laws;
use resilver_heal::ledger::Head;
use resilver_heal::plan::PlanId;
use resilver_heal::scan::{Scan, Stage};
use resilver_heal::state::StateKey;
use resilver_heal::time::Timestamp;

use crate::news::News;
use crate::{Ctx, LaunchError};

/// How often a swap that was lost to another bucket's launch is tried again.
const TRIES: usize = 10;

/// What the account has left, the jobs that ended given back.
pub(crate) async fn room(ctx: &Ctx, news: &News, now: Timestamp) -> Result<Room, LaunchError> {
    let (mut account, _) = read(ctx).await?;
    give_back(&mut account, news);
    Ok(account.room(now, &ctx.limits))
}

/// Drops the reservations that no head names: what launches left that were cut short between 4 and 5,
/// of whatever bucket. They would hold their slots for ever.
pub(crate) async fn forget(ctx: &Ctx, now: Timestamp) -> Result<(), LaunchError> {
    let (account, _) = read(ctx).await?;
    let (mut orphans, mut first_error) = (Vec::new(), None);
    for (bucket, plan) in account.doubtful(now) {
        match ctx.store.get_json::<Head>(&StateKey::Head(&bucket).to_string()).await {
            Ok(head) => {
                let named = head.is_some_and(|head| head.value.flights.contains_key(&plan));
                orphans.extend((!named).then_some(plan));
            }
            // Whatever it names keeps its share; those of other buckets are looked at all the same.
            Err(problem) => _ = first_error.get_or_insert(problem),
        }
    }
    // Mostly there is nothing: then what was read is all that it costs.
    if account.clone().forget(&orphans, now) {
        change(ctx, |account| account.forget(&orphans, now)).await?;
    }
    first_error.map_or(Ok(()), |problem| Err(problem.into()))
}

/// What a launch takes of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A plan's slot, rows and money.
    Plan(PlanId),
    /// The job of a scan that begins, until it is let go.
    Scan(PlanId),
    /// The job of a scan, with its rows: let go, by a person or by us.
    LetGo(PlanId, bool),
}

impl Claim {
    /// What the head that is to be takes more than the head that is.
    pub(crate) fn of(head: &Head, next: &Head) -> Vec<Self> {
        let goes = |scan: &&Scan| matches!(scan.stage, Stage::Goes | Stage::GoesAlone);
        let went = head.scan.as_ref().filter(goes).is_some();
        let scan = next.scan.as_ref();
        let starts = next.launching.as_ref().filter(|_| head.launching.is_none());
        let starts = starts.map(|plan| match scan.is_some_and(|scan| scan.plan == *plan) {
            true => Self::Scan(plan.clone()),
            false => Self::Plan(plan.clone()),
        });
        let let_go = scan.filter(goes).filter(|_| !went);
        let let_go = let_go.map(|scan| Self::LetGo(scan.plan.clone(), scan.purpose.by_person()));
        starts.into_iter().chain(let_go).collect()
    }
}

impl Claim {
    /// Whether a head has what this was taken for.
    pub(crate) fn is_of(&self, head: &Head) -> bool {
        match self {
            Self::Plan(plan) | Self::Scan(plan) => head.flights.contains_key(plan),
            Self::LetGo(plan, _) => head.flights.get(plan).is_some_and(|flight| flight.rows > 0),
        }
    }
}

/// Step 4: gives back what ended or was refused, and takes what the launch needs. Says no if there is
/// no room for it any more.
pub(crate) async fn settle(
    ctx: &Ctx,
    next: &Head,
    news: &News,
    claims: &[Claim],
    now: Timestamp,
) -> Result<bool, LaunchError> {
    if claims.is_empty() && news.landings.is_empty() {
        return Ok(true);
    }
    change(ctx, |account| {
        give_back(account, news);
        claims.iter().all(|claim| take(ctx, account, next, claim, now))
    })
    .await
}

fn take(ctx: &Ctx, account: &mut Account, head: &Head, claim: &Claim, now: Timestamp) -> bool {
    let flight = |plan: &PlanId| head.flights.get(plan);
    match claim {
        Claim::Plan(plan) => reserve(ctx, account, head, plan, now),
        Claim::Scan(plan) => {
            let fee = flight(plan).map_or(0, |flight| flight.fee_micro_usd);
            account.reserve_suspended(plan, &head.bucket, fee, now, &ctx.limits)
        }
        Claim::LetGo(plan, by_person) => {
            let rows = flight(plan).map_or(0, |flight| flight.rows);
            account.let_go(plan, rows, *by_person, now, &ctx.limits)
        }
    }
}

/// Gives back what was taken for a head that did not come to be.
pub(crate) async fn untake(ctx: &Ctx, claim: &Claim) -> Result<(), LaunchError> {
    match claim {
        Claim::Plan(plan) | Claim::Scan(plan) => refund(ctx, plan).await,
        Claim::LetGo(plan, _) => change(ctx, |account| account.suspend(plan)).await.map(drop),
    }
}

/// Makes sure, before the plan's job is asked for, that its share is still reserved: a launch that
/// another took for cut short, and then went on, gets it again or waits. Says no if there is no room.
pub(crate) async fn keep(
    ctx: &Ctx,
    head: &Head,
    plan: &PlanId,
    now: Timestamp,
) -> Result<bool, LaunchError> {
    let scans = head.scan.as_ref().is_some_and(|scan| scan.plan == *plan);
    let claim = if scans { Claim::Scan(plan.clone()) } else { Claim::Plan(plan.clone()) };
    change(ctx, |account| take(ctx, account, head, &claim, now)).await
}

fn reserve(ctx: &Ctx, account: &mut Account, head: &Head, plan: &PlanId, now: Timestamp) -> bool {
    let rows = head.flights.get(plan).map_or(0, |flight| flight.rows);
    account.reserve(plan, &head.bucket, rows, now, &ctx.limits)
}

/// Gives a plan's share back that never became a job.
async fn refund(ctx: &Ctx, plan: &PlanId) -> Result<(), LaunchError> {
    change(ctx, |account| account.refund(plan)).await.map(drop)
}

fn give_back(account: &mut Account, news: &News) {
    for plan in news.landings.keys() {
        if news.settled.contains_key(plan) {
            account.end(plan);
        } else {
            account.refund(plan);
        }
    }
}

/// Changes the document until the swap holds; gives what the change said.
async fn change(
    ctx: &Ctx,
    mut change: impl FnMut(&mut Account) -> bool,
) -> Result<bool, LaunchError> {
    let key = StateKey::Account.to_string();
    for _ in 0..TRIES {
        let (before, etag) = read(ctx).await?;
        let mut account = before.clone();
        let said = change(&mut account);
        if account == before {
            return Ok(said);
        }
        if !said {
            return Ok(false);
        }
        laws::spending_is_bounded(&before, &account, &ctx.limits)?;
        match ctx.store.swap_json(&key, &account, etag.as_deref()).await? {
            Swapped::Won { .. } => return Ok(said),
            Swapped::Lost => {}
        }
    }
    Ok(false)
}

async fn read(ctx: &Ctx) -> Result<(Account, Option<String>), LaunchError> {
    let key = StateKey::Account.to_string();
    match ctx.store.get_json::<Account>(&key).await? {
        None => Ok((Account::default(), None)),
        Some(Loaded { value: account, etag }) if account.format <= ACCOUNT_FORMAT => {
            Ok((account, Some(etag)))
        }
        Some(Loaded { value: account, .. }) => {
            Err(LaunchError::newer(key, account.format, ACCOUNT_FORMAT))
        }
    }
}
