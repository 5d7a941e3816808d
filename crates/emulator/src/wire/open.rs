//! A world without credentials takes every request: what signs it is taken off, and a body that was
//! sent in signed chunks is put together again.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};

use super::operation::header;

/// The most trailers that are read.
const TRAILERS_MAX: usize = 16;

/// Query parameters of a presigned request, of both versions.
const SIGNED: [&str; 10] = [
    "AWSAccessKeyId",
    "Expires",
    "Signature",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

/// The request as an anonymous one; `None` if its body is not of the form that it claims.
pub(super) fn unsigned(request: Request<Bytes>) -> Option<Request<Bytes>> {
    let (mut parts, mut body) = request.into_parts();
    parts.headers.remove("authorization");
    if let Some(uri) = without_signature(&parts.uri) {
        parts.uri = uri;
    }
    if is_chunked(&parts.headers) {
        let (whole, trailers) = joined(&body)?;
        for (name, value) in trailers {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                parts.headers.insert(name, value);
            }
        }
        parts.headers.insert("content-length", HeaderValue::from(whole.len()));
        body = whole;
    }
    parts.headers.remove("x-amz-content-sha256");
    parts.headers.remove("x-amz-decoded-content-length");
    Some(Request::from_parts(parts, body))
}

/// Whether a body is of the form, and of the length, that its headers claim.
pub(super) fn is_whole(request: &Request<Bytes>) -> bool {
    if !is_chunked(request.headers()) {
        return true;
    }
    let stated = header(request.headers(), "x-amz-decoded-content-length");
    let length = chunks(request.body()).map(|(chunks, _)| chunks.iter().map(Bytes::len).sum());
    length.is_some_and(|length: usize| stated.is_none_or(|it| it.parse() == Ok(length)))
}

fn is_chunked(headers: &HeaderMap) -> bool {
    header(headers, "x-amz-content-sha256").is_some_and(|value| value.starts_with("STREAMING-"))
}

fn without_signature(uri: &Uri) -> Option<Uri> {
    let query = uri.query().filter(|query| query.contains("Signature="))?;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !SIGNED.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let mut parts = uri.clone().into_parts();
    let path = if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    };
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Names with their values.
type Trailers = Vec<(String, String)>;

/// The body behind `aws-chunked`, and the headers that trail it; `None` when it is not of that form.
fn joined(body: &Bytes) -> Option<(Bytes, Trailers)> {
    let (chunks, trailers) = chunks(body)?;
    Some(match chunks.as_slice() {
        [chunk] => (chunk.clone(), trailers),
        chunks => (chunks.concat().into(), trailers),
    })
}

/// The chunks of a body, and the headers behind them: checksums, and nothing that could take the place of
/// another header.
fn chunks(body: &Bytes) -> Option<(Vec<Bytes>, Trailers)> {
    let (mut rest, mut chunks) = (body.clone(), Vec::new());
    loop {
        let line = take_line(&mut rest)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            break;
        }
        if rest.len() < size.checked_add(2)? {
            return None;
        }
        chunks.push(rest.split_to(size));
        if rest.split_to(2) != "\r\n" {
            return None;
        }
    }
    let mut trailers = Vec::new();
    while let Some(line) = take_line(&mut rest) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        if name.starts_with("x-amz-checksum-") && trailers.len() < TRAILERS_MAX {
            trailers.push((name, value.trim().to_owned()));
        }
    }
    rest.is_empty().then_some((chunks, trailers))
}

fn take_line(rest: &mut Bytes) -> Option<String> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = rest.split_to(end);
    let _ = rest.split_to(2);
    String::from_utf8(line.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn chunks_become_a_body_and_trailers_headers() {
        let request = Request::builder()
            .uri("/b/k?versionId=1&X-Amz-Signature=aa&X-Amz-Date=bb")
            .header("authorization", "AWS4-HMAC-SHA256 …".as_bytes())
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "8")
            .body(Bytes::from("5;chunk-signature=ab\r\nhe\r\no\r\n3\r\nyou\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"))
            .unwrap();
        let open = unsigned(request).unwrap();
        assert_eq!(open.body(), "he\r\noyou");
        assert_eq!(open.uri(), "/b/k?versionId=1");
        assert_eq!(open.headers().get("content-length").unwrap(), "8");
        assert_eq!(open.headers().get("x-amz-checksum-crc32").unwrap(), "AAAA");
        assert_eq!(open.headers().get("authorization"), None);
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for body in ["ffffffffffffffff\r\nx", "5\r\nabc", "zz\r\n", "3\r\nabcde\r\n0\r\n"] {
            let request = Request::builder()
                .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                .body(Bytes::from(body))
                .unwrap();
            assert!(unsigned(request).is_none(), "{body:?}");
        }
    }
}
