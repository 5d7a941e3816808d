//! Who sends a request: the access key that it names, and the account and the secret behind that key.
//!
//! Three kinds of keys are known: the one of the configuration; those of role sessions that STS handed
//! out; and any 12 digits, which are the key of that account under the configured secret, so that a
//! test can own a bucket in another account without a second server.

use bytes::Bytes;
use http::Request;

use super::operation::{Query, header};
use crate::world::World;

/// Who sent a request. It travels with the request as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account whose key it is.
    pub(crate) account: String,
    /// The ARN of the role whose session it is; `None` is the account itself.
    pub(crate) role: Option<String>,
    /// The access key; empty for a request that names none.
    pub(crate) key: String,
}

/// The caller with this access key.
pub(crate) fn caller(world: &World, key: Option<&str>) -> Caller {
    let key = key.unwrap_or_default();
    let session = world.iam.session(key);
    let account = match session {
        Some(session) => session.account().to_owned(),
        None if is_account(key) => key.to_owned(),
        None => world.config.account.clone(),
    };
    Caller { account, role: session.map(|session| session.role.clone()), key: key.to_owned() }
}

/// The secret of an access key; `None` if there is no such key.
pub(super) fn secret_of(world: &World, key: &str) -> Option<String> {
    if let Some(session) = world.iam.session(key) {
        return Some(session.secret.clone());
    }
    let (known, secret) = world.config.credentials.as_ref()?;
    (known == key || is_account(key)).then(|| secret.clone())
}

/// The access key that a request names, in its header or in its query, in any version of the protocol.
pub(super) fn key_of(request: &Request<Bytes>) -> Option<String> {
    // As whoever checks the signature does: a presigned request first. One that is signed both ways is
    // refused before anybody asks who sends it.
    let query = Query(request.uri().query().unwrap_or_default());
    if let Some(credential) = query.value("X-Amz-Credential") {
        return credential.split('/').next().map(str::to_owned);
    }
    if let Some(key) = query.value("AWSAccessKeyId") {
        return Some(key);
    }
    let signed = header(request.headers(), "authorization")?;
    let key = match signed.split_once("Credential=") {
        Some((_, rest)) => rest.split(['/', ',', ' ']).next(),
        None => signed.strip_prefix("AWS ").and_then(|rest| rest.split(':').next()),
    };
    key.map(str::to_owned)
}

fn is_account(key: &str) -> bool {
    key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::world::Config;

    #[test]
    fn the_key_is_found_wherever_a_request_names_it() {
        let of = |uri: &str, authorization: &str| {
            let request = Request::builder().uri(uri).header("authorization", authorization);
            let mut request = request.body(Bytes::new()).unwrap();
            if authorization.is_empty() {
                request.headers_mut().clear();
            }
            key_of(&request)
        };
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/s3/aws4_request, Signature=0";
        assert_eq!(of("/", signed).as_deref(), Some("AKIA1"));
        assert_eq!(of("/", "AWS AKIA2:c2ln").as_deref(), Some("AKIA2"));
        assert_eq!(of("/b?X-Amz-Credential=AKIA3%2F20260101%2Fr", "").as_deref(), Some("AKIA3"));
        assert_eq!(of("/b?AWSAccessKeyI%64=AKIA4&Expires=1", "").as_deref(), Some("AKIA4"));
        assert_eq!(of("/b", ""), None);
    }

    #[test]
    fn twelve_digits_are_an_account_under_the_same_secret() {
        let world = World::new(Config::default());
        assert_eq!(caller(&world, Some("444455556666")).account, "444455556666");
        assert_eq!(caller(&world, Some("AKIARESILVERLOCAL000")).account, "111122223333");
        assert_eq!(secret_of(&world, "444455556666").unwrap(), "resilver-local-secret");
        assert_eq!(secret_of(&world, "AKIAUNKNOWN"), None);
    }
}
