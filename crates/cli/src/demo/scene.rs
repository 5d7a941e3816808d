//! The account of a demo: a source bucket with two destinations, a replication role and keys, and
//! three ways to break it, each in the account's own terms.

use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination,
    EncryptionConfiguration, Metrics, MetricsStatus, ReplicationConfiguration, ReplicationRule,
    ReplicationRuleFilter, ReplicationRuleStatus, SourceSelectionCriteria, SseKmsEncryptedObjects,
    SseKmsEncryptedObjectsStatus, VersioningConfiguration,
};
use aws_smithy_types::error::operation::BuildError;
use resilver_emulator::world::World;
use resilver_emulator::world::iam::Role;
use resilver_emulator::world::object::ReplicationStatus;
use resilver_heal::key::Bucket;
use resilver_heal::time::{Timestamp, minutes};

use crate::app::App;
use crate::error::CliError;
use crate::progress::{Step, count};

/// What is broken for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// Somebody suspends versioning on the first destination.
    Versioning,
    /// Somebody takes the permission to write to the second destination away.
    Permission,
    /// Somebody disables the key that encrypts the replicas at the first destination.
    Key,
}

impl Break {
    pub(super) const ALL: [Self; 3] = [Self::Versioning, Self::Permission, Self::Key];

    /// In words.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Versioning => "versioning suspended on demo-replica-a",
            Self::Permission => "s3:ReplicateObject denied on demo-replica-b",
            Self::Key => "the KMS key of demo-replica-a disabled",
        }
    }
}

pub(super) const SOURCE: &str = "demo-source";
pub(super) const REPLICAS: [&str; 2] = ["demo-replica-a", "demo-replica-b"];
const ROLE: &str = "arn:aws:iam::111122223333:role/demo-replication";
pub(super) const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const REPLICA_KEYS: [&str; 2] = [
    "arn:aws:kms:us-east-1:111122223333:key/replica-a",
    "arn:aws:kms:us-east-1:111122223333:key/replica-b",
];

/// The account, set up.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) app: &'a App,
    pub(super) bucket: Bucket,
}

/// An S3 call of the demo that failed, as the end of the command.
pub(super) fn failed(call: &str, why: impl std::fmt::Debug) -> CliError {
    CliError::unknown(format!("{call} failed: {why:?}"))
}

impl<'a> Scene<'a> {
    /// Makes the buckets, the role, the keys and the rules, and enrols the source.
    pub(super) async fn set(app: &'a App) -> Result<Self, CliError> {
        let step = Step::begin("set up", 0);
        for bucket in [SOURCE, REPLICAS[0], REPLICAS[1]] {
            let made = app.clients.s3.create_bucket().bucket(bucket).send().await;
            made.map_err(|why| failed("CreateBucket", why))?;
            version(app, bucket, BucketVersioningStatus::Enabled).await?;
        }
        app.emulator.with(|world| {
            world.iam.put(Role::replication(ROLE, SOURCE, &REPLICAS));
            for key in [SOURCE_KEY, REPLICA_KEYS[0], REPLICA_KEYS[1]] {
                world.kms.create(key);
            }
        });
        let configuration = rules().map_err(|why| failed("PutBucketReplication", why))?;
        let call = app.clients.s3.put_bucket_replication().bucket(SOURCE);
        let put = call.replication_configuration(configuration).send().await;
        put.map_err(|why| failed("PutBucketReplication", why))?;
        app.enroll(SOURCE).await?;
        let bucket = Bucket::try_from(SOURCE.to_owned());
        let bucket = bucket.map_err(|why| CliError::unknown(why.to_string()))?;
        step.done("a source bucket, two destinations, Resilver enrolled on the embedded AWS");
        Ok(Self { app, bucket })
    }

    pub(super) async fn break_it(&self, what: Break) -> Result<(), CliError> {
        let emulator = &self.app.emulator;
        match what {
            Break::Versioning => {
                version(self.app, REPLICAS[0], BucketVersioningStatus::Suspended).await?;
            }
            Break::Permission => {
                let objects = format!("arn:aws:s3:::{}/*", REPLICAS[1]);
                let deny = ("Oops", ["s3:ReplicateObject"], [objects.as_str()]);
                emulator.with(|world| world.iam.deny(ROLE, deny.0, &deny.1, &deny.2));
            }
            Break::Key => {
                emulator.with(|world| world.kms.disable(REPLICA_KEYS[0]));
            }
        }
        Ok(())
    }

