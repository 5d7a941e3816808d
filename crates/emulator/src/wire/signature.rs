//! Signature Version 4 of the services that `s3s` does not speak for (IAM User Guide: create a signed
//! AWS API request). Only the `Authorization` header: their clients do not presign.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Request};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::operation::{Query, header};
use crate::world::{Answer, Refusal};

/// HMAC works in blocks of this many bytes (FIPS 198-1, with SHA-256).
const BLOCK: usize = 64;
/// How far the clocks of a client and of AWS may be apart.
const SKEW_MAX: Duration = Duration::minutes(15);
/// The longest life of a presigned request: a week.
const EXPIRES_MAX_S: i64 = 604_800;

/// The parts of an `Authorization` header.
struct Claim<'a> {
    key: &'a str,
    /// `20260101/us-east-1/sqs/aws4_request`.
    scope: &'a str,
    headers: &'a str,
    signature: &'a str,
}

/// What is said of a signature that is another.
pub(super) const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";

/// Whether the request was signed with the secret of its key.
///
/// # Errors
/// 403 `AccessDenied` without a signature, `InvalidAccessKeyId`, `SignatureDoesNotMatch`.
pub(super) fn check(
    request: &Request<Bytes>,
    secret_of: impl FnOnce(&str) -> Option<String>,
) -> Answer<()> {
    let refuse = |code: &str, message: &str| Err(Refusal::new(403, code, message));
    let Some(claim) = header(request.headers(), "authorization").and_then(read) else {
        return refuse("AccessDenied", "The request is not signed with AWS4-HMAC-SHA256");
    };
    let Some(secret) = secret_of(claim.key) else {
        return refuse(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        );
    };
    let body = hex::encode(Sha256::digest(request.body()));
    let announced = header(request.headers(), "x-amz-content-sha256");
    let streams = |it: &str| it == "UNSIGNED-PAYLOAD" || it.starts_with("STREAMING-");
    let honest = announced.is_none_or(|it| streams(it) || it == body);
    if !honest || signature(request, &claim, announced.unwrap_or(&body), &secret) != claim.signature
    {
        return refuse("SignatureDoesNotMatch", MISMATCH);
    }
    Ok(())
}

/// Whether a request that carries its time in a header was signed within 15 minutes of now, on the
/// wall clock, and whether a presigned one has a lifetime that it may have (S3 API Reference:
/// authenticating requests).
///
/// # Errors
/// 403 `RequestTimeTooSkewed`, 400 `AuthorizationQueryParametersError`.
pub(super) fn check_time(request: &Request<Bytes>, now: SystemTime) -> Answer<()> {
    let query = Query(request.uri().query().unwrap_or_default());
    let ways = [
        ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"].iter().any(|it| query.has(it)),
        ["AWSAccessKeyId", "Signature"].iter().any(|it| query.has(it)),
        request.headers().contains_key("authorization"),
    ];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified";
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    check_dates(request)?;
    check_expires(request.uri().query().unwrap_or_default())?;
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed = header(request.headers(), "authorization").is_some();
    let said = header(request.headers(), "x-amz-date").filter(|_| signed);
    let Some(said) = said.and_then(|said| PrimitiveDateTime::parse(said, format).ok()) else {
        return Ok(());
    };
    let skew = (OffsetDateTime::from(now) - said.assume_utc()).abs();
    if skew <= SKEW_MAX {
        return Ok(());
    }
    let message = "The difference between the request time and the current time is too large.";
    Err(Refusal::new(403, "RequestTimeTooSkewed", message))
}

/// Whether the dates in a signature are dates: what reads them further on takes that for granted.
fn check_dates(request: &Request<Bytes>) -> Answer<()> {
    let refuse = |code: &str, message: &str| Err(Refusal::new(400, code, message));
    let authorization = header(request.headers(), "authorization").unwrap_or_default();
    if let Some((_, credential)) = authorization.split_once("Credential=") {
        if !credential.split('/').nth(1).is_some_and(is_day) {
            let message =
                "The authorization header is malformed; the Credential has no date as YYYYMMDD.";
            return refuse("AuthorizationHeaderMalformed", message);
        }
        let time = request.headers().get("x-amz-date");
        if time.is_some_and(|time| !time.to_str().is_ok_and(is_time)) {
            let message = "AWS authentication requires a valid Date or x-amz-date header";
            return Err(Refusal::new(403, "AccessDenied", message));
        }
    }
    for pair in request.uri().query().unwrap_or_default().split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
        let (name, value) = (decoded(name), decoded(value));
        let good = match &*name {
            "X-Amz-Credential" => value.split('/').nth(1).is_some_and(is_day),
            "X-Amz-Date" => is_time(&value),
            _ => true,
        };
        if !good {
            let message = format!("{name} must hold a date as YYYYMMDD or YYYYMMDDTHHMMSSZ");
            return refuse("AuthorizationQueryParametersError", &message);
        }
    }
    Ok(())
}

