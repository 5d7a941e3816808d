//! Which service a request is for, and what happens to it on the way: faults, signatures, request ids.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use s3s::service::S3Service;

use super::admin::{self, Unimplemented};
use super::caller::{Caller, caller, key_of, secret_of};
use super::message::{refused, set};
use super::operation::{self, Asked, Query, header};
use super::{authorize, control, events, kms, open, query, s3, signature, sqs};
use crate::world::fault::{Service, Verdict};
use crate::world::rng::Rng;
use crate::world::{Answer, Refusal, World};

/// How often a waiting client's queue is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The answer; `None` when the connection breaks instead.
    pub(crate) response: Option<Response<Bytes>>,
    /// Wall time that the answer is held back for.
    pub(crate) delay: Duration,
}

/// The front door of all services.
pub(crate) struct Router {
    world: Arc<Mutex<World>>,
    s3: S3Service,
    /// Whether requests must be signed.
    secured: bool,
    requests: AtomicU64,
    unimplemented: Mutex<Unimplemented>,
}

impl Router {
    pub(crate) fn new(world: Arc<Mutex<World>>) -> Self {
        let secured = lock(&world).config.credentials.is_some();
        let s3 = s3::service(Arc::clone(&world), secured);
        let requests = AtomicU64::new(0);
        Self { world, s3, secured, requests, unimplemented: Mutex::default() }
    }

    /// Answers one request; `waits` where a client that polls a queue may be kept waiting.
    pub(crate) async fn handle(&self, mut request: Request<Bytes>, waits: bool) -> Outcome {
        if request.uri().path().starts_with(admin::PREFIX) {
            let mut unimplemented = lock(&self.unimplemented);
            let response = admin::handle(&mut lock(&self.world), &mut unimplemented, &request);
            return Outcome { response: Some(response), delay: Duration::ZERO };
        }
        let asked = operation::name(&request);
        let caller = caller(&lock(&self.world), key_of(&request).as_deref());
        let verdict = lock(&self.world).faults.next(asked.service, &asked.operation, &asked.path);
        let head = request.method() == Method::HEAD;
        tracing::debug!(service = ?asked.service, operation = asked.operation, path = asked.path, ?verdict, "request");
        let mut outcome = Outcome { response: None, delay: Duration::ZERO };
        match verdict {
            Some(Verdict::LoseRequest) => return outcome,
            Some(Verdict::Refuse { code, status }) => {
                let refusal = Refusal::new(status, &code, "A fault was asked for");
                outcome.response = Some(self.finish(refused(asked.service, &refusal), head));
                return outcome;
            }
            Some(Verdict::Delay(ms)) => outcome.delay = Duration::from_millis(ms),
            Some(Verdict::LoseReply) | None => {}
        }
        let lost = verdict == Some(Verdict::LoseReply);
        request.extensions_mut().insert(caller);
        let response = self.dispatch(&asked, request, waits).await;
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
        waits: bool,
    ) -> Response<Bytes> {
        signature::date(&mut request);
        if asked.service == Service::S3 && request.method() == Method::OPTIONS {
            return refused(asked.service, &preflight(&request));
        }
        if let Err(refusal) = self.check(asked, &request) {
            return refused(asked.service, &refusal);
        }
        if asked.service == Service::S3 {
            let mut response = self.s3(request).await;
            if asked.operation == "GetObjectAttributes" {
                unquote(&mut response);
            }
            return response;
        }
        if waits && asked.operation == "ReceiveMessage" {
            return self.receive(&request).await;
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

    /// `ReceiveMessage` with its `WaitTimeSeconds`, which are seconds of the wall clock: the client's.
    async fn receive(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let until = Instant::now() + sqs::wait(request);
        loop {
            let response = sqs::handle(&mut lock(&self.world), request);
            if response.body() != sqs::NOTHING.as_bytes() || Instant::now() >= until {
                return response;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn s3(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = match self.secured {
            true => request,
            false => match open::unsigned(request) {
                Some(request) => request,
                None => {
                    let what = "The body is not encoded as its x-amz-content-sha256 says.";
                    return refused(Service::S3, &Refusal::new(400, "IncompleteBody", what));
                }
            },
        };
        let broken = |what: String| refused(Service::S3, &Refusal::new(500, "InternalError", what));
        let response = match self.s3.call(request.map(s3s::Body::from)).await {
            Ok(response) => response,
            Err(error) => return broken(format!("{error:?}")),
        };
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            Err(error) => broken(error.to_string()),
        }
    }

    /// What is asked of every request before its service sees it. That S3's are signed as they should,
    /// `s3s` finds out; a caller who only claims to be somebody gets no further there.
    fn check(&self, asked: &Asked, request: &Request<Bytes>) -> Answer<()> {
        if self.secured {
            signature::check_time(request, SystemTime::now())?;
            if asked.service != Service::S3 {
                signature::check(request, |key| secret_of(&lock(&self.world), key))?;
            }
        }
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Ok(());
        };
        let query = Query(request.uri().query().unwrap_or_default());
        let source = header(request.headers(), "x-amz-copy-source").map(|source| {
            let source = percent_decode_str(source).decode_utf8_lossy().into_owned();
            let (path, versioned) = match source.split_once("?versionId=") {
                Some((path, _)) => (path.to_owned(), true),
                None => (source, false),
            };
            (path.trim_start_matches('/').to_owned(), versioned)
        });
        let source = source.as_ref().map(|(path, versioned)| (path.as_str(), *versioned));
        let versioned = query.has("versionId");
        authorize::check(&lock(&self.world), caller, asked, versioned, source)?;
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
        let (id, host_id) = (ids.token(16).to_uppercase(), ids.token(48));
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

/// Puts the ids into the error document of S3, which carries them as the headers do.
fn name_request(response: &mut Response<Bytes>, id: &str, host_id: &str) {
    const END: &[u8] = b"</Error>";
    let body = response.body();
    if let Some(start) = body.strip_suffix(END) {
        let ids = format!("<RequestId>{id}</RequestId><HostId>{host_id}</HostId></Error>");
        let whole = [start, ids.as_bytes()].concat();
        // Its length is set again by whoever sends it.
        response.headers_mut().remove("content-length");
        *response.body_mut() = whole.into();
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
