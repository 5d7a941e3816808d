//! What the stories of changed configurations need: rules in a few words, the function as its schedule and
//! CloudTrail wake it, and what it planned and told.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, DeleteMarkerReplication,
    DeleteMarkerReplicationStatus, Destination, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter, Metrics, MetricsStatus, NoncurrentVersionExpiration,
    ReplicationConfiguration, ReplicationRule, ReplicationRuleAndOperator, ReplicationRuleFilter,
    ReplicationRuleStatus, Tag, VersioningConfiguration,
};
use resilver_emulator::world::lambda::Invocation;
use resilver_heal::backfill::Backfill;
use resilver_heal::configuration::Config;
use resilver_heal::notice::{Notice, NoticeFact};
use resilver_heal::time::{Timestamp, minutes};
use serde_json::{Value, json};

use crate::{Given, REPLICAS, ROLE, SOURCE, Scene, two};

/// Where the configuration is kept as it was last seen.
pub const CONFIG: &str = "configs/source-bucket.json";

/// A rule to one of the replicas.
#[derive(Debug, Clone)]
pub struct Sketch {
    /// Its id.
    pub id: &'static str,
    /// Its prefix.
    pub prefix: String,
    /// Which replica.
    pub to: usize,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether it has metrics.
    pub metrics: bool,
    /// The tag that it filters by.
    pub tag: Option<(&'static str, &'static str)>,
}

/// An enabled rule with metrics.
pub fn rule(id: &'static str, prefix: &str, to: usize) -> Sketch {
    Sketch { id, prefix: prefix.to_owned(), to, enabled: true, metrics: true, tag: None }
}

/// A rule as the SDK has it.
pub fn sdk(n: usize, rule: &Sketch, id: String) -> ReplicationRule {
    let metrics = Metrics::builder().status(MetricsStatus::Enabled).build().unwrap();
    let destination = Destination::builder()
        .bucket(format!("arn:aws:s3:::{}", REPLICAS[rule.to]))
        .set_metrics(rule.metrics.then_some(metrics));
    let filter = match rule.tag {
        None => ReplicationRuleFilter::builder().prefix(&rule.prefix),
        Some((key, value)) => {
            let tag = Tag::builder().key(key).value(value).build().unwrap();
            let and = ReplicationRuleAndOperator::builder().prefix(&rule.prefix).tags(tag);
            ReplicationRuleFilter::builder().and(and.build())
        }
    };
    let markers =
        DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Disabled);
    let status = [ReplicationRuleStatus::Disabled, ReplicationRuleStatus::Enabled];
    ReplicationRule::builder()
        .id(id)
        .priority(i32::try_from(n).unwrap() + 1)
        .filter(filter.build())
        .status(status[usize::from(rule.enabled)].clone())
        .delete_marker_replication(markers.build())
        .destination(destination.build().unwrap())
        .build()
        .unwrap()
}

/// Replaces the source's rules with those of the SDK.
pub async fn put_rules(scene: &Scene, rules: Vec<ReplicationRule>) {
    let rules = ReplicationConfiguration::builder().role(ROLE).set_rules(Some(rules));
    let call = scene.app.clients.s3.put_bucket_replication().bucket(SOURCE);
    call.replication_configuration(rules.build().unwrap()).send().await.unwrap();
}

/// Replaces the source's rules.
pub async fn put(scene: &Scene, rules: &[Sketch]) {
    let rules = rules.iter().enumerate().map(|(n, rule)| sdk(n, rule, rule.id.to_owned()));
    put_rules(scene, rules.collect()).await;
}

/// Sets the versioning of a bucket.
pub async fn version(scene: &Scene, bucket: &str, status: BucketVersioningStatus) {
    let versioning = VersioningConfiguration::builder().status(status).build();
    let call = scene.app.clients.s3.put_bucket_versioning().bucket(bucket);
    call.versioning_configuration(versioning).send().await.unwrap();
}

/// Deletes the source's replication configuration.
pub async fn delete(scene: &Scene) {
    scene.app.clients.s3.delete_bucket_replication().bucket(SOURCE).send().await.unwrap();
}

/// What wakes the function now.
pub fn invocation(scene: &Scene, mut payload: Value) -> Invocation {
    let time = scene.app.emulator.now();
    payload["time"] = json!(Timestamp(time).to_string());
    Invocation { id: "look".into(), function: "backfill".into(), payload, time, attempt: 0 }
}

