//! Everything that is tested across crates, in one binary: stories in the order of the path, the
//! storm, and what is easier to check than to remember.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod stories {
    mod backfill;
    mod blind_spots;
    mod change;
    mod collect;
    mod enroll;
    mod enroll_stack;
    mod launch;
    mod lessons;
    mod lessons_kept;
    mod log;
    mod measure;
    mod notify;
    mod operator;
    mod path;
    mod scan;
    mod scan_edges;
    mod settle;
    mod stack;
    mod trouble;
}
mod costs;
mod permissions;
mod storm;
mod template;
mod tidy;
