//! The emulator on a socket: HTTP/1.1, whole bodies, one port for all services. Requests may come in
//! absolute form, so that a client can use it as its proxy.
//!
//! TLS is not spoken; the listener is as open as the address it is given.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::forward::{self, Elsewhere};
use super::message::set;
use super::router::{Outcome, Router};
use super::{operation, sqs};
use crate::Shared;
use crate::world::fault::Service;
use crate::world::{Answer, Refusal};

/// The largest body that is taken: 5 GiB, as one PUT of S3.
const BODY_BYTES_MAX: usize = 5 << 30;
/// The largest body of a call to any other service. SQS, which takes the most, takes 1 MiB.
const CALL_BYTES_MAX: usize = 4 << 20;
/// The most bytes of a header section (S3 API Reference: PUT, common request headers).
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The most headers that are read at all; with more of them, the connection is refused.
const HEADERS_MAX: usize = 400;
/// Where a client that asks for a tunnel will speak TLS.
const TLS_PORT: u16 = 443;
/// How long a client may be silent in the middle of a body.
const BODY_IDLE_MAX: Duration = Duration::from_secs(20);
/// How long connections may go on after [`Server::stop`].
const STOP_MAX: Duration = Duration::from_secs(1);
/// How often the time of a world that is ahead of the wall is written down, where anything has happened.
const MARK: Duration = Duration::from_secs(1);
/// How often the world's clock is moved.
const TICK: Duration = Duration::from_millis(20);

/// A listening emulator. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    listening: Option<JoinHandle<()>>,
    clock: Option<JoinHandle<()>>,
    forwarding: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `addr` (port 0 picks one). With a speed, the world's clock runs that many times as
    /// fast as the wall's; without one it stands still until it is moved.
    pub(crate) async fn bind(
        shared: Arc<Shared>,
        addr: SocketAddr,
        speed: Option<u32>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let clock = speed.map(|speed| Arc::new(Clock::new(speed)));
        let (open, closed) = mpsc::channel(1);
        let door = Door { shared: Arc::clone(&shared), clock: clock.clone(), _open: open };
        let clock = clock.map(|clock| tokio::spawn(run_clock(shared, clock)));
        let listening = Some(tokio::spawn(accept(door, listener, stopped, closed)));
        Ok(Self { addr, stop, listening, clock, forwarding: None })
    }

    /// Sends what is for other servers, as long as this one runs.
    pub(crate) fn forward(&mut self, shared: Arc<Shared>, elsewhere: Elsewhere) {
        self.forwarding = Some(tokio::spawn(forward::run(shared, elsewhere)));
    }

    /// Where it listens, with the port that was picked.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as an endpoint: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes no more requests, lets the running ones end, and returns when they have: within a second.
    pub async fn stop(mut self) {
        // Nobody listens any more if the task has ended.
        let _ = self.stop.send(true);
        if let Some(listening) = self.listening.take() {
            // It only fails if it was aborted.
            let _ = listening.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let tasks = [self.listening.take(), self.clock.take(), self.forwarding.take()];
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}

/// What every connection leads to.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    /// `None` where the world's clock stands still until it is moved.
    clock: Option<Arc<Clock>>,
    /// Held by whatever still answers; nothing is ever sent.
    _open: mpsc::Sender<Infallible>,
}

impl Door {
    /// Brings the world to where the wall is. On from wherever it is: somebody may have moved its clock too.
    async fn catch_up(&self) {
        if let Some(clock) = &self.clock {
            self.shared.follow(|| clock.passed()).await;
        }
    }
}

/// How far the wall's clock has been followed.
struct Clock {
    seen: Mutex<Instant>,
    speed: u32,
}

impl Clock {
    fn new(speed: u32) -> Self {
        Self { seen: Mutex::new(Instant::now()), speed }
    }

    /// Milliseconds of the world since somebody asked last.
    fn passed(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX);
        *seen += Duration::from_millis(passed);
        passed.saturating_mul(u64::from(self.speed))
    }
}

/// Requests move the clock too; between them things happen by themselves.
async fn run_clock(shared: Arc<Shared>, clock: Arc<Clock>) {
    let (mut marked, mut seen) = (Instant::now(), None);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.follow(|| clock.passed()).await;
        if marked.elapsed() >= MARK {
            marked = Instant::now();
            let now = shared.with(|world| (world.chance(), world.next_due()));
            if seen.replace(now) != Some(now) {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                shared.mark(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)).await;
            }
        }
    }
}

async fn accept(
    door: Door,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
    mut closed: mpsc::Receiver<Infallible>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(door.clone(), stream, stopped.clone()));
                }
                // Out of descriptors, usually: give the others time to end.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(TICK).await;
                }
            },
        }
    }
    drop(door);
    let ended = async {
        while connections.join_next().await.is_some() {}
        // Tunnels outlive the connections that they came by.
        closed.recv().await
    };
    if tokio::time::timeout(STOP_MAX, ended).await.is_err() {
        tracing::debug!("connections were cut off");
    }
}

async fn connection(door: Door, stream: TcpStream, stopped: watch::Receiver<bool>) {
    serve(door, TokioIo::new(stream), stopped).await;
}

