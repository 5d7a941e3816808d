//! Checksums that a client sends with a body: verified, and kept to be given back.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use http::HeaderMap;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Request, dto};

use crate::world::object::{Content, Fields};
use crate::world::ops::multipart::{Part, Upload};
use crate::world::{Answer, Refusal};

const PREFIX: &str = "x-amz-checksum-";
const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// The checksums that came with the body, in headers or behind it, by algorithm.
///
/// # Errors
/// 400 `BadDigest` when one of them, or the `Content-MD5`, is not that of the body.
pub(super) fn verified<I>(request: &S3Request<I>, body: &[u8]) -> Answer<Fields> {
    if let Some(md5) = request.headers.get("content-md5") {
        let stated = md5.to_str().ok().and_then(|md5| base64::decode(md5).ok());
        let Some(stated) = stated.filter(|stated| stated.len() == 16) else {
            let message = "The Content-MD5 you specified is not valid.";
            return Err(Refusal::new(400, "InvalidDigest", message));
        };
        if stated != Md5::digest(body).as_slice() {
            return Err(bad("Content-MD5"));
        }
    }
    check_names(&request.headers)?;
    let mut given = of_headers(&request.headers);
    if let Some(trailers) = request.trailing_headers.as_ref().and_then(|trailers| trailers.take()) {
        given.extend(of_headers(&trailers));
    }
    for (name, value) in &given {
        if compute(name, [body]) != *value {
            return Err(bad(name));
        }
    }
    Ok(given.into_iter().collect())
}

/// Algorithms that S3 knows and that are not computed here: a wrong value must not be taken for a right one.
const MISSING: [&str; 5] = ["sha512", "md5", "xxhash64", "xxhash3", "xxhash128"];

fn check_names(headers: &HeaderMap) -> Answer<()> {
    let named = |name: &&&str| headers.contains_key(format!("{PREFIX}{name}"));
    let trailer = headers.get("x-amz-trailer").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let announced = |name: &&&str| trailer == format!("{PREFIX}{name}");
    match MISSING.iter().find(|name| named(name) || announced(name)) {
        None => Ok(()),
        Some(name) => Err(not_computed(name)),
    }
}

fn not_computed(algorithm: &str) -> Refusal {
    let message = format!("this emulator does not compute checksums of the algorithm {algorithm}");
    Refusal::new(501, "NotImplemented", message)
}

/// The checksum of these pieces together, base64.
fn compute<'a>(algorithm: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let wants = |name: &str| algorithm == name;
    let mut hasher = ChecksumHasher {
        crc32: wants("CRC32").then(Crc32::new),
        crc32c: wants("CRC32C").then(Crc32c::new),
        sha1: wants("SHA1").then(Sha1::new),
        sha256: wants("SHA256").then(Sha256::new),
        crc64nvme: wants("CRC64NVME").then(Crc64Nvme::new),
    };
    for piece in pieces {
        hasher.update(piece);
    }
    let found = hasher.finalize();
    [
        found.checksum_crc32,
        found.checksum_crc32c,
        found.checksum_sha1,
        found.checksum_sha256,
        found.checksum_crc64nvme,
    ]
    .into_iter()
    .find_map(|it| it)
    .unwrap_or_default()
}

/// The algorithm of an upload's checksum, and whether it is made of the parts' checksums.
///
/// # Errors
/// 400 `InvalidRequest` for an algorithm or a type that is not known, or that do not go together (S3
/// User Guide: checking object integrity).
pub(super) fn of_upload(headers: &HeaderMap) -> Answer<Option<(String, bool)>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let invalid = |message: &str| Err(Refusal::new(400, "InvalidRequest", message));
    let Some(algorithm) = header("x-amz-checksum-algorithm") else {
        return Ok(None);
    };
    let algorithm = algorithm.to_ascii_uppercase();
    if MISSING.iter().any(|name| algorithm.eq_ignore_ascii_case(name)) {
        return Err(not_computed(&algorithm));
    }
    if !ALGORITHMS.contains(&algorithm.as_str()) {
        return invalid("Checksum algorithm provided is unsupported.");
    }
    let composite = match header("x-amz-checksum-type") {
        None => algorithm != "CRC64NVME",
        Some("COMPOSITE") if algorithm != "CRC64NVME" => true,
        Some("FULL_OBJECT") if algorithm.starts_with("CRC") => false,
        Some(_) => return invalid("The checksum type cannot be used with the checksum algorithm."),
    };
    Ok(Some((algorithm, composite)))
}

