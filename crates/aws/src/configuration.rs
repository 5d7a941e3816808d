//! Reading how a bucket is set up: its replication, versioning, lifecycle, Intelligent-Tiering and
//! default encryption. That nothing is set is an answer; that it may not be read is one too, where what
//! is looked for is only a blind spot.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    DeleteMarkerReplicationStatus, ExpirationStatus, IntelligentTieringStatus,
    LifecycleRule as SdkLifecycleRule, MetricsStatus, OwnerOverride, ReplicaModificationsStatus,
    ReplicationRule, ReplicationRuleFilter, ReplicationRuleStatus, ReplicationTimeStatus,
    SseKmsEncryptedObjectsStatus, Tag,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use resilver_heal::configuration::{Configuration, Destination, Rule};
use resilver_heal::finding::{LifecycleRule, Reading};

use crate::{AwsError, Clients, Kind};

/// The permission that [`replication`] needs.
pub const REPLICATION: &str = "s3:GetReplicationConfiguration";

/// The replication configuration; one without rules if the bucket has none.
///
/// # Errors
/// `NotFound` if there is no such bucket.
pub async fn replication(clients: &Clients, bucket: &str) -> Result<Configuration, AwsError> {
    let sent = clients.s3.get_bucket_replication().bucket(bucket).send().await;
    let output = match sent {
        Ok(output) => output,
        Err(error) => {
            let problem = problem("GetBucketReplication", bucket, &error);
            let none = problem.code.as_deref() == Some("ReplicationConfigurationNotFoundError");
            return if none { Ok(Configuration::default()) } else { Err(problem) };
        }
    };
    let Some(found) = output.replication_configuration else {
        return Ok(Configuration::default());
    };
    Ok(Configuration::new(found.role, found.rules.iter().map(rule).collect()))
}

fn rule(rule: &ReplicationRule) -> Rule {
    let (prefix, tags) = region(rule);
    let criteria = rule.source_selection_criteria();
    let kms = criteria.and_then(|criteria| criteria.sse_kms_encrypted_objects());
    let replicas = criteria.and_then(|criteria| criteria.replica_modifications());
    let markers = rule.delete_marker_replication().and_then(|markers| markers.status());
    // V1 rules say nothing of delete markers and take them.
    let takes_markers = match markers {
        Some(status) => *status == DeleteMarkerReplicationStatus::Enabled,
        None => rule.filter().is_none(),
    };
    Rule {
        id: rule.id().unwrap_or_default().to_owned(),
        enabled: *rule.status() == ReplicationRuleStatus::Enabled,
        priority: rule.priority(),
        prefix,
        tags: tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
        kms: kms.is_some_and(|kms| *kms.status() == SseKmsEncryptedObjectsStatus::Enabled),
        replica_changes: replicas
            .is_some_and(|replicas| *replicas.status() == ReplicaModificationsStatus::Enabled),
        delete_markers: takes_markers,
        destination: rule.destination().map(destination).unwrap_or_default(),
    }
}

/// The prefix and the tags of either version.
fn region(rule: &ReplicationRule) -> (String, Vec<Tag>) {
    let of = |filter: &ReplicationRuleFilter| match filter.and() {
        Some(and) => (and.prefix().unwrap_or_default().to_owned(), and.tags().to_vec()),
        None => {
            let prefix = filter.prefix().unwrap_or_default().to_owned();
            (prefix, filter.tag().cloned().into_iter().collect())
        }
    };
    #[allow(deprecated, reason = "it is how V1 rules say it")]
    let v1 = || (rule.prefix().unwrap_or_default().to_owned(), Vec::new());
    rule.filter().map_or_else(v1, of)
}

fn destination(destination: &aws_sdk_s3::types::Destination) -> Destination {
    let key = destination.encryption_configuration().and_then(|it| it.replica_kms_key_id());
    let owner = destination.access_control_translation();
    let timed = destination.replication_time();
    let metrics = destination.metrics();
    Destination {
        bucket: destination.bucket().to_owned(),
        account: destination.account().map(str::to_owned),
        storage_class: destination.storage_class().map(|class| class.as_str().to_owned()),
        key: key.map(str::to_owned),
        owner: owner.is_some_and(|owner| *owner.owner() == OwnerOverride::Destination),
        timed: timed.is_some_and(|timed| *timed.status() == ReplicationTimeStatus::Enabled),
        metrics: metrics.is_some_and(|metrics| *metrics.status() == MetricsStatus::Enabled),
    }
}

