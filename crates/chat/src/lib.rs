//! Notices as chat messages. The words are chosen once, in [`words`], and set for each chat by its own
//! rules. Keys and sentences in a notice are foreign text: they are shown, and never obeyed.
//!
//! It posts nothing; `notify` does.

mod escape;
mod slack;
mod teams;
mod webhook;
pub mod words;

use resilver_heal::notice::Notice;
use serde::Deserialize;
use serde_json::Value;

/// What a chat speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A Slack incoming webhook.
    Slack,
    /// A Power Automate workflow of Microsoft Teams, "When a Teams webhook request is received".
    Teams,
    /// Any service that takes JSON.
    Webhook,
}

/// The body to post for a notice.
pub fn render(target: Target, notice: &Notice) -> Value {
    let said = words::say(notice);
    match target {
        Target::Slack => slack::render(notice, &said),
        Target::Teams => teams::render(notice, &said),
        Target::Webhook => webhook::render(notice, &said),
    }
}

/// What an HTTP status of a webhook means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was said.
    Taken,
    /// This message will never be taken: saying it again changes nothing.
    Never,
    /// Not now: too fast, down, or a webhook that somebody has to put right.
    Later,
}

impl Answer {
    /// Of a status.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            400 | 413 | 422 => Self::Never,
            _ => Self::Later,
        }
    }
}

/// A notice as plain text, a few lines.
pub fn text(notice: &Notice) -> String {
    let said = words::say(notice);
    let mut text = escape::plain(&said.title);
    for line in said.lines.iter().chain(&said.next) {
        text.push('\n');
        text.push_str(&escape::plain(&line.text()));
    }
    text
}

#[cfg(test)]
mod tests;
