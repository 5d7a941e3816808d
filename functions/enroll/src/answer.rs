//! CloudFormation: the stack comes, changes or goes, and waits to hear how that went. It hears, whatever
//! happens, before the function's time is over. A stack that goes is not held up by a bucket that is gone
//! or that we may no longer touch.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::StreamExt;
use resilver_aws::{AwsError, Kind, Woken, buckets, webhook};
use resilver_heal::enrolment::{By, Obstacle, Refusal};
use resilver_heal::key::Bucket;
use resilver_heal::limits::{ENROLL_AT_ONCE, ENROLL_QUEUE_PAUSES_MS, ENROLL_REASON_MAX};
use resilver_heal::state::StateKey;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{error, info};

use crate::memory::{self, Memory};
use crate::wanted::Wanted;
use crate::{Ctx, bucket};

/// What CloudFormation asks (CloudFormation User Guide: crpg-ref-requests).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    request_type: String,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
}

/// How it went.
struct Verdict {
    success: bool,
    reason: String,
    enrolled: BTreeSet<Bucket>,
}

/// What the deletion means for jobs that still run.
const ROLE_GOES: &str = "the role of jobs goes with the stack, so what they have not done by then fails, and is charged; \
     aws s3control update-job-status --requested-job-status Cancelled stops one";
/// Pauses before CloudFormation is told again, in milliseconds.
const PAUSES_MS: [u64; 3] = [0, 1_000, 3_000];

impl Request {
    /// The request that an event is, if it is one.
    pub(crate) fn of(event: &Value) -> Option<Self> {
        Self::deserialize(event).ok()
    }
}

/// Does what is asked, and answers.
pub(crate) async fn answer(ctx: &Ctx, woken: &Woken, request: &Request) -> Result<Value, AwsError> {
    let work = async {
        match request.request_type.as_str() {
            "Delete" => delete(ctx, woken).await,
            kind => install(ctx, woken, kind == "Update").await,
        }
    };
    let verdict = tokio::time::timeout(ctx.within, work).await.unwrap_or_else(|_| Verdict {
        success: false,
        reason: late(ctx),
        enrolled: BTreeSet::new(),
    });
    let kind = &request.request_type;
    info!(kind, success = verdict.success, reason = verdict.reason, "CloudFormation is answered");
    let body = body(ctx, request, &verdict);
    let mut why = "no answer".to_owned();
    for pause in PAUSES_MS {
        buckets::pause(&ctx.clients, pause).await;
        match webhook::put(&ctx.clients.http, &request.response_url, body.clone()).await {
            Ok(reply) if reply.status < 300 => return Ok(json!({"success": verdict.success})),
            Ok(reply) => why = format!("HTTP {}", reply.status),
            Err(problem) => why = problem.to_string(),
        }
        error!(why, "CloudFormation did not take the answer");
    }
    Err(AwsError {
        kind: Kind::Unavailable,
        operation: "PUT",
        target: "CloudFormation's answer".to_owned(),
        code: None,
        message: why,
    })
}

fn late(ctx: &Ctx) -> String {
    format!(
        "not done within {} seconds; raise the function's timeout or name fewer buckets, and do it again: it goes on where it was",
        ctx.within.as_secs()
    )
}

fn body(ctx: &Ctx, request: &Request, verdict: &Verdict) -> String {
    let own = format!("resilver-enrolment-{}", ctx.ours.stack);
    let names: Vec<&str> = verdict.enrolled.iter().map(Bucket::as_str).collect();
    json!({
        "Status": if verdict.success { "SUCCESS" } else { "FAILED" },
        "Reason": cut(&verdict.reason),
        "PhysicalResourceId": request.physical_resource_id.as_deref().unwrap_or(&own),
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_resource_id,
        "Data": {"Buckets": names.len().to_string(), "Enrolled": cut(&names.join(","))},
    })
    .to_string()
}

