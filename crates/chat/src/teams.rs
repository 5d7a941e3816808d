//! Microsoft Teams: an Adaptive Card in a message, as a workflow's webhook takes it.

use resilver_heal::notice::Notice;
use serde_json::{Value, json};

use crate::escape::{cut, teams};
use crate::words::{Said, Tone};

/// Characters of one text; a card may have about 28 KB.
const TEXT_MAX: usize = 1_500;

pub(crate) fn render(notice: &Notice, said: &Said) -> Value {
    let color = match said.tone {
        Tone::Good => "good",
        Tone::Bad => "warning",
        Tone::Plain => "default",
    };
    let block = |text: &str| json!({"type": "TextBlock", "wrap": true, "text": text});
    let mut body = vec![json!({
        "type": "TextBlock", "wrap": true, "weight": "Bolder", "size": "Medium", "color": color,
        "text": teams(&cut(&said.title, TEXT_MAX)),
    })];
    for line in &said.lines {
        body.push(block(&teams(&cut(&line.text(), TEXT_MAX))));
    }
    if let Some(next) = &said.next {
        body.push(block(&format!("**Now:** {}", teams(&cut(&next.text(), TEXT_MAX)))));
    }
    body.push(json!({
        "type": "TextBlock", "wrap": true, "isSubtle": true, "size": "Small",
        "text": format!("{} · {}", teams(notice.bucket.as_str()), notice.at),
    }));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.2",
                "body": body,
            },
        }],
    })
}
