//! `notify`: says one notice in every chat that is set up, once. What was said where is marked in the
//! state bucket; a chat that is down is tried again when the notice is published again.

use resilver_aws::store::Loaded;
use resilver_aws::{AwsError, Clients, Settings, Store, Swapped, webhook};
use resilver_chat::{Answer, Target, render};
use resilver_heal::limits::CLAIM_MS;
use resilver_heal::notice::{NOTICE_FORMAT, Notice};
use resilver_heal::state::{SAID, StateKey};
use resilver_heal::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{Instrument, error, info, info_span, warn};

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The AWS clients; their HTTP client posts the webhooks.
    pub clients: Clients,
    /// The state bucket.
    pub store: Store,
    /// The chats.
    pub chats: Vec<Chat>,
}

/// One chat that notices are said in.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Its name among the chats: `[a-z0-9-]`; it is part of the mark, so renaming says all again.
    pub name: String,
    /// What it speaks.
    pub kind: Target,
    /// The webhook's URL: a secret, never logged.
    pub url: String,
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chat({})", self.name)
    }
}

impl Ctx {
    /// Reads the function's settings.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        let bucket = settings.required("RESILVER_STATE_BUCKET");
        let mut chats: Vec<Chat> = settings.json("RESILVER_CHATS").unwrap_or_default();
        for (n, chat) in chats.iter().enumerate() {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let taken = chats.iter().take(n).any(|other| other.name == chat.name);
            if chat.name.is_empty() || !chat.name.chars().all(fits) || chat.name == SAID || taken {
                let why = format!(
                    "the name {:?} is taken or none; give each chat another of a-z, 0-9 and hyphens",
                    chat.name
                );
                settings.problem("RESILVER_CHATS", &why);
            }
        }
        // The template has a place for each kind of chat, and nothing in those that nobody uses; or `none`,
        // since `sam deploy --guided` asks for a secret until something is typed.
        chats.retain(|chat| !matches!(chat.url.as_str(), "" | "none"));
        Self { store: Store::new(clients.clone(), bucket), clients, chats }
    }
}

/// Why a notice is not said everywhere yet.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The event is no notice, or one of a later release.
    #[error("the event is no notice that this release can read: {0}")]
    Unreadable(String),
    /// A chat did not take it; it is said again when the notice is published again.
    #[error("not said in {chat}: {why}; it is tried again")]
    Later {
        /// The chat's name.
        chat: String,
        /// What it answered.
        why: String,
    },
}

/// Says the notice that is the event's detail. `now` is when the function runs, which is not the event's
/// time: one that was delayed is not older than one that comes at the same moment.
pub async fn handle(ctx: &Ctx, now: Timestamp, event: &Value) -> Result<Value, NotifyError> {
    let detail = event.get("detail").cloned().unwrap_or_default();
    let notice: Notice =
        serde_json::from_value(detail).map_err(|why| NotifyError::Unreadable(why.to_string()))?;
    if notice.format > NOTICE_FORMAT {
        return Err(NotifyError::Unreadable(format!("it has format {}", notice.format)));
    }
    let (job, plan) = notice.fact.about();
    let (job, plan) = (job.map(tracing::field::display), plan.map(tracing::field::display));
    let span = info_span!("notice", notice = notice.id, bucket = %notice.bucket, job, plan);
    Box::pin(tell(ctx, now, &notice)).instrument(span).await
}

async fn tell(ctx: &Ctx, now: Timestamp, notice: &Notice) -> Result<Value, NotifyError> {
    let said = StateKey::Notice(&notice.id, SAID).to_string();
    if ctx.store.exists(&said).await? {
        return Ok(json!({"said": 0}));
    }
    let mut later = None;
    for chat in &ctx.chats {
        if let Err(problem) = say(ctx, notice, chat, now).await {
            warn!(chat = chat.name, error = %problem, "not said");
            later.get_or_insert(problem);
        }
    }
    match later {
        Some(problem) => Err(problem),
        None => {
            ctx.store.put_json_new(&said, &json!({"chats": ctx.chats.len()})).await?;
            Ok(json!({"said": ctx.chats.len()}))
        }
    }
}

/// What is marked of one notice in one chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// What the chat answered; `None` while somebody is saying it.
    status: Option<u16>,
    /// When it was claimed; the beginning of time for one that was given up.
    at: Timestamp,
}

/// Says it in one chat, unless it is said there. Whoever says it claims it first, since one event may
/// come twice at the same time. A message that a chat will never take is marked as said: saying it
/// again would change nothing.
async fn say(ctx: &Ctx, notice: &Notice, chat: &Chat, now: Timestamp) -> Result<(), NotifyError> {
    let key = StateKey::Notice(&notice.id, &chat.name).to_string();
    let Some(claim) = claim(ctx, &key, chat, now).await? else {
        return Ok(());
    };
    let body = render(chat.kind, notice).to_string();
    let reply = webhook::post(&ctx.clients.http, &chat.url, "application/json", body).await;
    let answer = reply.as_ref().map_or(Answer::Later, |reply| Answer::of(reply.status));
    let reply = match (answer, reply) {
        (Answer::Taken | Answer::Never, Ok(reply)) => reply,
        (_, reply) => {
            // The next one may try at once, unless another has taken the claim over meanwhile.
            let given_up = Mark { status: None, at: Timestamp::default() };
            ctx.store.swap_json(&key, &given_up, Some(&claim)).await?;
            let why = reply.map_or_else(|why| why.to_string(), |r| format!("HTTP {}", r.status));
            return Err(NotifyError::Later { chat: chat.name.clone(), why });
        }
    };
    match answer {
        Answer::Never => {
            error!(chat = chat.name, status = reply.status, answer = reply.body, "never taken");
        }
        _ => info!(chat = chat.name, "said"),
    }
    let mark = Mark { status: Some(reply.status), at: now };
    ctx.store.swap_json(&key, &mark, Some(&claim)).await?;
    Ok(())
}

/// Claims a notice for one chat: gives the claim's ETag, or `None` if it is said there.
async fn claim(
    ctx: &Ctx,
    key: &str,
    chat: &Chat,
    now: Timestamp,
) -> Result<Option<String>, NotifyError> {
    let found = ctx.store.get_json::<Mark>(key).await?;
    let later = |why: &str| NotifyError::Later { chat: chat.name.clone(), why: why.to_owned() };
    let etag = match found {
        None => None,
        Some(Loaded { value: Mark { status: Some(_), .. }, .. }) => return Ok(None),
        Some(Loaded { value, .. }) if now.since(value.at) < CLAIM_MS => {
            return Err(later("somebody else is saying it"));
        }
        Some(Loaded { etag, .. }) => Some(etag),
    };
    match ctx.store.swap_json(key, &Mark { status: None, at: now }, etag.as_deref()).await? {
        Swapped::Won { etag } => Ok(Some(etag)),
        Swapped::Lost => Err(later("somebody else is saying it")),
    }
}
