//! Which service a request is for, and what happens to it on the way: faults, signatures, request ids.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use s3s::service::S3Service;

use super::admin::{self, Unimplemented};
use super::caller::{Caller, caller, key_of, secret_of};
use super::message::{refused, set};
use super::operation::{self, Asked, Query, header};
use super::xml::Element;
use super::{authorize, control, events, host, kms, open, query, s3, shape, signature, sqs};
use crate::world::fault::{Service, Verdict};
use crate::world::object::{Tags, Version};
use crate::world::ops;
use crate::world::rng::Rng;
use crate::world::{Answer, Config, Refusal, World};

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The answer; `None` when the connection breaks instead.
    pub(crate) response: Option<Response<Bytes>>,
    /// Wall time that the answer is held back for.
    pub(crate) delay: Duration,
    /// There were faults, which counted it or had a hand in it.
    pub(crate) under_faults: bool,
}

/// How much a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Nothing.
    Read,
    /// Only what time alone has brought about, and somebody had to look at; who looks later finds the same. What
    /// is told of it draws on chance.
    Look,
    /// Anything.
    Change,
}

impl Outcome {
    /// Whether a request that might have changed the world did not: nobody was handed a message.
    pub(crate) fn left_no_trace(&self) -> bool {
        let empty = |it: &Response<Bytes>| {
            it.extensions().get::<sqs::Empty>().is_some_and(|empty| empty.untouched)
        };
        !self.under_faults && self.response.as_ref().is_some_and(empty)
    }

    /// The status of the answer; 0 where the connection breaks instead.
    pub(crate) fn status(&self) -> u16 {
        self.response.as_ref().map_or(0, |response| response.status().as_u16())
    }

    /// Whether the request was done, or met a fault: it has to be done again to come to the same world.
    pub(crate) fn counts(&self) -> bool {
        let good = |response: &Response<Bytes>| response.status().as_u16() < 400;
        self.under_faults || self.response.as_ref().is_none_or(good)
    }
}

/// The front door of all services.
pub(crate) struct Router {
    world: Arc<Mutex<World>>,
    s3: S3Service,
    /// The same without signatures, for requests that were checked when they first came.
    trusting: S3Service,
    /// What a reset goes back to.
    initial: Config,
    /// Whether requests must be signed.
    secured: bool,
    requests: AtomicU64,
    unimplemented: Mutex<Unimplemented>,
}

impl Router {
    pub(crate) fn new(world: Arc<Mutex<World>>) -> Self {
        let initial = lock(&world).config.clone();
        let secured = initial.credentials.is_some();
        let s3 = s3::service(Arc::clone(&world), secured);
        let trusting = s3::service(Arc::clone(&world), false);
        let (requests, unimplemented) = (AtomicU64::new(0), Mutex::default());
        Self { world, s3, trusting, initial, secured, requests, unimplemented }
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, mut request: Request<Bytes>) -> Outcome {
        let caller = caller(&lock(&self.world), key_of(&request).as_deref());
        request.extensions_mut().insert(caller);
        self.act(request, self.secured).await
    }

    /// Answers a request again that was found good when it first came.
    pub(crate) async fn again(&self, request: Request<Bytes>) -> Outcome {
        self.act(request, false).await
    }

    /// A refusal of a request that is not read to its end.
    pub(super) fn refused(&self, asked: &Asked, refusal: &Refusal) -> Response<Bytes> {
        self.finish(asked.refused(refusal), false)
    }

    /// What is said of a request that cannot be written down, and of those that come before it can be.
    pub(crate) fn unwritten(&self, request: &Request<Bytes>, why: &io::Error) -> Outcome {
        let message = format!("The journal of --data-dir cannot be written: {why}");
        let refusal = Refusal::new(503, "ServiceUnavailable", message);
        let response = operation::name(request).refused(&refusal);
        let head = request.method() == Method::HEAD;
        let response = Some(self.finish(response, head));
        Outcome { response, delay: Duration::ZERO, under_faults: false }
    }

    /// Whether a request that carries its signature in a header carries the right one.
    pub(crate) fn is_authentic(&self, request: &Request<Bytes>) -> bool {
        !self.secured || signature::check(request, |key| secret_of(&lock(&self.world), key)).is_ok()
    }

