//! Which service a request is for, and what happens to it on the way: faults, signatures, request ids.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::service::S3Service;

use super::message::{refused, set};
use super::operation::{self, Asked, header};
use super::{control, events, open, s3, signature, sqs};
use crate::world::fault::{Service, Verdict};
use crate::world::rng::Rng;
use crate::world::{Answer, Refusal, World};

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
    credentials: Option<(String, String)>,
    requests: AtomicU64,
}

impl Router {
    pub(crate) fn new(world: Arc<Mutex<World>>) -> Self {
        let credentials = lock(&world).config.credentials.clone();
        let s3 = s3::service(Arc::clone(&world), credentials.clone());
        Self { world, s3, credentials, requests: AtomicU64::new(0) }
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request<Bytes>) -> Outcome {
        let asked = operation::name(&request);
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
        let response = self.dispatch(&asked, request).await;
        if !lost {
            outcome.response = Some(self.finish(response, head));
        }
        outcome
    }

    async fn dispatch(&self, asked: &Asked, request: Request<Bytes>) -> Response<Bytes> {
        if asked.service == Service::S3 {
            return match self.check_owner(asked, &request) {
                Ok(()) => self.s3(request).await,
                Err(refusal) => refused(asked.service, &refusal),
            };
        }
        if let Some((key, secret)) = &self.credentials
            && let Err(refusal) = signature::check(&request, key, secret)
        {
            return refused(asked.service, &refusal);
        }
        let mut world = lock(&self.world);
        match asked.service {
            Service::Sqs => sqs::handle(&mut world, &request),
            Service::Events => events::handle(&mut world, &request),
            Service::S3 | Service::Control => control::handle(&mut world, &request),
        }
    }

    async fn s3(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = match self.credentials.is_some() {
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
        set(&mut response, "x-amz-request-id", &ids.token(16).to_uppercase());
        set(&mut response, "x-amz-id-2", &ids.token(48));
        let bodiless =
            matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
        if head || bodiless {
            response.body_mut().clear();
        }
        response
    }
}

fn lock(world: &Mutex<World>) -> std::sync::MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
