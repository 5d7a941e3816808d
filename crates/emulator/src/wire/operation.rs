//! What a request asks of which service, told from its method, path, query and headers: enough for
//! faults to name it. The services parse it again for themselves.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use percent_encoding::percent_decode_str;

use super::message::refused;
use super::query::Form;
use super::{control, host, sqs};
use crate::world::Refusal;
use crate::world::fault::Service;

/// A request, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) service: Service,
    /// `PutObject`, `CreateJob`, `SendMessage`, …; empty if it is none that is known.
    pub(super) operation: String,
    /// The bucket of an S3 request.
    pub(super) bucket: Option<String>,
    /// The decoded path; for S3 with the bucket, wherever that was named.
    pub(super) path: String,
    /// It came in the query protocol.
    pub(super) is_form: bool,
}

impl Asked {
    /// A refusal as the service answers it in the protocol that it was asked in.
    pub(super) fn refused(&self, refusal: &Refusal) -> Response<Bytes> {
        match (self.service, self.is_form) {
            (Service::Sqs, true) => sqs::form::refused(refusal),
            (service, _) => refused(service, refusal),
        }
    }

    /// The bucket and the key of an S3 request; empty where there is none.
    pub(super) fn place(&self) -> (&str, &str) {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split_once('/').unwrap_or((path, ""))
    }
}

/// The sub-resources of a bucket, as the query and as the operations name them.
const SUBRESOURCES: [(&str, &str); 23] = [
    ("accelerate", "BucketAccelerateConfiguration"),
    ("acl", "BucketAcl"),
    ("analytics", "BucketAnalyticsConfiguration"),
    ("cors", "BucketCors"),
    ("encryption", "BucketEncryption"),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("location", "BucketLocation"),
    ("logging", "BucketLogging"),
    ("metadataTable", "BucketMetadataTableConfiguration"),
    ("metrics", "BucketMetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("replication", "BucketReplication"),
    ("requestPayment", "BucketRequestPayment"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("website", "BucketWebsite"),
];

/// Names a request.
pub(super) fn name(request: &Request<Bytes>) -> Asked {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let target = header(request.headers(), "x-amz-target").unwrap_or_default();
    if let Some((service, operation)) = target.split_once('.') {
        let known = match service {
            "AmazonSQS" => Some(Service::Sqs),
            "AWSEvents" => Some(Service::Events),
            "TrentService" => Some(Service::Kms),
            _ => None,
        };
        if let Some(service) = known {
            let operation = operation.to_owned();
            return Asked { service, operation, bucket: None, path, is_form: false };
        }
    }
    // Of the services that speak in forms SQS alone does so under the paths of its queues.
    if (path == "/" || may_be_form(request))
        && let Some(form) = Form::of(request)
        && let Some(service) = form.service()
        && (path == "/" || service == Service::Sqs)
    {
        let operation = form.action().to_owned();
        return Asked { service, operation, bucket: None, path, is_form: true };
    }
    let query = Query(request.uri().query().unwrap_or_default());
    let host = header(request.headers(), "host").unwrap_or_default();
    let of_a_bucket = host::bucket_of(host).is_some();
    if path.starts_with("/v20180820/") && !of_a_bucket {
        let operation = control::operation(request.method(), &path).unwrap_or_default().to_owned();
        let service = Service::Control;
        return Asked { service, operation, bucket: None, path, is_form: false };
    }
    let path = match host::bucket_of(host) {
        Some(bucket) => format!("/{bucket}{path}"),
        None => path,
    };
    let rest = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let operation = match (bucket, key) {
        _ if let Some(unknown) = query.unknown() => format!("{} ?{unknown}", request.method()),
        ("", _) => "ListBuckets".to_owned(),
        (_, "") => of_bucket(request.method(), &query),
        _ => of_object(request.method(), &query, request.headers()).to_owned(),
    };
    let bucket = Some(bucket.to_owned()).filter(|bucket| !bucket.is_empty());
    Asked { service: Service::S3, operation, bucket, path, is_form: false }
}

/// Whether a request may be a form of the query protocol, as its head says.
pub(super) fn may_be_form(request: &Request<Bytes>) -> bool {
    match *request.method() {
        Method::POST => header(request.headers(), "content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")),
        Method::GET => request.uri().query().is_some_and(|query| query.contains("Action=")),
        _ => false,
    }
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn decoded(text: &str) -> std::borrow::Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// What the query of a request to S3 can be about, at most one at a time.
const ALL_SUBRESOURCES: [&str; 34] = [
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Parameters of listings and the like, which may be empty.
const PARAMETERS: [&str; 17] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "marker",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
];

/// A query string.
pub(super) struct Query<'a>(pub(super) &'a str);

impl Query<'_> {
    /// Whether it names this parameter.
    pub(super) fn has(&self, wanted: &str) -> bool {
        !self.0.is_empty() && self.names().any(|name| name == wanted)
    }

    /// The value of a parameter, decoded.
    pub(super) fn value(&self, wanted: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(name, _)| decoded(name) == wanted);
        found.next().map(|(_, value)| decoded(value).into_owned())
    }

    /// A parameter that has no value and is no sub-resource that is known here.
    pub(super) fn unknown(&self) -> Option<String> {
        let mut names = self.0.split('&').filter_map(|pair| match pair.split_once('=') {
            Some((name, "")) => Some(name),
            None => Some(pair),
            _ => None,
        });
        let odd = |name: &&str| {
            let name = decoded(name);
            !name.is_empty()
                && !ALL_SUBRESOURCES.contains(&&*name)
                && !PARAMETERS.contains(&&*name)
                && !name.to_ascii_lowercase().starts_with("x-amz-")
                && !name.starts_with("response-")
        };
        names.find(odd).map(|name| decoded(name).into_owned())
    }

    /// The sub-resources that it names; more than one of them is a request for nothing.
    pub(super) fn subresources(&self) -> Vec<&'static str> {
        if self.0.is_empty() {
            return Vec::new();
        }
        ALL_SUBRESOURCES.into_iter().filter(|it| self.has(it)).collect()
    }

    fn names(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.0.split('&').map(|pair| decoded(pair.split('=').next().unwrap_or_default()))
    }
}

