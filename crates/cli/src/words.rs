//! Numbers, times and money as people read them, and the way out to stdout.

use std::io::Write;

use indicatif::HumanCount;
use resilver_heal::time::Timestamp;
use serde_json::Value;

use crate::error::CliError;

/// Prints on stdout.
///
/// # Errors
/// Nobody reads it.
pub fn print(text: &str) -> Result<(), CliError> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|why| CliError::unknown(format!("stdout is closed: {why}")))
}

/// Prints what came of a command: as a document, or as text.
pub(crate) fn report(json: bool, document: &Value, text: &str) -> Result<(), CliError> {
    match json {
        true => print(&format!("{document:#}\n")),
        false => print(&format!("{}\n", text.trim_end())),
    }
}

/// `$0.25`; more digits where cents would say nothing.
pub(crate) fn money(micro_usd: u64) -> String {
    let (whole, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    match rest % 10_000 {
        0 => format!("${}.{:02}", HumanCount(whole), rest / 10_000),
        _ => format!("${}.{rest:06}", HumanCount(whole)).trim_end_matches('0').to_owned(),
    }
}

/// `2026-01-31 12:00 UTC`.
pub(crate) fn at(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// A line of two columns, the first as wide as the longest word in it; what is too long is not cut.
pub(crate) fn row(name: &str, text: &str) -> String {
    format!("  {name:<13} {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(money(250_000), "$0.25");
        assert_eq!(money(400_006), "$0.400006");
        assert_eq!(money(15_000), "$0.015");
        assert_eq!(money(1_234_000_000), "$1,234.00");
        assert_eq!(at(Timestamp(1_725_570_272_527)), "2024-09-05 21:04 UTC");
    }
}
