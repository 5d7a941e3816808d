//! Reading the replication status of one object version.

use crate::{AwsError, Clients, Kind};

/// What a version's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `x-amz-replication-status`; `None` if no rule applies to the version.
    pub replication: Option<String>,
}

/// Reads a version's headers; `None` if it no longer exists. A delete marker has none that can be
/// read this way (405) and is reported as an error of kind `Invalid`.
pub async fn head(
    clients: &Clients,
    bucket: &str,
    key: &str,
    version: &str,
) -> Result<Option<Head>, AwsError> {
    let request = clients.s3.head_object().bucket(bucket).key(key).version_id(version);
    match Box::pin(request.send()).await {
        Ok(output) => {
            let replication = output.replication_status().map(|s| s.as_str().to_owned());
            Ok(Some(Head { replication }))
        }
        Err(error) => {
            let target = format!("s3://{bucket}/{key}?versionId={version}");
            let problem = AwsError::of("HeadObject", target, &error);
            if problem.kind == Kind::NotFound { Ok(None) } else { Err(problem) }
        }
    }
}
