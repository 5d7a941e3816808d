//! How a command fails: what is wrong, and what to type next.

use serde_json::{Value, json};

/// Exit codes, for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something was found, or not healed.
    Found = 1,
    /// Wrong usage, a path that does not exist included.
    Usage = 2,
    /// Could not find out: AWS, network, I/O.
    Unknown = 3,
}

/// A command that could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {next}")]
pub struct CliError {
    /// How the process ends.
    pub exit: Exit,
    /// A word for programs: `usage`, `path`, `address`, `aws`, `denied`, `no-such-bucket`, …
    pub code: &'static str,
    /// What is wrong, lower case, in one line.
    pub message: String,
    /// What to do or type next.
    pub next: String,
}

impl CliError {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: "usage", message: message.into(), next: next.into() }
    }

    /// A path that does not exist, or cannot be used.
    pub fn path(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: "path", message: message.into(), next: next.into() }
    }

    /// An address that cannot be listened at.
    pub fn address(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Found, code: "address", message: message.into(), next: next.into() }
    }

    /// Something that could not be found out.
    pub fn unknown(message: impl Into<String>) -> Self {
        let next = "run it again with RUST_LOG=debug and report what it says".to_owned();
        Self { exit: Exit::Unknown, code: "aws", message: message.into(), next }
    }

    /// Something that there is not: a bucket, a stack.
    pub fn missing(
        code: &'static str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { exit: Exit::Usage, code, message: message.into(), next: next.into() }
    }

    /// Something that stands in the way of what was asked for.
    pub fn found(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: Exit::Found, code, message: message.into(), next: next.into() }
    }

    /// As a document.
    pub fn to_json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "next": self.next}})
    }
}

impl From<crate::app::AppError> for CliError {
    fn from(error: crate::app::AppError) -> Self {
        Self::unknown(error.to_string())
    }
}
