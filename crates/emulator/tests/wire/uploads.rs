//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::{code, put, refused, versioned};

const PART: usize = 5 << 20;

async fn begin(client: &Client) -> String {
    let create = client.create_multipart_upload().bucket("src").key("k").metadata("m", "1");
    create.send().await.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client.upload_part().bucket("src").key("k").upload_id(id).part_number(number);
    let tag = part.body(ByteStream::from(body)).send().await.unwrap().e_tag.unwrap();
    CompletedPart::builder().part_number(number).e_tag(tag).build()
}

fn parts(parts: &[&CompletedPart]) -> CompletedMultipartUpload {
    let parts = parts.iter().map(|part| (*part).clone()).collect();
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_become_one_object() {
    let (_emulator, client) = versioned().await;
    let id = begin(&client).await;
    let one = part(&client, &id, 1, vec![b'a'; PART]).await;
    let two = part(&client, &id, 7, b"tail".to_vec()).await;
    let listed = client.list_parts().bucket("src").key("k").upload_id(&id).send().await.unwrap();
    let sizes: Vec<_> = listed.parts().iter().map(|it| (it.part_number(), it.size())).collect();
    assert_eq!(sizes, [(Some(1), Some(PART as i64)), (Some(7), Some(4))]);
    assert_eq!(
        client.list_multipart_uploads().bucket("src").send().await.unwrap().uploads().len(),
        1
    );

    let complete = |list: CompletedMultipartUpload| {
        client
            .complete_multipart_upload()
            .bucket("src")
            .key("k")
            .upload_id(&id)
            .multipart_upload(list)
    };
    assert_eq!(code(complete(parts(&[&two, &one])).send().await), refused("InvalidPartOrder", 400));
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"x\"").build();
    assert_eq!(code(complete(parts(&[&wrong])).send().await), refused("InvalidPart", 400));
    let done = complete(parts(&[&one, &two])).if_none_match("*").send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{:?}", done.e_tag());
    assert!(done.version_id().is_some());
    let again = complete(parts(&[&one, &two])).send().await.unwrap();
    assert_eq!((again.e_tag(), again.version_id()), (done.e_tag(), done.version_id()));

    let got = client.get_object().bucket("src").key("k").range(format!("bytes={}-", PART - 2));
    let got = got.send().await.unwrap();
    assert_eq!(got.metadata().unwrap()["m"], "1");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"aatail");
}

#[tokio::test]
async fn small_parts_and_taken_keys_are_refused() {
    let (_emulator, client) = versioned().await;
    put(&client, "k", "there").await;
    let id = begin(&client).await;
    let one = part(&client, &id, 1, b"small".to_vec()).await;
    let two = part(&client, &id, 2, b"tail".to_vec()).await;
    let complete = || client.complete_multipart_upload().bucket("src").key("k").upload_id(&id);
    let both = complete().multipart_upload(parts(&[&one, &two]));
    assert_eq!(code(both.send().await), refused("EntityTooSmall", 400));
    let taken = complete().multipart_upload(parts(&[&two])).if_none_match("*");
    assert_eq!(code(taken.send().await), refused("PreconditionFailed", 412));
    client.abort_multipart_upload().bucket("src").key("k").upload_id(&id).send().await.unwrap();
    let gone = client.list_parts().bucket("src").key("k").upload_id(&id);
    assert_eq!(code(gone.send().await), refused("NoSuchUpload", 404));
}

#[tokio::test]
async fn a_part_can_be_copied() {
    let (_emulator, client) = versioned().await;
    put(&client, "source", "0123456789").await;
    let id = begin(&client).await;
    let copy = client.upload_part_copy().bucket("src").key("k").upload_id(&id).part_number(1);
    let copied =
        copy.copy_source("src/source").copy_source_range("bytes=2-5").send().await.unwrap();
    let tag = copied.copy_part_result().unwrap().e_tag().unwrap();
    let one = CompletedPart::builder().part_number(1).e_tag(tag).build();
    let complete = client.complete_multipart_upload().bucket("src").key("k").upload_id(&id);
    complete.multipart_upload(parts(&[&one])).send().await.unwrap();
    let got = client.get_object().bucket("src").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"2345");
}
