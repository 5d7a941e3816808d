//! The `resilver` command line, and the installation on the embedded AWS that its `demo` and our
//! tests share.

pub mod app;
pub mod args;
pub mod demo;
pub mod error;
pub mod local;
pub mod progress;
