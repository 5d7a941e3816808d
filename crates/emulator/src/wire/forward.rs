//! Events that are for another server's queues and bus: sent as the AWS SDKs would send them, one after
//! the other, and again until they are taken. One that is refused for good (a queue that is not there) is
//! dropped with a warning.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
pub use http::Uri;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::signature;
use crate::Shared;
use crate::world::parcel::Parcel;

/// How often it is looked whether there is something to send.
const LOOK: Duration = Duration::from_millis(20);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The pause after a parcel was not taken.
const AGAIN: Duration = Duration::from_secs(1);

/// Other servers, by what is sent to them.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    /// Where the queues are: `http://HOST:PORT`.
    pub sqs: Option<Uri>,
    /// Where the bus is.
    pub events: Option<Uri>,
}

/// Sends for as long as the server runs; the one server is not kept waiting by the other.
pub(super) async fn run(shared: Arc<Shared>, elsewhere: Elsewhere) {
    tokio::join!(lane(&shared, &elsewhere, true), lane(&shared, &elsewhere, false));
}

/// Sends the messages, or the events.
async fn lane(shared: &Shared, elsewhere: &Elsewhere, messages: bool) {
    let mut told = BTreeSet::new();
    loop {
        let Some(parcel) = shared.with(|world| world.parcels.take(messages)) else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        loop {
            let sent = tokio::time::timeout(ANSWER_MAX, send(shared, elsewhere, &parcel)).await;
            let failure = match sent {
                Ok(Ok(())) => break,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Passing("no answer in time".to_owned()),
            };
            // Once a reason: the next try is a second away.
            match failure {
                Failure::Lasting(why) => {
                    tracing::warn!(why, ?parcel, "an event is refused, and dropped");
                    break;
                }
                Failure::Passing(why) if told.insert(why.clone()) => {
                    tracing::warn!(why, "an event is not taken; it is sent again until it is");
                }
                Failure::Passing(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Why a parcel was not taken.
enum Failure {
    /// It may be another time.
    Passing(String),
    /// It never will be.
    Lasting(String),
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::Passing(why.to_string())
    }
}

async fn send(shared: &Shared, elsewhere: &Elsewhere, parcel: &Parcel) -> Result<(), Failure> {
    let (account, region, keys) = shared.with(|world| {
        let config = &world.config;
        (config.account.clone(), config.region.clone(), config.credentials.clone())
    });
    let keys = keys.unwrap_or_else(|| ("any".to_owned(), "any".to_owned()));
    let (endpoint, target, service, body) = match parcel {
        Parcel::Message { queue, body } => {
            let Some(endpoint) = &elsewhere.sqs else {
                return Ok(());
            };
            let base = endpoint.to_string();
            let name = queue.rsplit(':').next().unwrap_or_default();
            let url = format!("{}/{account}/{name}", base.trim_end_matches('/'));
            let body = json!({ "QueueUrl": url, "MessageBody": body });
            (endpoint, "AmazonSQS.SendMessage", "sqs", body)
        }
        Parcel::Event(event) => {
            let Some(endpoint) = &elsewhere.events else {
                return Ok(());
            };
            let text = |name: &str| event.get(name).cloned().unwrap_or(Value::Null);
            let entry = json!({
                "Source": text("source"),
                "DetailType": text("detail-type"),
                "Detail": text("detail").to_string(),
                "Resources": text("resources"),
            });
            (endpoint, "AWSEvents.PutEvents", "events", json!({ "Entries": [entry] }))
        }
    };
    let version = if service == "sqs" { "1.0" } else { "1.1" };
    let host = endpoint.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::post("/")
        .header("host", &host)
        .header("content-type", format!("application/x-amz-json-{version}"))
        .header("x-amz-target", target)
        .body(Bytes::from(body.to_string()))
        .map_err(io::Error::other)?;
    let scope = (region.as_str(), service);
    let request = signature::signed(request, &keys.0, &keys.1, scope, SystemTime::now());
    let (status, answer) = exchange(&host, endpoint.port_u16().unwrap_or(80), request).await?;
    let answer = String::from_utf8_lossy(&answer);
    let failed = serde_json::from_str(&answer).is_ok_and(|answer: Value| {
        answer.get("FailedEntryCount").and_then(Value::as_u64).is_some_and(|count| count > 0)
    });
    match status.as_u16() {
        200..300 if !failed => Ok(()),
        // Keys, time-outs, throttling and all that is the server's own may be better another time.
        403 | 408 | 429 | 500.. => Err(Failure::Passing(format!("{host} answers {status}"))),
        _ => Err(Failure::Lasting(format!("{host} answers {status}: {answer}"))),
    }
}

async fn exchange(
    host: &str,
    port: u16,
    request: Request<Bytes>,
) -> io::Result<(StatusCode, Bytes)> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let stream = TcpStream::connect((name, port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request.map(Full::new)).await.map_err(io::Error::other);
    let answer = match answered {
        Ok(response) => {
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(io::Error::other);
            body.map(|body| (status, body.to_bytes()))
        }
        Err(why) => Err(why),
    };
    connection.abort();
    answer
}
