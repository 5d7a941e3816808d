//! Preconditions of reads and writes, judged against the current version (S3 User Guide:
//! conditional-writes, conditional-deletes).
//!
//! Races do not exist here: every operation is one step of the world, so 409 `ConditionalRequestConflict`
//! is never given.

use super::no_such_key;
use crate::world::object::Version;
use crate::world::{Answer, Millis, Refusal};

/// The precondition of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteIf {
    /// `If-Match`: the current version has this ETag (without quotes), or exists at all for `*`.
    pub matches: Option<String>,
    /// `If-None-Match: *`: there is no current version.
    pub absent: bool,
}

/// The precondition of a read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadIf {
    /// `If-Match`, without quotes.
    pub matches: Option<String>,
    /// `If-None-Match`, without quotes.
    pub differs: Option<String>,
    /// `If-Modified-Since`.
    pub modified_since: Option<Millis>,
    /// `If-Unmodified-Since`.
    pub unmodified_since: Option<Millis>,
}

impl WriteIf {
    /// The condition of a put, when `current` is the newest version.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`; 404 `NoSuchKey` for `If-Match` where nothing is.
    pub fn check(&self, current: Option<&Version>) -> Answer<()> {
        let current = current.and_then(|version| version.content.as_ref());
        if self.absent && current.is_some() {
            return Err(failed());
        }
        match (&self.matches, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(no_such_key()),
            (Some(wanted), Some(content)) => met(is_tag(wanted, &content.etag)),
        }
    }

    /// The condition of a delete. As for a put, what is absent is not found, which is what has been seen of S3;
    /// its User Guide says 412 of `*`.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`; 404 `NoSuchKey` where nothing is.
    pub fn check_delete(&self, current: Option<&Version>) -> Answer<()> {
        let Some(wanted) = &self.matches else {
            return Ok(());
        };
        let content = current.and_then(|version| version.content.as_ref());
        met(is_tag(wanted, &content.ok_or_else(no_such_key)?.etag))
    }
}

impl ReadIf {
    /// The condition of a read of a version with this ETag and time.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`, 304 `NotModified`.
    pub fn check(&self, etag: &str, modified: Millis) -> Answer<()> {
        // The wire counts in seconds; a version is as old as the second it was written in.
        let second = modified / 1_000 * 1_000;
        if let Some(wanted) = &self.matches {
            met(is_tag(wanted, etag))?;
        } else if self.unmodified_since.is_some_and(|since| second > since) {
            return Err(failed());
        }
        let unchanged = match &self.differs {
            Some(known) => is_tag(known, etag),
            None => self.modified_since.is_some_and(|since| second <= since),
        };
        if unchanged {
            return Err(Refusal::new(304, "NotModified", "Not Modified"));
        }
        Ok(())
    }
}

fn is_tag(wanted: &str, etag: &str) -> bool {
    wanted == "*" || wanted == etag
}

fn met(condition: bool) -> Answer<()> {
    if condition { Ok(()) } else { Err(failed()) }
}

fn failed() -> Refusal {
    Refusal::new(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
    )
}