    /// Who sends a request, and whether it may change the world.
    pub(crate) fn weigh(&self, request: &Request<Bytes>) -> (Caller, Weight) {
        let world = lock(&self.world);
        let caller = caller(&world, key_of(request).as_deref());
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let weight = |reads| if reads { Weight::Read } else { Weight::Change };
        if Self::is_admin(request) {
            return (caller, weight(reads));
        }
        let asked = operation::name(request);
        let looks = ["Get", "List", "Describe"].iter().any(|it| asked.operation.starts_with(it));
        if asked.service != Service::S3 && looks && world.faults.rules.is_empty() {
            return (caller, Weight::Look);
        }
        // A read counts against a fault, and keeps an object from sinking into an archive.
        let tiered = || {
            let (bucket, key) = asked.place();
            let versions = world.buckets.get(bucket).and_then(|bucket| bucket.keys.get(key));
            let tiered = |version: &Version| &*version.storage_class == "INTELLIGENT_TIERING";
            versions.is_some_and(|versions| versions.iter().any(tiered))
        };
        let only_reads = asked.service == Service::S3 && reads && world.faults.rules.is_empty();
        (caller, weight(only_reads && !tiered()))
    }

    async fn act(&self, request: Request<Bytes>, secured: bool) -> Outcome {
        if Self::is_admin(&request) {
            let mut unimplemented = lock(&self.unimplemented);
            let mut world = lock(&self.world);
            let response = admin::handle(&mut world, &mut unimplemented, &self.initial, &request);
            return Outcome {
                response: Some(response),
                delay: Duration::ZERO,
                under_faults: false,
            };
        }
        let asked = operation::name(&request);
        let (verdict, under_faults) = {
            let mut world = lock(&self.world);
            let any = !world.faults.rules.is_empty();
            world.audit.call(|| format!("{:?} {}", asked.service, asked.operation));
            (world.faults.next(asked.service, &asked.operation, &asked.path), any)
        };
        let head = request.method() == Method::HEAD;
        tracing::debug!(service = ?asked.service, operation = asked.operation, path = asked.path, ?verdict, "request");
        let delay = Duration::ZERO;
        let mut outcome = Outcome { response: None, delay, under_faults };
        match verdict {
            Some(Verdict::LoseRequest) => return outcome,
            Some(Verdict::Refuse { code, status }) => {
                let refusal = Refusal::new(status, &code, "A fault was asked for");
                outcome.response = Some(self.finish(asked.refused(&refusal), head));
                return outcome;
            }
            Some(Verdict::Delay(ms)) => outcome.delay = Duration::from_millis(ms),
            Some(Verdict::LoseReply) | None => {}
        }
        let lost = verdict == Some(Verdict::LoseReply);
        let response = self.dispatch(&asked, request, secured).await;
        if response.status() == StatusCode::NOT_IMPLEMENTED {
            lock(&self.unimplemented).count(&asked);
        }
        if !lost {
            outcome.response = Some(self.finish(response, head));
        }
        outcome
    }

