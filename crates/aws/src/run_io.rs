//! Runs as objects: read as pages of whole lines, written line by line, in constant memory. A key that
//! ends in `.zst` is compressed.

use std::io::Write;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use bytes::Bytes;

use crate::unpack::Unpacker;
use crate::{AwsError, Kind, Store};

/// Bytes of an object that are asked for at a time, at most and at least, and of all objects that are
/// read together.
const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;
const READ_BYTES_MIN: u64 = 256 * 1024;
const READ_BYTES_TOGETHER: u64 = 256 * 1024 * 1024;
/// Bytes of a part of a multipart upload; what is shorter is put in one piece.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Lines are cheap to compress: they repeat.
const LEVEL: i32 = 3;

/// Reads a run.
pub struct LineReader {
    store: Store,
    key: String,
    etag: Option<String>,
    at: u64,
    read_bytes: u64,
    ended: bool,
    unpacker: Unpacker,
}

impl std::fmt::Debug for LineReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineReader({} at {})", self.key, self.at)
    }
}

impl LineReader {
    /// A reader that has read nothing yet.
    pub fn new(store: Store, key: String) -> Self {
        let unpacker = Unpacker::new(key.ends_with(".zst"));
        Self { store, key, etag: None, at: 0, read_bytes: READ_BYTES_MAX, ended: false, unpacker }
    }

    /// One of so many that are read together, and share the memory.
    #[must_use]
    pub fn one_of(mut self, readers: u64) -> Self {
        let share = READ_BYTES_TOGETHER / readers.max(1);
        self.read_bytes = share.clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        self
    }

    /// Of an object with this ETag, which has no quotes; with another it is `Precondition`.
    #[must_use]
    pub fn expecting(mut self, etag: &str) -> Self {
        self.etag = Some(format!("\"{etag}\""));
        self
    }

    /// The next page of whole lines; `None` at the end. An object that is gone, or was replaced since
    /// the first page, is an error of kind `NotFound` or `Precondition`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AwsError> {
        loop {
            if let Some(page) = self.unpacker.page().map_err(|why| self.damaged(why))? {
                return Ok(Some(page));
            }
            if self.ended {
                return self.unpacker.rest().map_err(|why| self.damaged(why));
            }
            self.fetch().await?;
        }
    }

    async fn fetch(&mut self) -> Result<(), AwsError> {
        let to = self.at + self.read_bytes;
        let got = self.store.get_range(&self.key, self.at, to, self.etag.as_deref()).await?;
        let Some(object) = got else {
            return Err(AwsError {
                kind: Kind::NotFound,
                operation: "GetObject",
                target: format!("s3://{}/{}", self.store.bucket, self.key),
                code: Some("NoSuchKey".to_owned()),
                message: "the run is gone".to_owned(),
            });
        };
        self.etag.get_or_insert(object.etag);
        self.at += object.bytes.len() as u64;
        self.ended = (object.bytes.len() as u64) < self.read_bytes;
        self.unpacker.feed(object.bytes);
        Ok(())
    }

    fn damaged(&self, why: std::io::Error) -> AwsError {
        let target = format!("s3://{}/{}", self.store.bucket, self.key);
        AwsError::local("GetObject", target, format!("the run is damaged: {why}"))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The object's length.
    pub bytes: u64,
    /// Its ETag, without quotes.
    pub etag: String,
}

enum Encoder {
    Plain(Vec<u8>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

/// Writes a run.
pub struct LineWriter {
    store: Store,
    key: String,
    encoder: Encoder,
    upload: Option<Upload>,
    bytes: u64,
}

struct Upload {
    id: String,
    parts: Vec<CompletedPart>,
}

impl std::fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineWriter({} at {})", self.key, self.bytes)
    }
}

impl LineWriter {
    /// A writer that has written nothing yet; nothing is there before [`LineWriter::finish`].
    pub fn new(store: Store, key: String) -> Self {
        let encoder = match key.ends_with(".zst") {
            false => Encoder::Plain(Vec::new()),
            true => match zstd::stream::write::Encoder::new(Vec::new(), LEVEL) {
                Ok(encoder) => Encoder::Zstd(Box::new(encoder)),
                Err(_) => Encoder::Plain(Vec::new()),
            },
        };
        Self { store, key, encoder, upload: None, bytes: 0 }
    }

