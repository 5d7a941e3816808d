//! `notify`: says one notice in every chat that is set up, once. What was said where is marked in the
//! state bucket; a chat that is down is tried again when the notice is published again.

use resilver_aws::{AwsError, Clients, Settings, Store, webhook};
use resilver_chat::{Target, render};
use resilver_heal::notice::{NOTICE_FORMAT, Notice};
use resilver_heal::state::{SAID, StateKey};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{error, info, warn};

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
        let chats = settings.json("RESILVER_CHATS").unwrap_or_default();
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

/// Says the notice that is the event's detail.
pub async fn handle(ctx: &Ctx, event: &Value) -> Result<Value, NotifyError> {
    let detail = event.get("detail").cloned().unwrap_or_default();
    let notice: Notice =
        serde_json::from_value(detail).map_err(|why| NotifyError::Unreadable(why.to_string()))?;
    if notice.format > NOTICE_FORMAT {
        return Err(NotifyError::Unreadable(format!("it has format {}", notice.format)));
    }
    let said = StateKey::Notice(&notice.id, SAID).to_string();
    if ctx.store.exists(&said).await? {
        return Ok(json!({"said": 0}));
    }
    let mut later = None;
    for chat in &ctx.chats {
        if let Err(problem) = say(ctx, &notice, chat).await {
            warn!(chat = chat.name, notice = notice.id, error = %problem, "not said");
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

/// Says it in one chat, unless it is said there. A chat that refuses for good (a message it will
/// never take, a webhook that is gone) is marked too: saying it again would change nothing.
async fn say(ctx: &Ctx, notice: &Notice, chat: &Chat) -> Result<(), NotifyError> {
    let mark = StateKey::Notice(&notice.id, &chat.name).to_string();
    if ctx.store.exists(&mark).await? {
        return Ok(());
    }
    let body = render(chat.kind, notice).to_string();
    let reply = webhook::post(&ctx.clients.http, &chat.url, "application/json", body).await?;
    match reply.status {
        200..=299 => info!(chat = chat.name, notice = notice.id, "said"),
        429 | 500..=599 => {
            let (chat, why) = (chat.name.clone(), format!("HTTP {}", reply.status));
            return Err(NotifyError::Later { chat, why });
        }
        status => error!(chat = chat.name, status, answer = reply.body, "refused for good"),
    }
    ctx.store.put_json_new(&mark, &json!({"status": reply.status})).await?;
    Ok(())
}