/// As much of a text as there is room for.
fn cut(text: &str) -> String {
    match text.char_indices().nth(ENROLL_REASON_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The stack is there, or changed. A change that fails enrols nothing: when CloudFormation undoes it, our
/// role names its buckets no longer. A stack that fails to come is deleted, and lets them go then.
async fn install(ctx: &Ctx, woken: &Woken, changed: bool) -> Verdict {
    let begun = Instant::now();
    let failed = |reason: String| Verdict { success: false, reason, enrolled: BTreeSet::new() };
    if let Some(broken) = &ctx.broken {
        return failed(broken.to_string());
    }
    let denied =
        |wanted: &Wanted| wanted.problem.as_ref().is_some_and(|it| it.kind == Kind::Denied);
    let wanted = patiently(ctx, async || Wanted::find(ctx).await, denied).await;
    let mut said = refusals(ctx, &wanted).await;
    if !said.is_empty() {
        return failed(said.join(". "));
    }
    let memory = match memory::installed(ctx, woken, true).await {
        Ok(()) => Memory::load(ctx).await,
        Err(problem) => Err(problem),
    };
    let memory = match &memory {
        Ok(memory) => memory,
        Err(problem) => return failed(problem.to_string()),
    };
    let work = wanted.buckets.iter().map(|bucket| async move {
        let enroll = bucket::enroll(ctx, woken, memory, bucket, By::Settings, false);
        let done = Box::pin(enroll).await;
        (bucket, done)
    });
    let mut enrolled = BTreeSet::new();
    let mut work = futures::stream::iter(work).buffered(ENROLL_AT_ONCE);
    let all = async {
        while let Some((bucket, done)) = work.next().await {
            match done {
                Ok(()) => drop(enrolled.insert(bucket.clone())),
                Err(refusal) => said.push(format!("{bucket}: {refusal}")),
            }
        }
    };
    // What is left of the time is for letting go again.
    let time = (ctx.within * 3 / 4).saturating_sub(begun.elapsed());
    if tokio::time::timeout(time, all).await.is_err() {
        said.push(late(ctx));
    }
    if !said.is_empty() {
        // Whatever became of each: one may have our entry and not be known.
        let new = wanted.buckets.iter();
        let new = new.filter(|bucket| changed && !memory.enrolled.contains(*bucket));
        for (bucket, done) in each(new, async |bucket| bucket::let_go(ctx, bucket).await).await {
            let refusal = done.err().map(|it| format!("{bucket} is not let go again: {it}"));
            said.extend(refusal);
        }
        return Verdict { success: false, reason: said.join(". "), enrolled };
    }
    // Only now: a change that fails is undone, and then they are wanted again.
    said.push(format!("{} buckets are enrolled", enrolled.len()));
    said.extend(let_go(ctx, memory, &wanted).await);
    if !wanted.unknown.is_empty() {
        let names: Vec<&str> = wanted.unknown.iter().map(Bucket::as_str).collect();
        said.push(format!(
            "whether these are wanted is not known, their tags cannot be read: {}",
            names.join(", ")
        ));
    }
    Verdict { success: true, reason: said.join(". "), enrolled }
}

/// Why not all that is wanted can be enrolled, as far as looking at it tells. Nothing is written before all
/// may be: what is refused leaves no trace, and a state bucket that is empty goes with a stack that did not
/// come to be (CloudFormation User Guide: aws-attribute-deletionpolicy).
async fn refusals(ctx: &Ctx, wanted: &Wanted) -> Vec<String> {
    let names = wanted.no_names.iter().map(|why| Refusal::name(why).to_string());
    let mut refusals: Vec<String> = names.collect();
    refusals.extend(wanted.problem.iter().map(ToString::to_string));
    let looks = each(&wanted.buckets, async |bucket| {
        let denied = |looked: &Result<_, Refusal>| {
            looked.as_ref().is_err_and(|refusal| refusal.code == Obstacle::Denied)
        };
        patiently(ctx, async || bucket::preview(ctx, bucket).await, denied).await
    });
    for (bucket, looked) in looks.await {
        refusals.extend(looked.err().map(|refusal| format!("{bucket}: {refusal}")));
    }
    refusals
}

/// Asks, and again while that is denied: what the stack has just permitted may not be known everywhere yet
/// (IAM User Guide: troubleshoot_general).
async fn patiently<T>(ctx: &Ctx, ask: impl AsyncFn() -> T, is_denied: impl Fn(&T) -> bool) -> T {
    for pause in ENROLL_QUEUE_PAUSES_MS {
        let answer = ask().await;
        if !is_denied(&answer) {
            return answer;
        }
        buckets::pause(&ctx.clients, pause).await;
    }
    ask().await
}

/// Does something to each bucket, several at a time; gives what came of each, in their order.
async fn each<'b, T>(
    buckets: impl IntoIterator<Item = &'b Bucket>,
    act: impl AsyncFn(&'b Bucket) -> T,
) -> Vec<(&'b Bucket, T)> {
    let act = &act;
    let work = buckets.into_iter().map(|bucket| async move { (bucket, act(bucket).await) });
    futures::stream::iter(work).buffered(ENROLL_AT_ONCE).collect().await
}

/// Lets go what the settings no longer name; says what could not be let go, which the schedule tries
/// again.
async fn let_go(ctx: &Ctx, memory: &Memory, wanted: &Wanted) -> Vec<String> {
    let mut said = Vec::new();
    for bucket in memory.enrolled.iter().filter(|bucket| wanted.has(bucket) == Some(false)) {
        let done = match memory::enrolled(ctx, bucket).await {
            Ok(Some(known)) if known.value.by == By::Settings => bucket::let_go(ctx, bucket).await,
            known => known.map(drop),
        };
        if let Err(refusal) = done {
            said.push(format!("{bucket} is not let go yet: {refusal}"));
        }
    }
    said
}

/// The stack goes.
async fn delete(ctx: &Ctx, woken: &Woken) -> Verdict {
    let mut said = Vec::new();
    // Of a stack that did not come to be nothing is remembered: its state bucket stays empty.
    if ctx.store.exists(&StateKey::Enrolment.to_string()).await.unwrap_or(true)
        && let Err(problem) = memory::installed(ctx, woken, false).await
    {
        said.push(problem.to_string());
    }
    let memory = Memory::load(ctx).await.unwrap_or_else(|problem| {
        said.push(problem.to_string());
        Memory::default()
    });
    // Those that are named too: one may have been enrolled and not remembered.
    let named = ctx.names.iter().filter_map(|name| Bucket::try_from(name.clone()).ok());
    let every: BTreeSet<Bucket> = memory.enrolled.into_iter().chain(named).collect();
    let mut success = true;
    for (bucket, done) in each(&every, async |bucket| bucket::let_go(ctx, bucket).await).await {
        let Err(refusal) = done else { continue };
        success &= refusal.lets_go();
        said.push(format!("{bucket}: {refusal}"));
    }
    match memory::jobs(ctx).await {
        Ok(jobs) if !jobs.is_empty() => {
            let jobs = jobs.into_iter();
            said.extend(jobs.map(|(bucket, job)| format!("job {job} of {bucket} still runs")));
            said.push(ROLE_GOES.to_owned());
        }
        Ok(_) => {}
        Err(problem) => said.push(problem.to_string()),
    }
    let said = said.join(". ");
    let reason = if said.is_empty() { format!("{} buckets are let go", every.len()) } else { said };
    Verdict { success, reason, enrolled: BTreeSet::new() }
}
