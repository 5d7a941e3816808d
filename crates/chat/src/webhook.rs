//! A plain JSON webhook: the notice itself, and its words beside it. Foreign text is as it came: what
//! reads it is a program.

use resilver_heal::notice::Notice;
use serde_json::{Value, json};

use crate::words::{Line, Said};

pub(crate) fn render(notice: &Notice, said: &Said) -> Value {
    json!({
        "title": said.title,
        "lines": said.lines.iter().map(Line::text).collect::<Vec<_>>(),
        "next": said.next.as_ref().map(Line::text),
        "notice": notice,
    })
}
