//! Why a template is not deployed: where in it, and what to do.

use crate::world::Refusal;

/// What is wrong, and where: `StateBucket.Properties.Website`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct StackError {
    /// The place: sections, logical ids and properties, with dots between them.
    pub at: String,
    /// What is wrong with it.
    pub what: String,
}

impl StackError {
    /// An error at a place.
    pub fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }

    /// The world did not do what the template asks for.
    pub(super) fn refused(at: &str, refusal: &Refusal) -> Self {
        Self::new(at, format!("{}: {}", refusal.code, refusal.message))
    }
}

/// What comes of reading or deploying.
pub(super) type Done<T> = Result<T, StackError>;
