//! What Resilver decides, as a pure machine: no SDK, no clock, no randomness, no environment, no
//! file. It is told the time and handed what was read; it answers with data that others write.
//!
//! The modules below are declared in the order in which data meets them: one failed object version
//! comes in as an event and leaves as a healed one. Two tables at the end hold for all of them:
//! [`limits`], and the [`laws`] that nothing here may break.

pub mod time;

pub mod key;

pub mod reason;

pub mod failure;

pub mod run;

pub mod segment;

pub mod state;

pub mod entry;

pub mod transition;

pub mod fold;

pub mod survey;

pub mod circuit;

pub mod enrolment;

pub mod backfill;

pub mod configuration;

pub mod finding;

pub mod ledger;

pub mod change;

pub mod metrics;

pub mod plan;

pub mod listing;

pub mod scan;

pub mod account;

pub mod launch;

pub mod manifest;

pub mod report;

pub mod verdict;

pub mod summary;

pub mod notice;

pub mod limits;

pub mod laws;