/// The checksum of an upload that is made of these parts, and those of the parts.
///
/// # Errors
/// 400 `BadDigest` when the request states another one.
pub(super) fn of_parts(
    upload: &Upload,
    numbers: impl Iterator<Item = i32>,
    headers: &HeaderMap,
) -> Answer<(Fields, Vec<String>)> {
    let Some((algorithm, composite)) = &upload.checksum else {
        return Ok((Fields::default(), Vec::new()));
    };
    let parts: Vec<&Part> = numbers.filter_map(|number| upload.parts.get(&number)).collect();
    let of = |part: &&Part| {
        let stated = part.checksums.get(algorithm).map(str::to_owned);
        stated.unwrap_or_else(|| compute(algorithm, [part.bytes.as_ref()]))
    };
    let each: Vec<String> = parts.iter().map(of).collect();
    let value = if *composite {
        let bytes = each.iter().map(|value| base64::decode(value).unwrap_or_default());
        let joined: Vec<u8> = bytes.flatten().collect();
        format!("{}-{}", compute(algorithm, [joined.as_slice()]), parts.len())
    } else {
        compute(algorithm, parts.iter().map(|part| part.bytes.as_ref()))
    };
    let stated = of_headers(headers);
    // A composite one may be stated without the number of parts.
    let bare = value.split('-').next().unwrap_or_default();
    if stated.get(algorithm).is_some_and(|stated| *stated != value && stated != bare) {
        return Err(bad(algorithm));
    }
    Ok(([(algorithm.clone(), value)].into_iter().collect(), each))
}

/// The checksums that a client names a part by, by algorithm.
pub(super) fn of_named(part: &dto::CompletedPart) -> BTreeMap<&'static str, String> {
    let all = [
        ("CRC32", &part.checksum_crc32),
        ("CRC32C", &part.checksum_crc32c),
        ("CRC64NVME", &part.checksum_crc64nvme),
        ("SHA1", &part.checksum_sha1),
        ("SHA256", &part.checksum_sha256),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Whether the parts are named by the checksums that they have.
///
/// # Errors
/// 400 `InvalidRequest` where the object's checksum is made of theirs and one is missing, 400 `InvalidPart` for
/// a wrong one.
pub(super) fn check_named(
    upload: &Upload,
    named: &[(i32, BTreeMap<&'static str, String>)],
) -> Answer<()> {
    let Some((algorithm, composite)) = &upload.checksum else {
        return Ok(());
    };
    for (number, stated) in named {
        let Some(part) = upload.parts.get(number) else { continue };
        let Some(stated) = stated.get(algorithm.as_str()) else {
            if !*composite {
                continue;
            }
            let name = algorithm.to_ascii_lowercase();
            let message = format!(
                "The upload was created using a {name} checksum. The complete request must include the checksum for each part. It was missing for part {number} in the request."
            );
            return Err(Refusal::new(400, "InvalidRequest", message));
        };
        if *stated != compute(algorithm, [part.bytes.as_ref()]) {
            let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
            return Err(Refusal::new(400, "InvalidPart", message));
        }
    }
    Ok(())
}

/// The checksums of one part of an object, by algorithm; `None` where the parts had none.
pub(super) fn of_part(content: &Content, number: i32) -> Option<Fields> {
    let (algorithm, _) = content.checksums.iter().next()?;
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    let value = content.part_checksums.get(at)?;
    Some([(algorithm.to_owned(), value.clone())].into_iter().collect())
}

/// `COMPOSITE` for a checksum that is made of the parts' checksums, which has their number in it.
pub(super) fn type_of(checksums: &Fields) -> &'static str {
    let composite = checksums.iter().any(|(_, value)| value.contains('-'));
    if composite { "COMPOSITE" } else { "FULL_OBJECT" }
}

fn of_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let given = |name: &&str| {
        let value = headers.get(format!("{PREFIX}{}", name.to_ascii_lowercase()))?;
        Some(((*name).to_owned(), value.to_str().ok()?.to_owned()))
    };
    ALGORITHMS.iter().filter_map(given).collect()
}

/// Adds what an answer says of an object's checksums, or of those of one of its parts.
pub(super) fn add_of(headers: &mut HeaderMap, content: &Content, part: Option<i32>) {
    match part.and_then(|number| of_part(content, number)) {
        None => add(headers, &content.checksums),
        Some(checksums) => {
            add(headers, &checksums);
            super::fields::add(headers, "x-amz-checksum-type", type_of(&content.checksums));
        }
    }
}

/// Adds the stored checksums to the headers of an answer.
pub(super) fn add(headers: &mut HeaderMap, checksums: &Fields) {
    for (name, value) in checksums.iter() {
        super::fields::add(headers, &format!("{PREFIX}{}", name.to_ascii_lowercase()), value);
    }
    if !checksums.is_empty() {
        super::fields::add(headers, "x-amz-checksum-type", type_of(checksums));
    }
}

fn bad(name: &str) -> Refusal {
    let message = format!("The {name} you specified did not match the calculated checksum.");
    Refusal::new(400, "BadDigest", message)
}