    async fn dispatch(
        &self,
        asked: &Asked,
        mut request: Request<Bytes>,
        secured: bool,
    ) -> Response<Bytes> {
        signature::date(&mut request);
        if asked.service == Service::S3 && request.method() == Method::OPTIONS {
            return asked.refused(&preflight(&request));
        }
        let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];
        if asked.service == Service::S3 && !methods.contains(request.method()) {
            let message = "The specified method is not allowed against this resource.";
            return asked.refused(&Refusal::new(405, "MethodNotAllowed", message));
        }
        if let Err(refusal) = self.check(asked, &request, secured) {
            let mut response = asked.refused(&refusal);
            self.name_region(asked, &mut response);
            return response;
        }
        if asked.service == Service::S3 {
            let tags = match self.tags_of_new(asked, &request) {
                Ok(tags) => tags,
                Err(refusal) => return asked.refused(&refusal),
            };
            let mut response = self.s3(request, secured).await;
            if let Some((name, tags)) = tags.filter(|_| response.status().is_success())
                && let Some(bucket) = lock(&self.world).buckets.get_mut(&name)
            {
                bucket.tags = tags;
            }
            self.name_region(asked, &mut response);
            if asked.operation == "GetObjectAttributes" {
                unquote(&mut response);
            }
            if response.headers_mut().remove(s3::BEGUN).is_some() {
                *response.status_mut() = StatusCode::ACCEPTED;
            }
            return response;
        }
        let nobody = || caller(&lock(&self.world), None);
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(nobody);
        let mut world = lock(&self.world);
        match asked.service {
            Service::Sqs => sqs::handle(&mut world, &request),
            Service::Events => events::handle(&mut world, &request),
            Service::Kms => kms::handle(&mut world, &request, &caller),
            Service::Iam | Service::Sts => {
                query::handle(&mut world, &request, asked.service, &caller)
            }
            Service::S3 | Service::Control => control::handle(&mut world, &request, &caller),
        }
    }

    /// The tags that a new bucket is made with, which the crate that reads the request does not know.
    fn tags_of_new(
        &self,
        asked: &Asked,
        request: &Request<Bytes>,
    ) -> Answer<Option<(String, Tags)>> {
        let name = asked.bucket.as_deref().unwrap_or_default();
        if asked.operation != "CreateBucket" || lock(&self.world).buckets.contains_key(name) {
            return Ok(None);
        }
        let document = std::str::from_utf8(request.body()).ok().and_then(Element::parse);
        let tags = document.as_ref().and_then(|it| it.child("Tags"));
        let pairs = tags.into_iter().flat_map(|list| &list.children);
        let pairs = pairs.filter_map(|tag| tag.text_of("Key").zip(tag.text_of("Value")));
        let tags: Tags = pairs.collect();
        ops::bucket::check_tags(&tags)?;
        Ok(Some((name.to_owned(), tags)))
    }

    /// S3 tells everybody where a bucket is, also whom it tells nothing else: SDKs ask so for its Region.
    fn name_region(&self, asked: &Asked, response: &mut Response<Bytes>) {
        if asked.operation != "HeadBucket" || response.status() != StatusCode::FORBIDDEN {
            return;
        }
        let bucket = asked.bucket.as_deref().unwrap_or_default();
        if let Some(bucket) = lock(&self.world).buckets.get(bucket) {
            set(response, "x-amz-bucket-region", &bucket.region);
        }
    }

    async fn s3(&self, request: Request<Bytes>, secured: bool) -> Response<Bytes> {
        let incomplete = || {
            let what = "The body is not encoded, or not as long, as its headers say.";
            refused(Service::S3, &Refusal::new(400, "IncompleteBody", what))
        };
        if !open::is_whole(&request) {
            return incomplete();
        }
        let request = match secured {
            true => request,
            false => match open::unsigned(request) {
                Some(request) => request,
                None => return incomplete(),
            },
        };
        let broken = |what: String| refused(Service::S3, &Refusal::new(500, "InternalError", what));
        let service = if secured { &self.s3 } else { &self.trusting };
        let response = match service.call(request.map(s3s::Body::from)).await {
            Ok(response) => response,
            Err(error) => return broken(format!("{error:?}")),
        };
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            Err(error) => broken(error.to_string()),
        }
    }

    /// Whether a request is for the emulator itself, and not for a bucket that its host names.
    pub(super) fn is_admin(request: &Request<Bytes>) -> bool {
        let of_a_bucket = |host: &str| host::bucket_of(host).is_some();
        let named = header(request.headers(), "host").is_some_and(of_a_bucket)
            || request.uri().host().is_some_and(of_a_bucket);
        request.uri().path().starts_with(admin::PREFIX) && !named
    }

    /// What is asked of every request before its service sees it. That S3's are signed as they should,
    /// `s3s` finds out; a caller who only claims to be somebody gets no further there.
    fn check(&self, asked: &Asked, request: &Request<Bytes>, secured: bool) -> Answer<()> {
        if secured {
            signature::check_time(request, SystemTime::now())?;
            if asked.service != Service::S3 {
                let checked = signature::check(request, |key| secret_of(&lock(&self.world), key));
                checked.map_err(|refusal| unknown_caller(asked.service, refusal))?;
            }
        }
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Ok(());
        };
        let query = Query(request.uri().query().unwrap_or_default());
        if asked.service == Service::S3 {
            shape::check(request, asked, &query)?;
        }
        let source = header(request.headers(), "x-amz-copy-source").map(|source| {
            let source = source.replace('+', " ");
            let source = percent_decode_str(&source).decode_utf8_lossy().into_owned();
            let (path, versioned) = match source.split_once("?versionId=") {
                Some((path, _)) => (path.to_owned(), true),
                None => (source, false),
            };
            (path.trim_start_matches('/').to_owned(), versioned)
        });
        let source = source.as_ref().map(|(path, versioned)| (path.as_str(), *versioned));
        let versioned = query.has("versionId");
        authorize::check(&lock(&self.world), caller, asked, request, (versioned, source))?;
        self.check_owner(asked, request)
    }

    /// `x-amz-expected-bucket-owner`, for every operation on a bucket alike.
    fn check_owner(&self, asked: &Asked, request: &Request<Bytes>) -> Answer<()> {
        let expected = header(request.headers(), "x-amz-expected-bucket-owner");
        let (Some(expected), Some(bucket)) = (expected, &asked.bucket) else {
            return Ok(());
        };
        let world = lock(&self.world);
        match world.buckets.get(bucket) {
            Some(bucket) if bucket.owner != expected => {
                Err(Refusal::new(403, "AccessDenied", "Access Denied"))
            }
            _ => Ok(()),
        }
    }

    /// Request ids, and no body where there must be none. The ids are not the world's to choose: how
    /// often a client asks must not change what happens.
    fn finish(&self, mut response: Response<Bytes>, head: bool) -> Response<Bytes> {
        let mut ids = Rng::new(self.requests.fetch_add(1, Ordering::Relaxed));
        let id = ids.token(16).to_uppercase().replace(['.', '_'], "7");
        let host_id = ids.token(48);
        set(&mut response, "x-amz-request-id", &id);
        set(&mut response, "x-amz-id-2", &host_id);
        if response.status().as_u16() >= 400 {
            name_request(&mut response, &id, &host_id);
        }
        let bodiless =
            matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
        if head || bodiless {
            response.body_mut().clear();
        }
        response
    }
}

