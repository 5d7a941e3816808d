//! How an AWS call failed.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What a failure means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for is not there (404).
    NotFound,
    /// A condition of the request did not hold (412).
    Precondition,
    /// Another request was at it at the same time (409).
    Conflict,
    /// Not permitted (403).
    Denied,
    /// The request itself is wrong (400, 405, 416): asking again changes nothing.
    Invalid,
    /// Too many requests: it may pass.
    Throttled,
    /// No answer, or one that says nothing: whether it was done is unknown.
    Unavailable,
}

/// An AWS call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct AwsError {
    /// What it means.
    pub kind: Kind,
    /// The call: `PutObject`.
    pub operation: &'static str,
    /// What it was about: a bucket and key, a job. Never a secret.
    pub target: String,
    /// The service's code.
    pub code: Option<String>,
    /// The service's sentence.
    pub message: String,
}

/// How the sentence of a denial ends, for functions: a person has other rights.
pub const ALLOW: &str = "; allow the function's role this call on it";

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, target, message, .. } = self;
        let code = self.code.as_deref().unwrap_or("no code");
        write!(f, "{operation} {target}: {message} ({code})")?;
        match self.kind {
            Kind::Denied => f.write_str(ALLOW),
            _ => Ok(()),
        }
    }
}

impl AwsError {
    /// From an SDK's error.
    pub(crate) fn of<E>(
        operation: &'static str,
        target: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
        let message = meta.and_then(|meta| meta.message()).map(str::to_owned);
        let message = message.unwrap_or_else(|| unanswered(error, status));
        Self {
            kind: kind(status, code.as_deref()),
            operation,
            target: target.into(),
            code,
            message,
        }
    }

    /// A failure that no service answered.
    pub(crate) fn local(
        operation: &'static str,
        target: impl Into<String>,
        message: impl fmt::Display,
    ) -> Self {
        let (target, message) = (target.into(), message.to_string());
        Self { kind: Kind::Unavailable, operation, target, code: None, message }
    }
}

fn unanswered<E>(error: &SdkError<E, HttpResponse>, status: Option<u16>) -> String {
    match (error, status) {
        (_, Some(status)) => format!("HTTP {status}"),
        (SdkError::TimeoutError(_), _) => "no answer in time".to_owned(),
        (SdkError::DispatchFailure(failure), _) => {
            let why = failure.as_connector_error().map(ToString::to_string);
            format!("no answer: {}", why.unwrap_or_default())
        }
        _ => "the request could not be made or its answer not read".to_owned(),
    }
}

fn kind(status: Option<u16>, code: Option<&str>) -> Kind {
    match code.unwrap_or_default() {
        "SlowDown" | "TooManyRequestsException" | "ThrottlingException" | "Throttling" => {
            return Kind::Throttled;
        }
        "InternalServiceException" | "InternalError" | "InternalException" => {
            return Kind::Unavailable;
        }
        _ => {}
    }
    match status {
        Some(403) => Kind::Denied,
        Some(404) => Kind::NotFound,
        Some(409) => Kind::Conflict,
        Some(412) => Kind::Precondition,
        Some(429) => Kind::Throttled,
        Some(400..=499) => Kind::Invalid,
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_a_code_make_a_kind() {
        for (status, code, expected) in [
            (Some(403), Some("AccessDenied"), Kind::Denied),
            (Some(404), None, Kind::NotFound),
            (Some(412), Some("PreconditionFailed"), Kind::Precondition),
            (Some(400), Some("IdempotencyException"), Kind::Invalid),
            (Some(400), Some("TooManyRequestsException"), Kind::Throttled),
            (Some(503), Some("SlowDown"), Kind::Throttled),
            (Some(500), Some("InternalError"), Kind::Unavailable),
            (None, None, Kind::Unavailable),
        ] {
            assert_eq!(kind(status, code), expected, "{status:?} {code:?}");
        }
    }
}
