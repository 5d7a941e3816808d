//! Requests to S3 whose form alone is wrong, and that would be taken for something else further on: several
//! sub-resources at once, version ids that are none, documents of another kind.

use bytes::Bytes;
use http::{Method, Request};

use super::operation::{Asked, Query, header};
use super::xml::Element;
use crate::world::{Answer, Refusal};

/// Operations whose document is checked here, with its root and what may stand in it: where a misspelt
/// element is passed over, the rest means something else than its author did.
const DOCUMENTS: [(&str, &str, &[&str]); 4] = [
    (
        "PutBucketNotificationConfiguration",
        "NotificationConfiguration",
        &[
            "TopicConfiguration",
            "QueueConfiguration",
            "CloudFunctionConfiguration",
            "EventBridgeConfiguration",
        ],
    ),
    (
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        &["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"],
    ),
    (
        "CreateBucket",
        "CreateBucketConfiguration",
        &["LocationConstraint", "Location", "Bucket", "Tags"],
    ),
    ("PutBucketVersioning", "VersioningConfiguration", &["Status", "MfaDelete"]),
];

/// The sub-resources of objects; all others are of buckets.
const OF_OBJECTS: [&str; 10] = [
    "acl",
    "attributes",
    "legal-hold",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
];

/// Whether the form is right.
///
/// # Errors
/// 400 `InvalidArgument`, 400 `MalformedXML`, 501 `NotImplemented` for sub-resources that are not known.
pub(super) fn check(request: &Request<Bytes>, asked: &Asked, query: &Query<'_>) -> Answer<()> {
    let kind = header(request.headers(), "content-type").unwrap_or_default();
    if *request.method() == Method::POST && kind.starts_with("multipart/form-data") {
        let message = "this emulator does not do uploads by HTML form";
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    let named = query.subresources();
    if named.len() > 1 {
        let message = format!("Conflicting query string parameters: {}", named.join(", "));
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    let (_, key) = asked.place();
    let of_bucket = |it: &&&str| !OF_OBJECTS.contains(*it);
    let misplaced = named.iter().find(of_bucket).filter(|_| !key.is_empty());
    if let Some(unknown) = query.unknown().or_else(|| misplaced.map(|it| (*it).to_owned())) {
        // What is not known must not be taken for a plain write or delete.
        let message = format!("this emulator does not do {} ?{unknown}", request.method());
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    if query.has("versionId") && query.value("versionId").is_none_or(|id| id.is_empty()) {
        let message = "Version id cannot be the empty string";
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    for (name, only) in [("encoding-type", "url"), ("list-type", "2")] {
        if query.value(name).is_some_and(|value| value != only) {
            let message = format!("Invalid value specified for {name}: it can be {only}");
            return Err(Refusal::new(400, "InvalidArgument", message));
        }
    }
    if let Some(id) = query.value("versionId") {
        let fits = id.len() <= 1_024 && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            let message = "Invalid version id specified";
            return Err(Refusal::new(400, "InvalidArgument", message));
        }
    }
    if *request.method() != Method::PUT {
        return Ok(());
    }
    let document = DOCUMENTS.iter().find(|(operation, ..)| *operation == asked.operation);
    match document {
        Some((_, root, children)) => check_document(request.body(), root, children),
        None => Ok(()),
    }
}

fn check_document(body: &Bytes, root: &str, children: &[&str]) -> Answer<()> {
    if body.is_empty() {
        return Ok(());
    }
    let read = std::str::from_utf8(body).ok().and_then(Element::parse);
    let known = |it: &Element| children.contains(&it.name.as_str());
    if read.is_some_and(|it| {
        it.name == root && it.text.trim().is_empty() && it.children.iter().all(known)
    }) {
        return Ok(());
    }
    let message =
        "The XML you provided was not well-formed or did not validate against our published schema";
    Err(Refusal::new(400, "MalformedXML", message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::operation;

    fn code(method: &str, uri: &str, body: &'static str) -> Option<String> {
        let request = Request::builder().method(method).uri(uri).body(Bytes::from(body)).unwrap();
        let query = Query(request.uri().query().unwrap_or_default());
        check(&request, &operation::name(&request), &query).err().map(|refusal| refusal.code)
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        let wrong = |code: &str| Some(code.to_owned());
        assert_eq!(code("GET", "/b?policy&versions", ""), wrong("InvalidArgument"));
        assert_eq!(code("PUT", "/b?object-lock&policy", ""), wrong("InvalidArgument"));
        assert_eq!(code("GET", "/b?polic%79&tagging", ""), wrong("InvalidArgument"));
        assert_eq!(code("DELETE", "/b/k?versionId=%00", ""), wrong("InvalidArgument"));
        let misspelt =
            "<NotificationConfiguration><EventBrigdeConfiguration/></NotificationConfiguration>";
        assert_eq!(code("PUT", "/b?notification", misspelt), wrong("MalformedXML"));
        assert_eq!(code("PUT", "/b?notification", "<Foo>x</Foo>"), wrong("MalformedXML"));
        assert_eq!(code("PUT", "/b?publicAccessBlock", "text"), wrong("MalformedXML"));
        let good = "<NotificationConfiguration xmlns=\"x\"> <EventBridgeConfiguration/> </NotificationConfiguration>";
        assert_eq!(code("PUT", "/b?notification", good), None);
        assert_eq!(code("PUT", "/b/k?renameObject", ""), wrong("NotImplemented"));
        assert_eq!(code("PUT", "/b/k?encryption", ""), wrong("NotImplemented"));
        assert_eq!(code("DELETE", "/b?metadataConfiguration", ""), wrong("NotImplemented"));
        assert_eq!(code("GET", "/b?list-type=2&prefix=&x-id=ListObjectsV2&delimiter", ""), None);
        assert_eq!(code("PUT", "/b/k?partNumber=1&uploadId=x&versionId=null", ""), None);
    }
}
