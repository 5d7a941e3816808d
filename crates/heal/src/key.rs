//! The names that S3 gives, each its own type, and an object key's three spellings: in an event it is
//! form-encoded, in our manifests percent-encoded, and a completion report repeats the manifest's text.
//! Confusing them heals the wrong object or none.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// A name that S3 would not have given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a bucket name.
    #[error("{0:?} is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket(String),
    /// Not an object key.
    #[error("{0:?} is no object key: 1 to 1,024 bytes of UTF-8")]
    Key(String),
    /// A percent sequence that is none.
    #[error("{0:?} is not encoded as a key: a percent sign without two hex digits, or not UTF-8")]
    Encoding(String),
    /// Not a version id.
    #[error("{0:?} is no version id: 1 to 1,024 characters, no spaces or control characters")]
    Version(String),
    /// Not a job id.
    #[error("{0:?} is no job id: 5 to 36 letters, digits, hyphens and underscores")]
    Job(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = KeyError;

            fn try_from(text: String) -> Result<Self, KeyError> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(KeyError::$error(shorten(&text))) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A bucket's name.
    Bucket,
    Bucket,
    |text| (3..=63).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
);

name!(
    /// An object's key, decoded; ordered by its bytes.
    Key,
    Key,
    |text| (1..=1_024).contains(&text.len())
);

name!(
    /// A version's id; `null` for one written before versioning.
    VersionId,
    Version,
    |text| (1..=1_024).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',' || c == '"')
);

name!(
    /// The id of a Batch Operations job.
    JobId,
    Job,
    |text| (5..=36).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);

/// Everything but what RFC 3986 calls unreserved, and the slash, which S3's own examples leave as it
/// is. A space becomes `%20` and a plus `%2B`, so that both ways to decode agree.
const MANIFEST: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

impl Key {
    /// From an event, where it is form-encoded (S3 User Guide: notification-content-structure).
    pub fn from_event(text: &str) -> Result<Self, KeyError> {
        decode(&text.replace('+', " "))
    }

    /// As it stands in a manifest and in our runs: one field without a comma, quote or line end.
    pub fn to_manifest(&self) -> String {
        utf8_percent_encode(&self.0, MANIFEST).to_string()
    }

    /// The length of [`Key::to_manifest`], in bytes.
    pub fn manifest_len(&self) -> usize {
        utf8_percent_encode(&self.0, MANIFEST).map(str::len).sum()
    }

    /// From a manifest or a run.
    pub fn from_manifest(text: &str) -> Result<Self, KeyError> {
        decode(text)
    }

    /// From a list that S3 made itself. Its format is that of S3 Inventory, whose lists have been seen to spell a
    /// space as a plus, and a plus as `%2B`, as events do.
    pub fn from_listing(text: &str) -> Result<Self, KeyError> {
        Self::from_event(text)
    }

    /// From a completion report, which repeats the manifest's own text: ours, which spells neither a space nor
    /// a plus as a plus, or one that S3 made.
    pub fn from_report(text: &str) -> Result<Self, KeyError> {
        Self::from_listing(text)
    }
}

fn decode(text: &str) -> Result<Key, KeyError> {
    let whole = text
        .split('%')
        .skip(1)
        .all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2);
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if whole => Key::try_from(decoded.into_owned()),
        _ => Err(KeyError::Encoding(shorten(text))),
    }
}

/// Foreign text for an error message, not more of it than helps.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "key/tests.rs"]
mod tests;
