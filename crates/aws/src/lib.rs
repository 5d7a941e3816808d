//! Every AWS call that Resilver makes. It decides nothing: it does what it is told and says how that
//! went, as a [`Kind`] that tells apart what was refused, what was lost and what may pass.

pub mod buckets;
pub mod clients;
pub mod configuration;
mod error;
pub mod events;
pub mod jobs;
pub mod log;
mod metrics;
pub mod objects;
mod run_io;
mod settings;
pub mod store;
mod unpack;
pub mod webhook;
mod woken;

pub use clients::Clients;
pub use error::{ALLOW, AwsError, Kind};
pub use log::logging;
pub use metrics::Metrics;
pub use run_io::{Finished, LineReader, LineWriter};
pub use settings::{Settings, SettingsError};
pub use store::{Store, Swapped, Written};
pub use woken::{NoTime, Woken, wall_clock};
