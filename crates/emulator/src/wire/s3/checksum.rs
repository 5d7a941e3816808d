//! Checksums that a client sends with a body: verified, and kept to be given back.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use http::HeaderMap;
use md5::{Digest, Md5};
use s3s::S3Request;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};

use crate::world::object::Fields;
use crate::world::{Answer, Refusal};

const PREFIX: &str = "x-amz-checksum-";
const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// The checksums that came with the body, in headers or behind it, by algorithm.
///
/// # Errors
/// 400 `BadDigest` when one of them, or the `Content-MD5`, is not that of the body.
pub(super) fn verified<I>(request: &S3Request<I>, body: &[u8]) -> Answer<Fields> {
    if let Some(md5) = request.headers.get("content-md5")
        && md5.as_bytes() != base64::encode(Md5::digest(body)).as_bytes()
    {
        return Err(bad("Content-MD5"));
    }
    let mut given = of_headers(&request.headers);
    if let Some(trailers) = request.trailing_headers.as_ref().and_then(|trailers| trailers.take()) {
        given.extend(of_headers(&trailers));
    }
    let wants = |name: &str| given.contains_key(name);
    let mut hasher = ChecksumHasher {
        crc32: wants("CRC32").then(Crc32::new),
        crc32c: wants("CRC32C").then(Crc32c::new),
        sha1: wants("SHA1").then(Sha1::new),
        sha256: wants("SHA256").then(Sha256::new),
        crc64nvme: wants("CRC64NVME").then(Crc64Nvme::new),
    };
    hasher.update(body);
    let found = hasher.finalize();
    for (name, value) in &given {
        let computed = match name.as_str() {
            "CRC32" => &found.checksum_crc32,
            "CRC32C" => &found.checksum_crc32c,
            "SHA1" => &found.checksum_sha1,
            "SHA256" => &found.checksum_sha256,
            _ => &found.checksum_crc64nvme,
        };
        if computed.as_ref() != Some(value) {
            return Err(bad(name));
        }
    }
    Ok(given.into_iter().collect())
}

fn of_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let given = |name: &&str| {
        let value = headers.get(format!("{PREFIX}{}", name.to_ascii_lowercase()))?;
        Some(((*name).to_owned(), value.to_str().ok()?.to_owned()))
    };
    ALGORITHMS.iter().filter_map(given).collect()
}

/// Adds the stored checksums to the headers of an answer.
pub(super) fn add(headers: &mut HeaderMap, checksums: &Fields) {
    for (name, value) in checksums.iter() {
        super::fields::add(headers, &format!("{PREFIX}{}", name.to_ascii_lowercase()), value);
    }
    if !checksums.is_empty() {
        super::fields::add(headers, "x-amz-checksum-type", "FULL_OBJECT");
    }
}

fn bad(name: &str) -> Refusal {
    let message = format!("The {name} you specified did not match the calculated checksum.");
    Refusal::new(400, "BadDigest", message)
}
