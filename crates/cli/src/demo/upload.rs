//! Uploading a demo's objects through the real SDK: small ones in one piece, large ones in parts.

use std::fs::File;
use std::io::Read;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use bytes::Bytes;

use super::objects::{Body, Objects};
use super::scene::{Break, SOURCE, SOURCE_KEY, Scene, failed};
use crate::error::CliError;
use crate::progress::{Step, count};

/// Bytes of a part.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Which part of the objects goes up while this is broken; half of them go up while nothing is.
fn part(n: usize) -> Option<Break> {
    Break::ALL.get(n % (2 * Break::ALL.len())).copied()
}

/// What an object has besides its bytes.
struct Extras {
    metadata: String,
    tags: Option<String>,
    kms: bool,
}

/// Why an object did not go up.
enum NotUp {
    /// Its file cannot be read after all: it is left out, and listed.
    Unread(std::io::Error),
    /// The demo itself does not work.
    Failed(CliError),
}

impl From<std::io::Error> for NotUp {
    fn from(why: std::io::Error) -> Self {
        Self::Unread(why)
    }
}

impl From<CliError> for NotUp {
    fn from(error: CliError) -> Self {
        Self::Failed(error)
    }
}

impl Scene<'_> {
    /// Uploads the objects that go up while `broken` is; gives how many there are.
    pub(super) async fn upload(
        &self,
        objects: &mut Objects,
        broken: Option<Break>,
    ) -> Result<u64, CliError> {
        let indexes: Vec<usize> = (0..objects.len()).filter(|n| part(*n) == broken).collect();
        let step = Step::begin("upload", indexes.len() as u64);
        let mut uploaded = 0;
        for (done, n) in indexes.into_iter().enumerate() {
            step.at(done as u64);
            match self.put(objects, n, broken).await {
                Ok(()) => uploaded += 1,
                Err(NotUp::Unread(why)) => objects.leave_out(n, &why),
                Err(NotUp::Failed(error)) => return Err(error),
            }
        }
        let while_what = match broken {
            None => "while all is well".to_owned(),
            Some(broken) => format!("with {}", broken.what()),
        };
        step.done(&format!("{} {while_what}", count(uploaded, "object")));
        Ok(uploaded)
    }

    async fn put(&self, objects: &Objects, n: usize, broken: Option<Break>) -> Result<(), NotUp> {
        let key = objects.key(n);
        let extras = Extras {
            metadata: format!("number {n}"),
            tags: n.is_multiple_of(4).then(|| format!("team=storage&number={n}")),
            kms: broken == Some(Break::Key),
        };
        match objects.body(n)? {
            Body::Bytes(bytes) => Ok(self.put_whole(&key, bytes, extras).await?),
            Body::File(file, length) => self.put_parts(&key, file, length, extras).await,
        }
    }

    async fn put_whole(&self, key: &str, bytes: Bytes, extras: Extras) -> Result<(), CliError> {
        let call = self.app.clients.s3.put_object().bucket(SOURCE).key(key);
        let call = call.metadata("made-by", extras.metadata).set_tagging(extras.tags);
        let call = match extras.kms {
            true => {
                call.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(SOURCE_KEY)
            }
            false => call,
        };
        let put = call.body(ByteStream::from(bytes)).send().await;
        put.map(drop).map_err(|why| failed("PutObject", why))
    }

    async fn put_parts(
        &self,
        key: &str,
        mut file: File,
        length: u64,
        extras: Extras,
    ) -> Result<(), NotUp> {
        let s3 = &self.app.clients.s3;
        let call = s3.create_multipart_upload().bucket(SOURCE).key(key);
        let call = call.metadata("made-by", extras.metadata).set_tagging(extras.tags);
        let call = match extras.kms {
            true => {
                call.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(SOURCE_KEY)
            }
            false => call,
        };
        let upload = call.send().await.map_err(|why| failed("CreateMultipartUpload", why))?;
        let id = upload.upload_id().unwrap_or_default();
        let mut parts = CompletedMultipartUpload::builder();
        let count = length.div_ceil(PART_BYTES as u64);
        for number in 1..=i32::try_from(count).unwrap_or(i32::MAX) {
            // An upload that stays open is no object; the embedded AWS ends with the demo.
            let bytes = next_part(&mut file)?;
            let call = s3.upload_part().bucket(SOURCE).key(key).upload_id(id).part_number(number);
            let put = call.body(ByteStream::from(bytes)).send().await;
            let put = put.map_err(|why| failed("UploadPart", why))?;
            let part = CompletedPart::builder().part_number(number);
            parts = parts.parts(part.set_e_tag(put.e_tag().map(str::to_owned)).build());
        }
        let call = s3.complete_multipart_upload().bucket(SOURCE).key(key).upload_id(id);
        let done = call.multipart_upload(parts.build()).send().await;
        done.map(drop).map_err(|why| failed("CompleteMultipartUpload", why))?;
        Ok(())
    }
}

fn next_part(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(PART_BYTES);
    file.take(PART_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
