//! What the lessons need beside a scene: another source bucket, and versions that fail a second time.

use aws_sdk_s3::types::{ReplicationConfiguration, Tag, Tagging};
use resilver_emulator::world::iam::Role;
use resilver_heal::key::Bucket;
use serde_json::{Value, json};

use crate::configuration::{rule, sdk};
use crate::{REPLICAS, SOURCE, Scene};

/// Another source bucket.
const TWIN: &str = "twin-bucket";
const TWIN_ROLE: &str = "arn:aws:iam::111122223333:role/twin";

/// Makes another source bucket and enrols it: it replicates to the second replica, by a rule with the id
/// of the source's first one.
pub async fn twin(scene: &Scene) -> Bucket {
    scene.bucket(TWIN).await;
    scene.world(|world| world.iam.put(Role::replication(TWIN_ROLE, TWIN, &REPLICAS)));
    let rule = sdk(0, &rule("to-replica-a", "", 1), "to-replica-a".to_owned());
    let rules = ReplicationConfiguration::builder().role(TWIN_ROLE).rules(rule);
    let call = scene.app.clients.s3.put_bucket_replication().bucket(TWIN);
    call.replication_configuration(rules.build().unwrap()).send().await.unwrap();
    scene.app.enroll(TWIN).await.unwrap();
    Bucket::try_from(TWIN.to_owned()).unwrap()
}

/// Uploads an object to the other source bucket; gives its version id.
pub async fn put(scene: &Scene, key: &str, body: &str) -> String {
    let call = scene.app.clients.s3.put_object().bucket(TWIN).key(key);
    let put = call.body(body.as_bytes().to_vec().into()).send().await.unwrap();
    put.version_id().unwrap().to_owned()
}

/// Changes the tags of a version of the source, which S3 replicates again for it.
pub async fn retag(scene: &Scene, key: &str, id: &str) {
    let tag = Tag::builder().key("again").value("yes").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    let call = scene.app.clients.s3.put_object_tagging().bucket(SOURCE).key(key).version_id(id);
    call.tagging(tags).send().await.unwrap();
}

/// One record of a failure, as S3 documents it, of a version of the source.
pub fn record(key: &str, version: &str) -> Value {
    let documented = include_str!("../recorded/failure-event.json");
    let mut record = serde_json::from_str::<Value>(documented).unwrap()["Records"][0].take();
    record["s3"]["bucket"]["name"] = json!(SOURCE);
    record["s3"]["object"]["key"] = json!(key);
    record["s3"]["object"]["versionId"] = json!(version);
    record["replicationEventData"]["failureReason"] = json!("DstPutObjectNotPermitted");
    record["replicationEventData"]["destinationBucket"] = json!("arn:aws:s3:::replica-a");
    record
}

/// A message of these records.
pub fn message(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}
