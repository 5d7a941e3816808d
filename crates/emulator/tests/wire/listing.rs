//! Listings: pages, prefixes, odd keys, versions and markers.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};

use super::{code, put, refused, versioned};

const ODD: [&str; 8] = ["a b", "a%20b", "a+b", "a&<b>", "dir/x", "line\nbreak", "ü/\u{1F600}", "~"];

async fn keys(client: &Client, prefix: &str, delimiter: Option<&str>, size: i32) -> Vec<String> {
    let list = client
        .list_objects_v2()
        .bucket("src")
        .prefix(prefix)
        .set_delimiter(delimiter.map(str::to_owned))
        .max_keys(size);
    let mut pages = list.into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        let shown = page.contents().len() + page.common_prefixes().len();
        assert!(shown <= size as usize && page.key_count() == Some(shown as i32));
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        keys.extend(page.common_prefixes().iter().map(|it| format!("{}*", it.prefix().unwrap())));
    }
    keys
}

#[tokio::test]
async fn odd_keys_come_back_as_they_are() {
    let (_emulator, client) = versioned().await;
    for key in ODD {
        put(&client, key, key).await;
    }
    let mut expected: Vec<String> = ODD.map(str::to_owned).to_vec();
    expected.sort();
    for size in [1, 3, 1_000] {
        assert_eq!(keys(&client, "", None, size).await, expected, "{size} a page");
    }
    for key in ODD {
        let got = client.get_object().bucket("src").key(key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), key.as_bytes());
    }
    let url = client.list_objects_v2().bucket("src").encoding_type(EncodingType::Url).send().await;
    let first = url.unwrap().contents()[0].key().unwrap().to_owned();
    assert_eq!(first, "a+b", "a space is a plus sign");
}

#[tokio::test]
async fn folded_pages_show_every_prefix_once() {
    let (_emulator, client) = versioned().await;
    for key in ["a", "b/1", "b/2", "b/3", "c/1", "d"] {
        put(&client, key, "").await;
    }
    client.delete_object().bucket("src").key("c/1").send().await.unwrap();
    for size in [1, 2, 9] {
        let mut found = keys(&client, "", Some("/"), size).await;
        found.sort();
        assert_eq!(found, ["a", "b/*", "d"], "{size} a page");
    }
    assert_eq!(keys(&client, "b/", Some("/"), 2).await, ["b/1", "b/2", "b/3"]);
    let after = client.list_objects_v2().bucket("src").start_after("b/2").send().await.unwrap();
    let after: Vec<_> = after.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(after, ["b/3", "d"]);
    let bad = client.list_objects_v2().bucket("src").continuation_token("zz").send().await;
    assert_eq!(code(bad), refused("InvalidArgument", 400));
    assert_eq!(
        client.list_objects_v2().bucket("src").max_keys(0).send().await.unwrap().is_truncated(),
        Some(false)
    );
}

#[tokio::test]
async fn the_older_listing_goes_on_from_its_marker() {
    let (_emulator, client) = versioned().await;
    for key in ["a", "b/1", "b/2", "c"] {
        put(&client, key, "").await;
    }
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let page =
            client.list_objects().bucket("src").delimiter("/").max_keys(1).set_marker(marker);
        let page = page.send().await.unwrap();
        found.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        found.extend(page.common_prefixes().iter().map(|it| it.prefix().unwrap().to_owned()));
        marker = page.next_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    assert_eq!(found, ["a", "b/", "c"]);
}

#[tokio::test]
async fn versions_are_listed_newest_first_in_pages() {
    let (_emulator, client) = versioned().await;
    let mut expected = Vec::new();
    for key in ["k1", "k2", "k3"] {
        let (old, new) = (put(&client, key, "1").await, put(&client, key, "2").await);
        let marker = client.delete_object().bucket("src").key(key).send().await.unwrap();
        let marker = marker.version_id().unwrap().to_owned();
        expected.extend([marker, new, old].map(|id| (key.to_owned(), id)));
    }
    expected.sort();
    for size in [1, 2, 4, 1_000] {
        let (mut found, mut latest, mut next) = (Vec::new(), 0, (None, None));
        loop {
            let page = client.list_object_versions().bucket("src").max_keys(size);
            let page =
                page.set_key_marker(next.0).set_version_id_marker(next.1).send().await.unwrap();
            for version in page.versions() {
                found.push((
                    version.key().unwrap().to_owned(),
                    version.version_id().unwrap().to_owned(),
                ));
                assert_eq!(version.is_latest(), Some(false));
            }
            for marker in page.delete_markers() {
                found.push((
                    marker.key().unwrap().to_owned(),
                    marker.version_id().unwrap().to_owned(),
                ));
                latest += usize::from(marker.is_latest() == Some(true));
            }
            next = (page.next_key_marker.clone(), page.next_version_id_marker.clone());
            if page.is_truncated() != Some(true) {
                break;
            }
        }
        found.sort();
        assert_eq!((&found, latest), (&expected, 3), "{size} a page");
    }
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let (_emulator, client) = versioned().await;
    let id = put(&client, "a", "1").await;
    let object = |key: &str, id: Option<&str>| {
        ObjectIdentifier::builder().key(key).set_version_id(id.map(str::to_owned)).build().unwrap()
    };
    let delete = Delete::builder()
        .set_objects(Some(vec![object("a", Some(&id)), object("never", None)]))
        .build()
        .unwrap();
    let deleted = client.delete_objects().bucket("src").delete(delete).send().await.unwrap();
    let told: Vec<_> =
        deleted.deleted().iter().map(|it| (it.key().unwrap(), it.delete_marker())).collect();
    assert_eq!(told, [("a", None), ("never", Some(true))]);
    assert!(deleted.errors().is_empty());
}