    /// Writes a line, or several.
    pub async fn write(&mut self, lines: &[u8]) -> Result<(), AwsError> {
        let ready = match &mut self.encoder {
            Encoder::Plain(buffer) => {
                buffer.extend_from_slice(lines);
                buffer
            }
            Encoder::Zstd(encoder) => {
                let written = encoder.write_all(lines);
                written.map_err(|why| AwsError::local("PutObject", self.key.clone(), why))?;
                encoder.get_mut()
            }
        };
        if ready.len() < PART_BYTES {
            return Ok(());
        }
        let part = std::mem::take(ready);
        self.part(part).await
    }

    /// Ends the object. It is there, whole, from now on.
    pub async fn finish(mut self) -> Result<Finished, AwsError> {
        let encoder = std::mem::replace(&mut self.encoder, Encoder::Plain(Vec::new()));
        let rest = match encoder {
            Encoder::Plain(rest) => rest,
            Encoder::Zstd(encoder) => encoder
                .finish()
                .map_err(|why| AwsError::local("PutObject", self.key.clone(), why))?,
        };
        if self.upload.is_none() {
            let bytes = rest.len() as u64;
            let etag = self.store.put(&self.key, Bytes::from(rest), "text/csv").await?;
            return Ok(Finished { bytes, etag: unquoted(&etag) });
        }
        if !rest.is_empty() {
            self.part(rest).await?;
        }
        self.complete().await
    }

    async fn part(&mut self, part: Vec<u8>) -> Result<(), AwsError> {
        self.bytes += part.len() as u64;
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => self.create().await?,
        };
        let number = i32::try_from(upload.parts.len() + 1).unwrap_or(i32::MAX);
        let request = self.store.clients.s3.upload_part().bucket(&self.store.bucket);
        let request = request.key(&self.key).upload_id(&upload.id).part_number(number);
        match request.body(ByteStream::from(part)).send().await {
            Ok(output) => {
                let part = CompletedPart::builder().part_number(number);
                upload.parts.push(part.set_e_tag(output.e_tag().map(str::to_owned)).build());
                self.upload = Some(upload);
                Ok(())
            }
            Err(error) => {
                let problem = self.store.error("UploadPart", &self.key, &error);
                self.abort(&upload.id).await;
                Err(problem)
            }
        }
    }

    async fn create(&self) -> Result<Upload, AwsError> {
        let request = self.store.clients.s3.create_multipart_upload().bucket(&self.store.bucket);
        let request = request.key(&self.key).content_type("text/csv");
        let request = request.server_side_encryption(ServerSideEncryption::Aes256);
        let output = Box::pin(request.send()).await;
        let output =
            output.map_err(|error| self.store.error("CreateMultipartUpload", &self.key, &error))?;
        Ok(Upload { id: output.upload_id().unwrap_or_default().to_owned(), parts: Vec::new() })
    }

    async fn complete(self) -> Result<Finished, AwsError> {
        let Some(Upload { id, parts }) = &self.upload else {
            return Err(AwsError::local("CompleteMultipartUpload", self.key, "no upload"));
        };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.clone())).build();
        let request = self.store.clients.s3.complete_multipart_upload();
        let request = request.bucket(&self.store.bucket).key(&self.key).upload_id(id);
        match request.multipart_upload(parts).send().await {
            Ok(output) => {
                let etag = unquoted(output.e_tag().unwrap_or_default());
                Ok(Finished { bytes: self.bytes, etag })
            }
            Err(error) => {
                let problem = self.store.error("CompleteMultipartUpload", &self.key, &error);
                self.abort(id).await;
                Err(problem)
            }
        }
    }

    /// Parts that belong to nothing cost money until they are aborted; a lifecycle rule catches those
    /// that this does not.
    async fn abort(&self, id: &str) {
        let request = self.store.clients.s3.abort_multipart_upload().bucket(&self.store.bucket);
        if let Err(error) = request.key(&self.key).upload_id(id).send().await {
            let problem = self.store.error("AbortMultipartUpload", &self.key, &error);
            tracing::warn!(error = %problem, "upload not aborted");
        }
    }
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}
