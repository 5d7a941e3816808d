//! Buckets and their sub-resources, and who may speak at all.

use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination,
    ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter, ReplicationRuleStatus,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};
use resilver_emulator::Emulator;

use super::{client_of, code, in_process, put, refused, versioned};

#[tokio::test]
async fn buckets_are_made_listed_and_removed_when_empty() {
    let (_emulator, client) = in_process();
    for name in ["zoo", "bar"] {
        client.create_bucket().bucket(name).send().await.unwrap();
    }
    client.create_bucket().bucket("bar").send().await.expect("as good as made, in us-east-1");
    let list = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = list.buckets().iter().map(|bucket| bucket.name().unwrap()).collect();
    assert_eq!(names, ["bar", "zoo"]);
    client.put_object().bucket("bar").key("k").send().await.unwrap();
    let full = client.delete_bucket().bucket("bar").send().await;
    assert_eq!(code(full), refused("BucketNotEmpty", 409));
    client.delete_bucket().bucket("zoo").send().await.unwrap();
    let head = client.head_bucket().bucket("zoo").send().await;
    assert_eq!(code(head), refused("NotFound", 404));
    assert_eq!(
        code(client.list_objects_v2().bucket("zoo").send().await),
        refused("NoSuchBucket", 404)
    );
    let head = client.head_bucket().bucket("bar").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
}

#[tokio::test]
async fn sub_resources_come_back_and_are_missed_by_name() {
    let (_emulator, client) = versioned().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::src/*"}]}"#;
    assert_eq!(
        code(client.get_bucket_policy().bucket("src").send().await),
        refused("NoSuchBucketPolicy", 404)
    );
    client.put_bucket_policy().bucket("src").policy(policy).send().await.unwrap();
    let read = client.get_bucket_policy().bucket("src").send().await.unwrap();
    assert_eq!(read.policy(), Some(policy));
    assert_eq!(
        code(client.put_bucket_policy().bucket("src").policy("no").send().await),
        refused("MalformedPolicy", 400)
    );
    assert_eq!(
        code(client.get_bucket_tagging().bucket("src").send().await),
        refused("NoSuchTagSet", 404)
    );
    assert_eq!(
        code(client.get_bucket_replication().bucket("src").send().await),
        refused("ReplicationConfigurationNotFoundError", 404)
    );
    assert_eq!(
        code(client.get_bucket_cors().bucket("src").send().await),
        refused("NoSuchCORSConfiguration", 404)
    );
}

#[tokio::test]
async fn objects_lie_under_the_key_of_their_bucket() {
    let (emulator, client) = versioned().await;
    let key = "arn:aws:kms:us-east-1:111122223333:key/k1";
    emulator.with(|world| world.kms.create(key));
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id(key)
        .build()
        .unwrap();
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default);
    let config = ServerSideEncryptionConfiguration::builder().rules(rule.build()).build().unwrap();
    let set = client.put_bucket_encryption().bucket("src");
    set.server_side_encryption_configuration(config).send().await.unwrap();
    put(&client, "k", "x").await;
    let head = client.head_object().bucket("src").key("k").send().await.unwrap();
    assert_eq!(head.ssekms_key_id(), Some(key));
    let plain = client.put_object().bucket("src").key("p");
    plain.server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap();
    let head = client.head_object().bucket("src").key("p").send().await.unwrap();
    assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
}

#[tokio::test]
async fn a_replicating_bucket_keeps_its_versioning_and_marks_its_objects() {
    let (emulator, client) = versioned().await;
    client.create_bucket().bucket("dst").send().await.unwrap();
    let versioning =
        |status: BucketVersioningStatus| VersioningConfiguration::builder().status(status).build();
    let enable = client.put_bucket_versioning().bucket("dst");
    enable
        .versioning_configuration(versioning(BucketVersioningStatus::Enabled))
        .send()
        .await
        .unwrap();
    let rule = ReplicationRule::builder()
        .priority(1)
        .filter(ReplicationRuleFilter::builder().prefix("").build())
        .status(ReplicationRuleStatus::Enabled)
        .delete_marker_replication(
            DeleteMarkerReplication::builder()
                .status(DeleteMarkerReplicationStatus::Disabled)
                .build(),
        )
        .destination(Destination::builder().bucket("arn:aws:s3:::dst").build().unwrap())
        .build()
        .unwrap();
    let config = ReplicationConfiguration::builder()
        .role("arn:aws:iam::111122223333:role/rep")
        .rules(rule)
        .build()
        .unwrap();
    let set = client.put_bucket_replication().bucket("src").replication_configuration(config);
    set.send().await.unwrap();
    let read = client.get_bucket_replication().bucket("src").send().await.unwrap();
    let rule = &read.replication_configuration().unwrap().rules()[0];
    assert!(!rule.id().unwrap().is_empty(), "a rule without an id gets one");

    let suspend = client.put_bucket_versioning().bucket("src");
    let suspend = suspend.versioning_configuration(versioning(BucketVersioningStatus::Suspended));
    assert_eq!(code(suspend.send().await), refused("InvalidBucketState", 409));
    put(&client, "k", "x").await;
    let status = || async {
        let head = client.head_object().bucket("src").key("k").send().await.unwrap();
        head.replication_status().unwrap().as_str().to_owned()
    };
    assert_eq!(status().await, "PENDING");
    while emulator.step() {}
    assert_eq!(status().await, "FAILED", "the role does not exist");
    client.delete_bucket_replication().bucket("src").send().await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_and_a_wrong_owner_are_refused() {
    let (emulator, client) = versioned().await;
    let stranger = client_of(Emulator::ENDPOINT, "another-secret", Some(&emulator));
    let list = stranger.list_objects_v2().bucket("src").send().await;
    assert_eq!(code(list), refused("SignatureDoesNotMatch", 403));
    let list =
        client.list_objects_v2().bucket("src").expected_bucket_owner("999988887777").send().await;
    assert_eq!(code(list), refused("AccessDenied", 403));
    let list =
        client.list_objects_v2().bucket("src").expected_bucket_owner("111122223333").send().await;
    list.unwrap();
}
