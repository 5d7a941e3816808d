//! Slack: Block Kit for an incoming webhook, within its documented limits and a guard below the
//! undocumented one on a message as a whole.

use resilver_heal::notice::Notice;
use serde_json::{Value, json};

use crate::escape::{cut, plain, slack, slack_code, slack_words};
use crate::words::{Line, Piece, Said, Tone};

/// Characters of a header (Slack: Block Kit reference).
const HEADER_MAX: usize = 150;
/// Characters of a section, a little below the 3,000 that it may have.
const SECTION_MAX: usize = 2_900;
/// Characters of one piece of foreign text.
const PIECE_MAX: usize = 600;

pub(crate) fn render(notice: &Notice, said: &Said) -> Value {
    let mark = match said.tone {
        Tone::Good => "✅ ",
        Tone::Bad => "⚠️ ",
        Tone::Plain => "",
    };
    let title = format!("{mark}{}", plain(&said.title));
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": cut(&title, HEADER_MAX), "emoji": true},
    })];
    let lines: Vec<String> = said.lines.iter().map(line).collect();
    if !lines.is_empty() {
        blocks.push(section(&lines.join("\n")));
    }
    if let Some(next) = &said.next {
        blocks.push(section(&format!("*Now:* {}", line(next))));
    }
    let foot = format!("{} · {}", slack_code(notice.bucket.as_str()), notice.at);
    blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": foot}]}));
    json!({"text": cut(&slack(&said.title), SECTION_MAX), "blocks": blocks})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(text, SECTION_MAX)}})
}

fn line(line: &Line) -> String {
    let pieces = line.0.iter().map(|piece| match piece {
        Piece::Words(text) => slack_words(&cut(text, PIECE_MAX)),
        Piece::Code(text) => slack_code(&cut(text, PIECE_MAX)),
    });
    pieces.collect()
}