fn of_object(method: &Method, query: &Query<'_>, headers: &HeaderMap) -> &'static str {
    let copies = headers.contains_key("x-amz-copy-source");
    match *method {
        Method::PUT if query.has("tagging") => "PutObjectTagging",
        Method::PUT if query.has("acl") => "PutObjectAcl",
        Method::PUT if query.has("retention") => "PutObjectRetention",
        Method::PUT if query.has("legal-hold") => "PutObjectLegalHold",
        Method::PUT if query.has("uploadId") && copies => "UploadPartCopy",
        Method::PUT if query.has("uploadId") => "UploadPart",
        Method::PUT if copies => "CopyObject",
        Method::PUT => "PutObject",
        Method::GET if query.has("tagging") => "GetObjectTagging",
        Method::GET if query.has("acl") => "GetObjectAcl",
        Method::GET if query.has("retention") => "GetObjectRetention",
        Method::GET if query.has("legal-hold") => "GetObjectLegalHold",
        Method::GET if query.has("attributes") => "GetObjectAttributes",
        Method::GET if query.has("torrent") => "GetObjectTorrent",
        Method::GET if query.has("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::DELETE if query.has("tagging") => "DeleteObjectTagging",
        Method::DELETE if query.has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::POST if query.has("uploads") => "CreateMultipartUpload",
        Method::POST if query.has("uploadId") => "CompleteMultipartUpload",
        Method::POST if query.has("restore") => "RestoreObject",
        Method::POST if query.has("select") => "SelectObjectContent",
        _ => "",
    }
}

fn of_bucket(method: &Method, query: &Query<'_>) -> String {
    let whole = match *method {
        Method::GET if query.has("versions") => "ListObjectVersions",
        Method::GET if query.has("uploads") => "ListMultipartUploads",
        Method::GET if query.has("list-type") => "ListObjectsV2",
        Method::POST if query.has("delete") => "DeleteObjects",
        Method::HEAD => "HeadBucket",
        _ => "",
    };
    if !whole.is_empty() {
        return whole.to_owned();
    }
    let (verb, otherwise) = match *method {
        Method::GET => ("Get", "ListObjects"),
        Method::PUT => ("Put", "CreateBucket"),
        Method::DELETE => ("Delete", "DeleteBucket"),
        _ => return String::new(),
    };
    if *method == Method::DELETE && query.has("lifecycle") {
        return "DeleteBucketLifecycle".to_owned();
    }
    match SUBRESOURCES.iter().find(|(marker, _)| query.has(marker)) {
        Some((_, resource)) => format!("{verb}{resource}"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_have_names() {
        for (method, uri, target, expected, path) in [
            ("PUT", "/b/a%20b", "", "PutObject", "/b/a b"),
            ("PUT", "/b?replication", "", "PutBucketReplication", "/b"),
            ("PUT", "/b/", "", "CreateBucket", "/b/"),
            ("GET", "/b?list-type=2&prefix=x", "", "ListObjectsV2", "/b"),
            ("GET", "/b?location", "", "GetBucketLocation", "/b"),
            ("GET", "/", "", "ListBuckets", "/"),
            ("POST", "/b?delete", "", "DeleteObjects", "/b"),
            ("POST", "/b/k?uploadId=1", "", "CompleteMultipartUpload", "/b/k"),
            ("GET", "http://b.localhost/k", "", "GetObject", "/b/k"),
            ("POST", "/v20180820/jobs", "", "CreateJob", "/v20180820/jobs"),
            ("GET", "/v20180820/jobs/1", "", "DescribeJob", "/v20180820/jobs/1"),
            ("POST", "/v20180820/jobs/1/status", "", "UpdateJobStatus", "/v20180820/jobs/1/status"),
            ("POST", "/", "AmazonSQS.SendMessage", "SendMessage", "/"),
            ("POST", "/", "AWSEvents.PutEvents", "PutEvents", "/"),
            ("POST", "/", "TrentService.CreateKey", "CreateKey", "/"),
            ("GET", "/?Action=GetRole&Version=2010-05-08", "", "GetRole", "/"),
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            let request = Request::builder()
                .method(method)
                .header("host", uri.host().unwrap_or("127.0.0.1:1"))
                .header("x-amz-target", target)
                .uri(uri)
                .body(Bytes::new())
                .unwrap();
            let asked = name(&request);
            assert_eq!((asked.operation.as_str(), asked.path.as_str()), (expected, path));
        }
    }
}