/// What comes through a tunnel that a client asked for is served as if it had come without one.
/// There may be another tunnel in it: its type is named, or it would hold itself.
fn tunnel(
    door: Door,
    request: Request<Incoming>,
    stopped: watch::Receiver<bool>,
) -> BoxFuture<'static, ()> {
    let served = async move {
        match hyper::upgrade::on(request).await {
            Ok(stream) => serve(door, stream, stopped).await,
            Err(error) => tracing::debug!(%error, "a tunnel was not opened"),
        }
    };
    served.boxed()
}

async fn serve<S>(door: Door, stream: S, mut stopped: watch::Receiver<bool>)
where
    S: Read + Write + Unpin + Send + 'static,
{
    let stop = stopped.clone();
    let service = service_fn(move |request| answer(door.clone(), request, stop.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has said all may say so, and wait for the answer.
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .serve_connection(stream, service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers a request, and one that polls an empty queue only when its `WaitTimeSeconds` are over: they
/// are the client's, and so seconds of the wall clock.
async fn patiently(shared: &Shared, request: Request<Bytes>) -> Outcome {
    let polls = sqs::may_poll(&request);
    let wait = polls.then(|| shared.with(|world| sqs::wait(world, &request))).flatten();
    let Some((wait, queue)) = wait else {
        return shared.handle(request).await;
    };
    let until = Instant::now() + wait;
    let outcome = shared.handle(request.clone()).await;
    let empty = |response: &Response<Bytes>| response.extensions().get::<sqs::Empty>().is_some();
    if !outcome.response.as_ref().is_some_and(empty) {
        return outcome;
    }
    while Instant::now() < until {
        tokio::time::sleep(TICK).await;
        if shared
            .with(|world| world.queues.get(&queue).is_none_or(|it| it.has_message(world.now())))
        {
            return shared.handle(request).await;
        }
    }
    outcome
}

/// The connection is broken on purpose: hyper closes it when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("the reply was lost: a fault was asked for")]
struct Broken;

/// Forms, and orders to the emulator.
fn is_form(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/" || Router::is_admin(request)
}

/// Whether the head of a request is one that S3 reads on after.
fn check_head(parts: &Parts, operation: &str) -> Answer<()> {
    let headers = &parts.headers;
    // Any other tunnel is served.
    if parts.method == Method::CONNECT {
        let message = "No TLS is spoken here, nor passed on: give the client an http:// endpoint, and this server as HTTP_PROXY, not as HTTPS_PROXY";
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    let lengthless =
        !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING);
    if lengthless && matches!(operation, "PutObject" | "UploadPart") {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(Refusal::new(411, "MissingContentLength", message));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes <= HEADER_BYTES_MAX {
        return Ok(());
    }
    let message = "Your request header section exceeds the maximum allowed header size.";
    Err(Refusal::new(400, "RequestHeaderSectionTooLarge", message))
}

/// The whole body, piece by piece as long as the client goes on sending.
async fn read(body: Incoming, most: usize) -> Answer<Bytes> {
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > most {
        let message = "Your proposed upload exceeds the maximum allowed size";
        return Err(Refusal::new(400, "EntityTooLarge", message));
    }
    let mut body = Limited::new(body, most);
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    loop {
        let message = "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.";
        let idle = |_| Refusal::new(400, "RequestTimeout", message);
        let frame = tokio::time::timeout(BODY_IDLE_MAX, body.frame()).await.map_err(idle)?;
        let Some(frame) = frame else {
            break;
        };
        let message = "The body ended early, or is larger than it may be";
        let frame = frame.map_err(|_| Refusal::new(400, "IncompleteBody", message))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        match first.take() {
            // Most bodies come in one piece, which need not be copied.
            None if whole.is_empty() => first = Some(piece),
            None => whole.extend_from_slice(&piece),
            Some(before) => {
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&piece);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

async fn answer(
    door: Door,
    request: Request<Incoming>,
    stopped: watch::Receiver<bool>,
) -> Result<Response<Full<Bytes>>, Broken> {
    if request.method() == Method::CONNECT && request.uri().port_u16() != Some(TLS_PORT) {
        tokio::spawn(tunnel(door, request, stopped));
        return Ok(Response::new(Full::default()));
    }
    let (parts, body) = request.into_parts();
    let head = Request::from_parts(parts, Bytes::new());
    let asked = operation::name(&head);
    let is_call = operation::may_be_form(&head) && head.uri().query().is_none();
    let most = if asked.service == Service::S3 && !is_form(&head) && !is_call {
        BODY_BYTES_MAX
    } else {
        CALL_BYTES_MAX
    };
    let (parts, _) = head.into_parts();
    let body = match check_head(&parts, &asked.operation) {
        Ok(()) => read(body, most).await,
        Err(refusal) => Err(refusal),
    };
    let body = match body {
        Ok(body) => body,
        Err(refusal) => {
            let mut response = door.shared.router.refused(&asked, &refusal);
            // What is left of the body is nobody's: the connection cannot go on.
            set(&mut response, "connection", "close");
            return Ok(response.map(Full::new));
        }
    };
    door.catch_up().await;
    let outcome = patiently(&door.shared, Request::from_parts(parts, body)).await;
    // Even no time at all is a millisecond to the timer.
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    outcome.response.map(|response| response.map(Full::new)).ok_or(Broken)
}
