//! One object: versions, conditions, ranges, copies, tags, deletes.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, MetadataDirective, ServerSideEncryption, StorageClass, Tag, Tagging,
};

use super::{code, put, refused, versioned};

async fn text(client: &Client, key: &str, version: Option<&str>) -> String {
    let get = client.get_object().bucket("src").key(key).set_version_id(version.map(str::to_owned));
    let body = get.send().await.unwrap().body.collect().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn versions_pile_up_and_markers_hide_them() {
    let (_emulator, client) = versioned().await;
    let first = put(&client, "k", "one").await;
    let second = put(&client, "k", "two").await;
    assert_eq!(first.len(), 32);
    assert_eq!(text(&client, "k", None).await, "two");
    assert_eq!(text(&client, "k", Some(&first)).await, "one");

    let deleted = client.delete_object().bucket("src").key("k").send().await.unwrap();
    let marker = deleted.version_id().unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    let get = || client.get_object().bucket("src").key("k");
    assert_eq!(code(get().send().await), refused("NoSuchKey", 404));
    assert_eq!(code(get().version_id(marker).send().await), refused("MethodNotAllowed", 405));
    assert_eq!(code(get().version_id("gone").send().await), refused("NoSuchVersion", 404));
    assert_eq!(
        code(client.head_object().bucket("src").key("k").send().await),
        refused("NotFound", 404)
    );

    let undeleted = client.delete_object().bucket("src").key("k").version_id(marker).send().await;
    assert_eq!(undeleted.unwrap().delete_marker(), Some(true));
    assert_eq!(text(&client, "k", None).await, "two");
    client.delete_object().bucket("src").key("k").version_id(&second).send().await.unwrap();
    assert_eq!(text(&client, "k", None).await, "one");
}

#[tokio::test]
async fn a_hard_delete_is_remembered() {
    let (emulator, client) = versioned().await;
    let id = put(&client, "k", "one").await;
    client.delete_object().bucket("src").key("k").version_id(&id).send().await.unwrap();
    emulator.with(|world| {
        let bucket = &world.buckets["src"];
        assert!(bucket.keys.is_empty());
        assert!(bucket.hard_deleted.contains(&("k".to_owned(), id)));
    });
}

#[tokio::test]
async fn conditional_writes() {
    let (_emulator, client) = versioned().await;
    let write = || client.put_object().bucket("src").key("k");
    assert_eq!(code(write().if_match("\"x\"").send().await), refused("NoSuchKey", 404));
    let tag = write().if_none_match("*").send().await.unwrap().e_tag.unwrap();
    assert_eq!(code(write().if_none_match("*").send().await), refused("PreconditionFailed", 412));
    assert_eq!(code(write().if_match("\"x\"").send().await), refused("PreconditionFailed", 412));
    write().if_match(&tag).send().await.unwrap();
    let delete = || client.delete_object().bucket("src").key("k");
    assert_eq!(code(delete().if_match("\"x\"").send().await), refused("PreconditionFailed", 412));
    delete().if_match(&tag).send().await.unwrap();
    assert_eq!(code(write().if_match(&tag).send().await), refused("NoSuchKey", 404));
    write().if_none_match("*").send().await.expect("a marker is no object");
}

#[tokio::test]
async fn conditional_reads_and_ranges() {
    let (_emulator, client) = versioned().await;
    put(&client, "k", "0123456789").await;
    let get = || client.get_object().bucket("src").key("k");
    let tag = get().send().await.unwrap().e_tag.unwrap();
    assert_eq!(tag, "\"781e5e245d69b566979b86e28d23f2c7\"");
    assert_eq!(code(get().if_none_match(&tag).send().await).1, 304);
    assert_eq!(code(get().if_match("\"x\"").send().await), refused("PreconditionFailed", 412));
    for (range, expected, header) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = get().range(range).send().await.unwrap();
        assert_eq!(part.content_range(), Some(header));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), expected.as_bytes(), "{range}");
    }
    assert_eq!(code(get().range("bytes=10-").send().await), refused("InvalidRange", 416));
}