/// S3 alone calls an access key that is not known by this name; the others have one of their own.
fn unknown_caller(service: Service, refusal: Refusal) -> Refusal {
    let code = match service {
        _ if refusal.code != "InvalidAccessKeyId" => return refusal,
        Service::S3 | Service::Control => return refusal,
        Service::Iam | Service::Sts | Service::Sqs => "InvalidClientTokenId",
        Service::Kms | Service::Events => "UnrecognizedClientException",
    };
    Refusal::new(403, code, "The security token included in the request is invalid.")
}

/// What S3 says to a browser that asks first: no bucket here has CORS rules.
fn preflight(request: &Request<Bytes>) -> Refusal {
    match header(request.headers(), "origin") {
        None => {
            let message = "Insufficient information. Origin request header needed.";
            Refusal::new(400, "BadRequest", message)
        }
        Some(_) => {
            let message = "CORSResponse: CORS is not enabled for this bucket.";
            Refusal::new(403, "AccessForbidden", message)
        }
    }
}

/// Here alone S3 gives an ETag without quotes, and the crate that prints it knows no such one.
fn unquote(response: &mut Response<Bytes>) {
    let text = String::from_utf8_lossy(response.body());
    let bare = text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>");
    response.headers_mut().remove("content-length");
    *response.body_mut() = bare.into();
}

/// Says in words what the crate that reads S3's requests says by its code alone (S3 API Reference: error
/// responses).
fn worded(response: &mut Response<Bytes>) {
    const WORDS: [(&str, &str); 5] = [
        ("InvalidBucketName", "The specified bucket is not valid."),
        ("InvalidURI", "Couldn't parse the specified URI."),
        ("KeyTooLongError", "Your key is too long."),
        (
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema.",
        ),
        ("SignatureDoesNotMatch", signature::MISMATCH),
    ];
    let body = std::str::from_utf8(response.body()).unwrap_or_default();
    if body.contains("<Message>") {
        return;
    }
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let found = code.and_then(|(code, _)| WORDS.iter().find(|(known, _)| *known == code));
    if let Some((_, words)) = found {
        let whole = body.replacen("</Code>", &format!("</Code><Message>{words}</Message>"), 1);
        response.headers_mut().remove("content-length");
        *response.body_mut() = whole.into();
    }
}

/// Puts the ids into an error document, which carries them as the headers do.
fn name_request(response: &mut Response<Bytes>, id: &str, host_id: &str) {
    let ids = format!("<RequestId>{id}</RequestId><HostId>{host_id}</HostId>");
    worded(response);
    let body = response.body();
    // S3 has them in the error, S3 Control beside it, and IAM has put its own there.
    if body.ends_with(b"</RequestId></ErrorResponse>") {
        return;
    }
    let ends: [&'static [u8]; 2] = [b"</Error>", b"</ErrorResponse>"];
    let split = |end: &'static [u8]| Some((body.strip_suffix(end)?, end));
    if let Some((start, end)) = ends.into_iter().find_map(split) {
        let mut whole = [start, ids.as_bytes(), end].concat();
        // What a client sent may be told again by a crate that does not know what XML cannot carry.
        for byte in whole.iter_mut().filter(|it| **it < b' ' && !b"\t\n\r".contains(it)) {
            *byte = b'?';
        }
        // Its length is set again by whoever sends it.
        response.headers_mut().remove("content-length");
        *response.body_mut() = whole.into();
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
