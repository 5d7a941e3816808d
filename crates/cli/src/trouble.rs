//! What went wrong on AWS, for the person at the terminal: which permission, which bucket, which
//! setting. It decides nothing else.

use resilver_aws::clients::NO_REGION;
use resilver_aws::{ALLOW, AwsError, Kind};
use resilver_enroll::Ctx;
use resilver_heal::enrolment::{Obstacle, Refusal};

use crate::error::{CliError, Exit};

/// Codes with which S3 and STS refuse the keys themselves (S3 API Reference: ErrorResponses).
const KEYS: [&str; 6] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "RequestTimeTooSkewed",
];

/// Where the keys come from.
const SIGN_IN: &str = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (after a login by browser: eval \"$(aws configure export-credentials --format env)\")";

impl From<AwsError> for CliError {
    fn from(problem: AwsError) -> Self {
        let AwsError { kind, operation, target, code, message } = problem;
        let code = code.unwrap_or_default();
        let (word, next) = match kind {
            _ if code == NO_REGION => ("region", "set AWS_REGION to the stack's Region".to_owned()),
            _ if KEYS.contains(&code.as_str()) => ("keys", SIGN_IN.to_owned()),
            Kind::Denied => {
                ("denied", format!("allow whoever runs this {}", permission(operation)))
            }
            Kind::NotFound if code == "NoSuchBucket" => {
                ("no-such-bucket", "correct its name".to_owned())
            }
            // The document's own sentence says what to do.
            Kind::Invalid if code == "UnreadableDocument" => {
                ("format", "nothing was written".into())
            }
            _ if code == "PermanentRedirect" => {
                ("region", "set AWS_REGION to the Region of the bucket".to_owned())
            }
            Kind::Unavailable if code.is_empty() => (
                "aws",
                format!(
                    "see that AWS_REGION, and AWS_ENDPOINT_URL if set, are right, and {SIGN_IN}"
                ),
            ),
            _ => ("aws", "run it again".to_owned()),
        };
        let exit = if word == "no-such-bucket" { Exit::Usage } else { Exit::Unknown };
        let ours = code.is_empty() || word == "format" || code == NO_REGION;
        let code = if ours { String::new() } else { format!(" ({code})") };
        let target = if target.is_empty() { target } else { format!(" {target}") };
        let message = format!("{operation}{target}: {}{code}", message.trim_end_matches('.'));
        Self { exit, code: word, message, next }
    }
}

/// The permission that a call needs (Service Authorization Reference: Amazon S3).
fn permission(operation: &str) -> &'static str {
    match operation {
        "GetObject" | "HeadObject" => "s3:GetObject on it",
        "PutObject" => "s3:PutObject on it",
        "DeleteObjects" => "s3:DeleteObject on it",
        "ListObjectsV2" | "HeadBucket" => "s3:ListBucket on the bucket",
        "GetBucketReplication" => "s3:GetReplicationConfiguration on the bucket",
        "GetBucketVersioning" => "s3:GetBucketVersioning on the bucket",
        "GetBucketNotificationConfiguration" => "s3:GetBucketNotification on the bucket",
        "PutBucketNotificationConfiguration" => "s3:PutBucketNotification on the bucket",
        _ => "this call",
    }
}

/// A bucket that is not enrolled, or not let go. Where the queue refuses, it may be the stack's own
/// policy, which names its buckets.
pub(crate) fn refused(refusal: Refusal, ctx: &Ctx) -> CliError {
    let Refusal { code, why, remedy } = refusal;
    let why = why.replace(ALLOW, "");
    let exit = match code {
        Obstacle::Gone => Exit::Usage,
        Obstacle::Unavailable | Obstacle::Denied => Exit::Unknown,
        _ => Exit::Found,
    };
    let next = match code {
        Obstacle::Queue => format!(
            "see that the queue is that of the stack {}, and name the bucket in its parameter Buckets: the queue's policy lets only those send; or {remedy}",
            ctx.ours.stack
        ),
        Obstacle::Denied => "allow whoever runs this s3:GetBucketNotification, s3:PutBucketNotification, s3:GetBucketVersioning and s3:ListBucket on the bucket".to_owned(),
        Obstacle::Unavailable => "run it again".to_owned(),
        Obstacle::Gone => "correct its name".to_owned(),
        _ => remedy,
    };
    CliError { exit, code: code.as_str(), message: why, next }
}