#[tokio::test]
async fn what_was_put_with_an_object_comes_back() {
    let (emulator, client) = versioned().await;
    emulator.with(|world| world.kms.create("arn:aws:kms:us-east-1:111122223333:key/k1"));
    let put = client
        .put_object()
        .bucket("src")
        .key("k")
        .content_type("text/csv")
        .cache_control("no-store")
        .metadata("owner", "ann")
        .tagging("a=1&b=x%20y")
        .storage_class(StorageClass::StandardIa)
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("k1")
        .checksum_algorithm(ChecksumAlgorithm::Sha256);
    put.send().await.unwrap();
    let head = client
        .head_object()
        .bucket("src")
        .key("k")
        .checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.cache_control(), Some("no-store"));
    assert_eq!(head.metadata().unwrap(), &HashMap::from([("owner".to_owned(), "ann".to_owned())]));
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.ssekms_key_id(), Some("arn:aws:kms:us-east-1:111122223333:key/k1"));
    assert!(head.checksum_sha256().is_some());
    assert_eq!(head.content_length(), Some(0));
    assert_eq!(head.replication_status(), None);
    let missing = client
        .put_object()
        .bucket("src")
        .key("k")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("k2");
    assert_eq!(code(missing.send().await), refused("KMS.NotFoundException", 400));
}

#[tokio::test]
async fn copies_onto_others_and_onto_themselves() {
    let (_emulator, client) = versioned().await;
    let old = put(&client, "a b+ü", "one").await;
    put(&client, "a b+ü", "two").await;
    let copy =
        |key: &str, source: &str| client.copy_object().bucket("src").key(key).copy_source(source);
    let copied = copy("c", &format!("src/a%20b%2B%C3%BC?versionId={old}")).send().await.unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(old.as_str()));
    assert_eq!(text(&client, "c", None).await, "one");
    assert_eq!(code(copy("c", "src/c").send().await), refused("InvalidRequest", 400));
    let in_place =
        copy("c", "src/c").metadata_directive(MetadataDirective::Replace).metadata("m", "1");
    let in_place = in_place.send().await.unwrap();
    assert_ne!(in_place.version_id(), copied.version_id());
    let head = client.head_object().bucket("src").key("c").send().await.unwrap();
    assert_eq!(head.metadata().unwrap().get("m").map(String::as_str), Some("1"));
    assert_eq!(code(copy("d", "src/nothing").send().await), refused("NoSuchKey", 404));
}

#[tokio::test]
async fn tags_belong_to_a_version() {
    let (_emulator, client) = versioned().await;
    let old = put(&client, "k", "one").await;
    put(&client, "k", "two").await;
    let tag = Tag::builder().key("a").value("1").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    let set = client.put_object_tagging().bucket("src").key("k").version_id(&old).tagging(tagging);
    assert_eq!(set.send().await.unwrap().version_id(), Some(old.as_str()));
    let read = |id: Option<&str>| {
        client
            .get_object_tagging()
            .bucket("src")
            .key("k")
            .set_version_id(id.map(str::to_owned))
            .send()
    };
    assert_eq!(read(Some(&old)).await.unwrap().tag_set(), [tag]);
    assert!(read(None).await.unwrap().tag_set().is_empty());
    client.delete_object_tagging().bucket("src").key("k").version_id(&old).send().await.unwrap();
    assert!(read(Some(&old)).await.unwrap().tag_set().is_empty());
    let eleven = (0..11).map(|n| format!("t{n}=1")).collect::<Vec<_>>().join("&");
    let put = client.put_object().bucket("src").key("k").tagging(eleven);
    assert_eq!(code(put.send().await), refused("BadRequest", 400));
}

#[tokio::test]
async fn an_archived_object_cannot_be_read() {
    let (_emulator, client) = versioned().await;
    client
        .put_object()
        .bucket("src")
        .key("k")
        .storage_class(StorageClass::Glacier)
        .send()
        .await
        .unwrap();
    client.head_object().bucket("src").key("k").send().await.unwrap();
    let get = client.get_object().bucket("src").key("k");
    assert_eq!(code(get.send().await), refused("InvalidObjectState", 403));
}

#[tokio::test]
async fn an_unversioned_bucket_has_null_versions() {
    let (emulator, client) = super::in_process();
    client.create_bucket().bucket("src").send().await.unwrap();
    assert_eq!(put(&client, "k", "one").await, "null");
    put(&client, "k", "two").await;
    assert_eq!(text(&client, "k", Some("null")).await, "two");
    client.delete_object().bucket("src").key("k").send().await.unwrap();
    emulator.with(|world| assert!(world.buckets["src"].keys.is_empty()));
    let head = client.head_object().bucket("src").key("k").send().await;
    assert_eq!(code(head), refused("NotFound", 404));
}
