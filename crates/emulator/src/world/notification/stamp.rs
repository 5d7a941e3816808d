//! The world's milliseconds as text, and keys as events spell them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::world::Millis;

/// What form encoding leaves alone, and `/`, which S3 leaves alone as well.
const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b'/').remove(b' ');

/// `2026-01-01T00:00:00.000Z`.
pub(crate) fn iso(at: Millis) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    written(at, format)
}

/// `2026-01-01T00:00:00Z`.
pub(crate) fn iso_seconds(at: Millis) -> String {
    written(at, format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"))
}

fn written(at: Millis, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

/// A key as it stands in an event: form encoded, a space being `+` (S3 User Guide: event message
/// structure).
pub(crate) fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, FORM).to_string().replace(' ', "+")
}
