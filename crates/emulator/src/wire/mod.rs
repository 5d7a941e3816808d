//! The protocols of the emulated services: parse, call the world, print. No decision is made here but
//! which service a request is for.
//!
//! `router` tells the services apart; [`client`] brings requests from an SDK in the same process,
//! [`server`] from a socket. Both hand the router whole bodies and get whole answers: nothing streams.

mod admin;
mod authorize;
mod caller;
pub mod client;
pub mod control;
pub mod events;
pub mod forward;
mod host;
#[cfg(test)]
mod hostile;
pub mod journal;
mod json;
mod kms;
mod message;
mod open;
mod operation;
pub mod outbox;
mod query;
pub(crate) mod router;
pub mod s3;
pub mod server;
mod shape;
mod signature;
pub mod sqs;
mod xml;