/// Lets so many minutes pass, and wakes the function as its schedule does.
pub async fn try_look(scene: &Scene, after: u64) -> Result<Value, String> {
    scene.world(|world| world.advance_to(world.now() + minutes(after)));
    scene.app.invoke(&invocation(scene, json!({}))).await
}

/// The same, and it has to succeed.
pub async fn look(scene: &Scene, after: u64) {
    try_look(scene, after).await.unwrap();
}

/// Wakes the function as CloudTrail does.
pub async fn hear(scene: &Scene, bucket: &str) {
    let detail = json!({
        "eventSource": "s3.amazonaws.com", "eventName": "PutBucketReplication",
        "requestParameters": {"bucketName": bucket},
    });
    let event = json!({"detail-type": "AWS API Call via CloudTrail", "detail": detail});
    scene.app.invoke(&invocation(scene, event)).await.unwrap();
}

/// A source with these rules, enrolled, whose configuration has settled; its first notices are taken.
pub async fn watched(rules: &[Sketch]) -> Scene {
    let scene = Scene::given(Given { trail: false, ..two() }).await;
    put(&scene, rules).await;
    look(&scene, 0).await;
    look(&scene, 5).await;
    assert_eq!(
        planned(&scene).await,
        [],
        "what was before the first look is a person's to ask for"
    );
    let told = scene.stored("outbox/").await;
    scene.app.store.delete(&told).await.unwrap();
    scene
}

/// The backfills that are planned.
pub async fn planned(scene: &Scene) -> Vec<Backfill> {
    let mut planned = Vec::new();
    for key in scene.stored("backfills/").await {
        let backfill = scene.app.store.get_json::<Backfill>(&key).await.unwrap().unwrap().value;
        assert_eq!(key, format!("backfills/source-bucket/{}.json", backfill.id));
        planned.push(backfill);
    }
    planned
}

/// The one backfill: its prefix and statuses, as S3 has them, and why.
pub async fn the_one(scene: &Scene) -> (String, String, String) {
    let planned = planned(scene).await;
    let [Backfill { scope, why, confirmed: false, .. }] = &planned[..] else {
        panic!("{planned:#?}");
    };
    let statuses: Vec<&str> = scope.statuses.iter().map(|status| status.as_str()).collect();
    (scope.prefix.clone().unwrap_or_default(), statuses.join(" "), why.join("; "))
}

/// What was told of a bucket.
pub async fn told(scene: &Scene, bucket: &str) -> Vec<NoticeFact> {
    let mut told = Vec::new();
    for key in scene.stored(&format!("outbox/{bucket}/")).await {
        let notice = scene.app.store.get_json::<Notice>(&key).await.unwrap().unwrap();
        told.push(notice.value.fact);
    }
    told
}

/// The findings that were told, by code and subject.
pub async fn found(scene: &Scene, bucket: &str) -> Vec<(String, String)> {
    let facts = told(scene, bucket).await.into_iter().filter_map(|fact| match fact {
        NoticeFact::Found { code, subject, .. } => Some((code, subject)),
        _ => None,
    });
    let mut found: Vec<_> = facts.collect();
    found.sort();
    found
}

/// The configuration as it was last seen.
pub async fn config(scene: &Scene) -> Config {
    scene.app.store.get_json::<Config>(CONFIG).await.unwrap().unwrap().value
}

/// Replaces the rules, and lets the function see it twice.
pub async fn change(scene: &Scene, rules: &[Sketch]) {
    put(scene, rules).await;
    look(scene, 1).await;
    look(scene, 5).await;
}

/// The statuses of a new scope.
pub const FRESH: &str = "NONE FAILED REPLICA";
/// The statuses where the destination is new.
pub const MOVED: &str = "NONE FAILED COMPLETED REPLICA";

/// The one backfill is of this prefix, these statuses and this reason.
#[track_caller]
pub fn is(asked: (String, String, String), prefix: &str, statuses: &str, why: &str) {
    assert_eq!((asked.0.as_str(), asked.1.as_str(), asked.2.as_str()), (prefix, statuses, why));
}

/// Lifecycle rules that expire noncurrent versions after a day.
pub fn expires() -> BucketLifecycleConfiguration {
    let expiration = NoncurrentVersionExpiration::builder().noncurrent_days(1).build();
    let expires = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .noncurrent_version_expiration(expiration);
    let lifecycle = BucketLifecycleConfiguration::builder().rules(expires.build().unwrap());
    lifecycle.build().unwrap()
}