/// Whether versioning is enabled.
pub async fn versioned(clients: &Clients, bucket: &str) -> Reading<bool> {
    let sent = clients.s3.get_bucket_versioning().bucket(bucket).send().await;
    match sent {
        Ok(output) => {
            Reading::Is(output.status().is_some_and(|status| status.as_str() == "Enabled"))
        }
        Err(error) => {
            unread(problem("GetBucketVersioning", bucket, &error), "s3:GetBucketVersioning")
        }
    }
}

/// The lifecycle rules that are enabled.
pub async fn lifecycle(clients: &Clients, bucket: &str) -> Reading<Vec<LifecycleRule>> {
    let sent = clients.s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
    match sent {
        Ok(output) => {
            let rules = output.rules().iter();
            let enabled = rules.filter(|rule| *rule.status() == ExpirationStatus::Enabled);
            Reading::Is(enabled.map(lifecycle_rule).collect())
        }
        Err(error) => {
            let problem = problem("GetBucketLifecycleConfiguration", bucket, &error);
            if problem.code.as_deref() == Some("NoSuchLifecycleConfiguration") {
                return Reading::Is(Vec::new());
            }
            unread(problem, "s3:GetLifecycleConfiguration")
        }
    }
}

fn lifecycle_rule(rule: &SdkLifecycleRule) -> LifecycleRule {
    let markers = rule.expiration().and_then(|it| it.expired_object_delete_marker());
    let current = rule.transitions().iter().filter_map(|it| it.storage_class());
    let noncurrent =
        rule.noncurrent_version_transitions().iter().filter_map(|it| it.storage_class());
    LifecycleRule {
        id: rule.id().unwrap_or("without an id").to_owned(),
        expires: markers == Some(true) || rule.noncurrent_version_expiration().is_some(),
        moves_into: current.chain(noncurrent).map(|class| class.as_str().to_owned()).collect(),
    }
}

/// The Intelligent-Tiering configurations that are enabled and archive.
pub async fn tierings(clients: &Clients, bucket: &str) -> Reading<Vec<String>> {
    let (mut ids, mut token) = (BTreeSet::new(), None);
    loop {
        let call = clients.s3.list_bucket_intelligent_tiering_configurations().bucket(bucket);
        let output = match call.set_continuation_token(token).send().await {
            Ok(output) => output,
            Err(error) => {
                let problem = problem("ListBucketIntelligentTieringConfigurations", bucket, &error);
                return unread(problem, "s3:GetIntelligentTieringConfiguration");
            }
        };
        let found = output.intelligent_tiering_configuration_list().iter();
        let enabled =
            found.filter(|tiering| *tiering.status() == IntelligentTieringStatus::Enabled);
        let archives = enabled.filter(|tiering| !tiering.tierings().is_empty());
        ids.extend(archives.map(|tiering| tiering.id().to_owned()));
        token = output.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            return Reading::Is(ids.into_iter().collect());
        }
    }
}

/// Whether a bucket encrypts with KMS by default.
pub async fn kms(clients: &Clients, bucket: &str) -> Reading<bool> {
    let sent = clients.s3.get_bucket_encryption().bucket(bucket).send().await;
    match sent {
        Ok(output) => {
            let rules = output.server_side_encryption_configuration();
            let rules = rules.map(|rules| rules.rules()).unwrap_or_default().iter();
            let mut defaults =
                rules.filter_map(|rule| rule.apply_server_side_encryption_by_default());
            Reading::Is(defaults.any(|it| it.sse_algorithm().as_str().starts_with("aws:kms")))
        }
        Err(error) => {
            let problem = problem("GetBucketEncryption", bucket, &error);
            let none = Some("ServerSideEncryptionConfigurationNotFoundError");
            if problem.code.as_deref() == none {
                return Reading::Is(false);
            }
            unread(problem, "s3:GetEncryptionConfiguration")
        }
    }
}

fn problem<E>(operation: &'static str, bucket: &str, error: &SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata,
{
    AwsError::of(operation, format!("s3://{bucket}"), error)
}

/// A denial is told; anything else is looked at again the next time.
fn unread<T>(problem: AwsError, permission: &'static str) -> Reading<T> {
    if problem.kind == Kind::Denied {
        return Reading::Denied(permission);
    }
    tracing::warn!(error = %problem, "not read; the next look tries again");
    Reading::Unknown
}
