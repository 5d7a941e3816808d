//! The `resilver` command line, and the installation on the embedded AWS that its `demo` and our
//! tests share.

pub mod app;
pub mod args;
pub mod backfill;
pub mod demo;
pub mod desk;
pub mod doctor;
pub mod enroll;
pub mod error;
pub mod local;
pub mod pause;
pub mod progress;
pub mod status;
mod trouble;
pub mod words;
