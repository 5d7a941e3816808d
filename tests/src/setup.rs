//! The account of a scene, and what can break in it.

use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination,
    EncryptionConfiguration, Metrics, MetricsStatus, ReplicationConfiguration, ReplicationRule,
    ReplicationRuleFilter, ReplicationRuleStatus, SourceSelectionCriteria, SseKmsEncryptedObjects,
    SseKmsEncryptedObjectsStatus, VersioningConfiguration,
};
use resilver_aws::Clients;
use resilver_emulator::Emulator;
use resilver_emulator::world::World;
use resilver_emulator::world::bucket::{self, Versioning};
use resilver_emulator::world::iam::Role;
use resilver_emulator::world::notification::NotificationConfig;
use resilver_emulator::world::replication::rules::ReplicationConfig;
use resilver_heal::backfill::{Backfill, ObjectStatus, Scope};
use resilver_heal::state::StateKey;
use resilver_heal::time::Timestamp;

use crate::Scene;

/// The bucket that replicates.
pub const SOURCE: &str = "source-bucket";
/// Where it replicates to.
pub const REPLICAS: [&str; 2] = ["replica-a", "replica-b"];
/// The role that S3 replicates with.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/replication";
pub(crate) const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const KEYS: [&str; 2] = [
    "arn:aws:kms:us-east-1:111122223333:key/replica-a",
    "arn:aws:kms:us-east-1:111122223333:key/replica-b",
];

/// Something that breaks, at one of the destinations where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `DstBucketUnversioned`: versioning of a destination is suspended.
    Unversioned(usize),
    /// `DstPutObjectNotPermitted`: the role may not write to a destination.
    Denied(usize),
    /// `DstKmsKeyInvalidState`: the key of a destination is disabled.
    Key(usize),
    /// `AssumeRoleNotPermitted`: S3 may not assume the role.
    Trust,
}

/// Breaks something, or repairs it.
pub(crate) fn make(world: &mut World, trouble: Trouble, broken: bool) {
    match trouble {
        Trouble::Unversioned(n) => {
            let versioning = if broken { Versioning::Suspended } else { Versioning::Enabled };
            world.buckets.get_mut(REPLICAS[n]).unwrap().versioning = versioning;
        }
        Trouble::Denied(n) => {
            let (id, objects) = (format!("deny-{n}"), format!("arn:aws:s3:::{}/*", REPLICAS[n]));
            if broken {
                world.iam.deny(ROLE, &id, &["s3:ReplicateObject"], &[&objects]);
            } else {
                world.iam.revoke(ROLE, &id);
            }
        }
        Trouble::Key(n) if broken => {
            world.kms.disable(KEYS[n]);
        }
        Trouble::Key(n) => {
            world.kms.enable(KEYS[n]);
        }
        Trouble::Trust => {
            let service = if broken { "nobody.amazonaws.com" } else { "s3.amazonaws.com" };
            world.iam.role_mut(ROLE).unwrap().trust = vec![service.to_owned()];
        }
    }
}

/// Makes a bucket, versioned.
pub(crate) async fn versioned(clients: &Clients, bucket: &str) {
    clients.s3.create_bucket().bucket(bucket).send().await.unwrap();
    let enabled = BucketVersioningStatus::Enabled;
    let versioning = VersioningConfiguration::builder().status(enabled).build();
    let call = clients.s3.put_bucket_versioning().bucket(bucket);
    call.versioning_configuration(versioning).send().await.unwrap();
}

/// Makes the source and its destinations, and the rules between them.
pub(crate) async fn buckets(clients: &Clients, emulator: &Emulator, replicas: usize) {
    let names = [SOURCE, REPLICAS[0], REPLICAS[1]];
    for bucket in &names[..=replicas] {
        versioned(clients, bucket).await;
    }
    emulator.with(|world| {
        world.iam.put(Role::replication(ROLE, SOURCE, &REPLICAS));
        for key in [SOURCE_KEY, KEYS[0], KEYS[1]] {
            world.kms.create(key);
        }
    });
    let mut rules = ReplicationConfiguration::builder().role(ROLE);
    for n in 0..replicas {
        rules = rules.rules(rule(n));
    }
    let call = clients.s3.put_bucket_replication().bucket(SOURCE);
    call.replication_configuration(rules.build().unwrap()).send().await.unwrap();
}

fn rule(n: usize) -> ReplicationRule {
    let metrics = Metrics::builder().status(MetricsStatus::Enabled).build().unwrap();
    let key = EncryptionConfiguration::builder().replica_kms_key_id(KEYS[n]).build();
    let destination = Destination::builder()
        .bucket(format!("arn:aws:s3:::{}", REPLICAS[n]))
        .encryption_configuration(key)
        .metrics(metrics);
    let kms = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled);
    let kms = SourceSelectionCriteria::builder().sse_kms_encrypted_objects(kms.build().unwrap());
    let markers =
        DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Disabled);
    ReplicationRule::builder()
        .id(format!("to-{}", REPLICAS[n]))
        .priority(i32::try_from(n).unwrap() + 1)
        .filter(ReplicationRuleFilter::builder().prefix("").build())
        .status(ReplicationRuleStatus::Enabled)
        .source_selection_criteria(kms.build())
        .delete_marker_replication(markers.build())
        .destination(destination.build().unwrap())
        .build()
        .unwrap()
}

impl Scene {
    /// Nobody is told of the source's failures, until what this gives is put back.
    pub fn take_notifications(&self) -> NotificationConfig {
        self.world(|world| std::mem::take(&mut source(world).notification))
    }

    /// Failures are told of again.
    pub fn put_notifications(&self, notifications: NotificationConfig) {
        self.world(|world| source(world).notification = notifications);
    }

    /// Nothing of the source replicates, until what this gives is put back.
    pub fn take_rules(&self) -> Option<ReplicationConfig> {
        self.world(|world| source(world).replication.take())
    }

    /// The rules hold again, for what is written from now on.
    pub fn put_rules(&self, rules: Option<ReplicationConfig>) {
        self.world(|world| source(world).replication = rules);
    }

    /// Asks for a backfill of everything with one of these statuses.
    pub async fn ask_for_backfill(&self, statuses: &[ObjectStatus]) -> Backfill {
        let statuses = statuses.iter().copied().collect();
        let scope = Scope { statuses, prefix: None, created_before: None };
        let now = Timestamp(self.app.emulator.now());
        let backfill = Backfill::new(&self.bucket, now, scope, vec!["rule logs is new".into()]);
        let key = StateKey::Backfill(&self.bucket, &backfill.id).to_string();
        self.app.store.put_json_new(&key, &backfill).await.unwrap();
        backfill
    }
}

fn source(world: &mut World) -> &mut bucket::Bucket {
    world.buckets.get_mut(SOURCE).unwrap()
}
