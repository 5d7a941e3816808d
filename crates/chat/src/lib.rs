//! Notices as chat messages.

use resilver_heal::notice::Notice;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a chat speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Slack.
    Slack,
    /// Teams.
    Teams,
    /// Webhook.
    Webhook,
}

/// Renders.
pub fn render(_target: Target, notice: &Notice) -> Value {
    json!({"text": notice.id, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": format!("{:?}", notice.fact)}}]})
}
