//! Foreign text, made harmless for each chat: shown as it is, without effect.

/// Cuts a text to so many characters, and says that it is cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Control characters, line ends among them, as pictures (U+2400 and on); direction marks, which could
/// turn a line around, as a replacement character.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// For Slack: the three characters that begin everything it acts on (Slack: formatting text).
pub(crate) fn slack(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For Slack's mrkdwn outside of code: a zero-width space keeps its marks from being marks.
pub(crate) fn slack_words(text: &str) -> String {
    let mut safe = String::new();
    for c in slack(text).chars() {
        if matches!(c, '*' | '_' | '~' | '`') {
            safe.push('\u{200b}');
        }
        safe.push(c);
    }
    safe
}

/// For Slack, as code: a backtick would end it.
pub(crate) fn slack_code(text: &str) -> String {
    format!("`{}`", slack(text).replace('`', "\u{2019}"))
}

/// For Adaptive Cards' Markdown: a backslash before every mark.
pub(crate) fn teams(text: &str) -> String {
    let mut safe = String::new();
    for c in plain(text).chars() {
        if matches!(
            c,
            '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '`' | '#' | '>' | '<' | '!' | '~' | '|'
        ) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}
