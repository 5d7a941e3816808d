//! What a service says when it will not: the code, status and sentence that go on the wire.

/// An error answer of an emulated service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct Refusal {
    /// The service's error code: `NoSuchBucket`, `PreconditionFailed`, …
    pub code: String,
    /// The HTTP status that goes with it.
    pub status: u16,
    /// The human sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), status, message: message.into() }
    }
}

/// What an operation of the world gives.
pub type Answer<T> = Result<T, Refusal>;