fn is_day(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_time(text: &str) -> bool {
    text.strip_suffix('Z').and_then(|text| text.split_once('T')).is_some_and(|(day, time)| {
        is_day(day) && time.len() == 6 && time.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn check_expires(query: &str) -> Answer<()> {
    let expires = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Expires="));
    let message = match expires.map(str::parse::<i64>) {
        None | Some(Ok(0..=EXPIRES_MAX_S)) => return Ok(()),
        Some(Ok(..0)) => "X-Amz-Expires must be non-negative",
        Some(Ok(_)) => {
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
        }
        Some(Err(_)) => "X-Amz-Expires should be a number",
    };
    Err(Refusal::new(400, "AuthorizationQueryParametersError", message))
}

/// The request with a signature in its headers, for (Region, service). It has a host and a body already.
pub(super) fn signed(
    mut request: Request<Bytes>,
    key: &str,
    secret: &str,
    (region, service): (&str, &str),
    now: SystemTime,
) -> Request<Bytes> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = OffsetDateTime::from(now).format(format).unwrap_or_default();
    let day = time.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    if let Ok(time) = HeaderValue::from_str(&time) {
        request.headers_mut().insert("x-amz-date", time);
    }
    let payload = hex::encode(Sha256::digest(request.body()));
    let headers = "content-type;host;x-amz-date;x-amz-target";
    let claim = Claim { key, scope: &scope, headers, signature: "" };
    let signature = signature(&request, &claim, &payload, secret);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={headers}, Signature={signature}"
    );
    if let Ok(authorization) = HeaderValue::from_str(&authorization) {
        request.headers_mut().insert("authorization", authorization);
    }
    request
}

/// A request may be signed with `Date` where it has no `X-Amz-Date`; from here on it has.
pub(super) fn date(request: &mut Request<Bytes>) {
    let headers = request.headers();
    let signed = header(headers, "authorization").is_some_and(|it| it.starts_with("AWS4-"));
    // Version 2 signs every header of this name, and so must not find one that the client did not send.
    if headers.contains_key("x-amz-date") || !signed {
        return;
    }
    let Some(date) =
        header(headers, "date").and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok())
    else {
        return;
    };
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    if let Some(date) = date.format(format).ok().and_then(|date| HeaderValue::from_str(&date).ok())
    {
        request.headers_mut().insert("x-amz-date", date);
    }
}

fn read(authorization: &str) -> Option<Claim<'_>> {
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name))?;
        found.strip_prefix('=')
    };
    let (key, scope) = field("Credential")?.split_once('/')?;
    Some(Claim { key, scope, headers: field("SignedHeaders")?, signature: field("Signature")? })
}

fn signature(request: &Request<Bytes>, claim: &Claim<'_>, payload: &str, secret: &str) -> String {
    let canonical = canonical(request, claim.headers, payload);
    let time = header(request.headers(), "x-amz-date").unwrap_or_default();
    let digest = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{}\n{digest}", claim.scope);
    let first = format!("AWS4{secret}").into_bytes();
    let key = claim.scope.split('/').fold(first, |key, part| hmac(&key, part.as_bytes()));
    hex::encode(hmac(&key, to_sign.as_bytes()))
}

