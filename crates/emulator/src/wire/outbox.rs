//! What was posted to hosts that are not AWS: chat services and other webhooks. Recorded, and answered
//! as the script says, else with 200 `ok`.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::message::set;
use crate::world::Millis;

/// One request that left the emulated account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The whole address.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The bytes sent.
    pub body: Bytes,
    /// The world's time when it was sent.
    pub at: Millis,
    /// The status that it was answered with.
    pub status: u16,
}

/// A scripted answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// For addresses that begin with this, with or without the scheme; empty is every address.
    pub prefix: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// How many requests it answers.
    pub times: u32,
}

/// The record and the script.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) posted: Vec<Posted>,
    pub(crate) script: Vec<Reply>,
}

impl Outbox {
    /// Records a request and answers it.
    pub(super) fn post(&mut self, mut posted: Posted) -> Response<Bytes> {
        let address = posted.url.split_once("://").map_or("", |(_, rest)| rest);
        let reply = self.script.iter_mut().find(|reply| {
            reply.times > 0
                && (posted.url.starts_with(&reply.prefix) || address.starts_with(&reply.prefix))
        });
        let mut response = Response::new(Bytes::from_static(b"ok"));
        if let Some(reply) = reply {
            reply.times -= 1;
            *response.body_mut() = Bytes::from(reply.body.clone());
            *response.status_mut() =
                StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if let Some(seconds) = reply.retry_after {
                set(&mut response, "retry-after", &seconds.to_string());
            }
        }
        posted.status = response.status().as_u16();
        self.posted.push(posted);
        response
    }
}