    pub(super) async fn repair(&self, what: Break) -> Result<(), CliError> {
        let emulator = &self.app.emulator;
        match what {
            Break::Versioning => {
                version(self.app, REPLICAS[0], BucketVersioningStatus::Enabled).await?;
            }
            Break::Permission => {
                emulator.with(|world| world.iam.revoke(ROLE, "Oops"));
            }
            Break::Key => {
                emulator.with(|world| world.kms.enable(REPLICA_KEYS[0]));
            }
        }
        Ok(())
    }

    /// Versions of the source written since then that are still PENDING, and those that are FAILED, as
    /// S3 itself has it.
    pub(super) fn in_s3(&self, since: Timestamp) -> (u64, u64) {
        let count = |world: &World, status| {
            let versions = world.buckets.get(SOURCE).into_iter().flat_map(|b| b.keys.values());
            let versions = versions.flatten().filter(|version| version.modified >= since.0);
            versions.filter(|version| version.replication == Some(status)).count() as u64
        };
        self.app.emulator.with(|world| {
            let pending = count(world, ReplicationStatus::Pending);
            (pending, count(world, ReplicationStatus::Failed))
        })
    }

    /// Distinct versions that Resilver has ever collected.
    pub(super) async fn ever_failed(&self) -> Result<u64, CliError> {
        let head = self.app.head(&self.bucket).await?;
        Ok(head.map_or(0, |head| head.totals.collected))
    }

    /// Lets time pass until nothing is PENDING.
    pub(super) async fn replicated(&self, uploaded: u64) -> Result<(), CliError> {
        let step = Step::begin("replicate", uploaded);
        for _ in 0..60 {
            let (open, _) = self.in_s3(Timestamp::default());
            step.at(uploaded.saturating_sub(open));
            if open == 0 {
                break;
            }
            self.app.run_for(minutes(1)).await;
        }
        step.done(&format!("{} live, to both destinations", count(uploaded, "object")));
        Ok(())
    }
}

async fn version(app: &App, bucket: &str, status: BucketVersioningStatus) -> Result<(), CliError> {
    let versioning = VersioningConfiguration::builder().status(status).build();
    let call = app.clients.s3.put_bucket_versioning().bucket(bucket);
    let put = call.versioning_configuration(versioning).send().await;
    put.map(drop).map_err(|why| failed("PutBucketVersioning", why))
}

/// Everything goes to both destinations; replicas of KMS objects are encrypted with the destination's
/// own key; metrics are on, without which S3 sends no failure events.
fn rules() -> Result<ReplicationConfiguration, BuildError> {
    let mut configuration = ReplicationConfiguration::builder().role(ROLE);
    for (n, (replica, key)) in REPLICAS.iter().zip(REPLICA_KEYS).enumerate() {
        let destination = Destination::builder()
            .bucket(format!("arn:aws:s3:::{replica}"))
            .encryption_configuration(
                EncryptionConfiguration::builder().replica_kms_key_id(key).build(),
            )
            .metrics(Metrics::builder().status(MetricsStatus::Enabled).build()?)
            .build()?;
        let kms = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled);
        let kms = SourceSelectionCriteria::builder().sse_kms_encrypted_objects(kms.build()?);
        let markers = DeleteMarkerReplication::builder();
        let rule = ReplicationRule::builder()
            .id(format!("to-{replica}"))
            .priority(i32::try_from(n).unwrap_or_default() + 1)
            .filter(ReplicationRuleFilter::builder().prefix("").build())
            .status(ReplicationRuleStatus::Enabled)
            .source_selection_criteria(kms.build())
            .delete_marker_replication(
                markers.status(DeleteMarkerReplicationStatus::Disabled).build(),
            )
            .destination(destination)
            .build()?;
        configuration = configuration.rules(rule);
    }
    configuration.build()
}