fn canonical(request: &Request<Bytes>, signed: &str, payload: &str) -> String {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    let mut headers = String::new();
    for name in signed.split(';') {
        let values: Vec<String> = request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let method = request.method();
    format!("{method}\n{}\n{}\n{headers}\n{signed}\n{payload}", uri.path(), pairs.join("&"))
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0u8; BLOCK];
    let short = if key.len() > BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
    for (slot, byte) in block.iter_mut().zip(short) {
        *slot = byte;
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// The worked example of the IAM User Guide.
    fn example(signature: &str) -> Request<Bytes> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        );
        Request::builder()
            .uri("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("host", "iam.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization)
            .body(Bytes::new())
            .unwrap()
    }

    #[test]
    fn only_the_right_signature_passes() {
        const KEY: &str = "AKIDEXAMPLE";
        const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        const RIGHT: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let check = |signature: &str, key: &str, secret: &str| {
            let known = |asked: &str| (asked == key).then(|| secret.to_owned());
            check(&example(signature), known).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(RIGHT, KEY, SECRET), Ok(()));
        assert_eq!(check(RIGHT, KEY, "other"), Err("SignatureDoesNotMatch".to_owned()));
        assert_eq!(check("00", KEY, SECRET), Err("SignatureDoesNotMatch".to_owned()));
        assert_eq!(check(RIGHT, "AKIDOTHER", SECRET), Err("InvalidAccessKeyId".to_owned()));
    }

    #[test]
    fn a_request_of_long_ago_is_refused() {
        let signed = OffsetDateTime::from_unix_timestamp(1_440_938_160).unwrap(); // 20150830T123600Z
        let late = |minutes: i64| {
            let now = SystemTime::from(signed + Duration::minutes(minutes));
            check_time(&example("00"), now).map_err(|refusal| refusal.code)
        };
        assert_eq!((late(14), late(-15)), (Ok(()), Ok(())));
        assert_eq!(late(16), Err("RequestTimeTooSkewed".to_owned()));
    }

    #[test]
    fn a_presigned_request_lives_a_week_at_most() {
        for (query, code) in [
            ("", None),
            ("X-Amz-Expires=0", None),
            ("a=b&X-Amz-Expires=604800", None),
            ("X-Amz-Expires=604801", Some("AuthorizationQueryParametersError")),
            ("X-Amz-Expires=-1", Some("AuthorizationQueryParametersError")),
            ("X-Amz-Expires=soon", Some("AuthorizationQueryParametersError")),
        ] {
            assert_eq!(check_expires(query).err().map(|it| it.code).as_deref(), code, "{query}");
        }
    }

    #[test]
    fn a_date_will_do_where_there_is_no_amz_date() {
        let mut request = example("00");
        request.headers_mut().remove("x-amz-date");
        request.headers_mut().insert("date", "Sun, 30 Aug 2015 12:36:00 -0000".parse().unwrap());
        date(&mut request);
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
    }

    #[test]
    fn a_request_is_signed_in_one_way() {
        for uri in [
            "/?X-Amz-Signature=0&AWSAccessKeyId=A",
            "/?X-Amz-%43redential=A",
            "/?AWSAccessKeyI%64=A",
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256",
        ] {
            let mut request = example("00");
            *request.uri_mut() = uri.parse().unwrap();
            let refusal = check_time(&request, SystemTime::now()).unwrap_err();
            assert_eq!(refusal.code, "InvalidArgument", "{uri}");
        }
    }

    #[test]
    fn a_date_that_is_none_is_refused_before_anybody_reads_it() {
        for (uri, name, value) in [
            (
                "/b/k",
                "authorization",
                "AWS4-HMAC-SHA256 Credential=A/!!!!!!!!/us-east-1/s3/aws4_request",
            ),
            ("/b/k?X-Amz-Credential=A%2F!!!!!!!!%2Fr", "x-a", "b"),
            ("/b/k?X-Amz-Date=!!!!!!!!T!!!!!!Z", "x-a", "b"),
        ] {
            let request = Request::get(uri).header(name, value).body(Bytes::new()).unwrap();
            assert_eq!(check_dates(&request).unwrap_err().status, 400, "{uri}");
        }
        let mut request = example("00");
        assert!(check_dates(&request).is_ok());
        request.headers_mut().insert("x-amz-date", "20150830T!!3600Z".parse().unwrap());
        assert_eq!(check_dates(&request).unwrap_err().code, "AccessDenied");
    }

    #[test]
    fn what_is_signed_here_passes_here() {
        let request = Request::post("/").header("host", "127.0.0.1:9000");
        let request = request
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(Bytes::from("{}"))
            .unwrap();
        let request = signed(request, "k", "s", ("us-east-1", "sqs"), SystemTime::now());
        assert!(check_time(&request, SystemTime::now()).is_ok());
        assert!(check(&request, |_| Some("s".to_owned())).is_ok());
        assert!(check(&request, |_| Some("other".to_owned())).is_err());
    }

    #[test]
    fn hmac_of_rfc_4231() {
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(hmac(key, message)), expected);
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hex::encode(hmac(&[0xaa; 131], message)), expected);
    }
}
