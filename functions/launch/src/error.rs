//! What stops a launch.

use resilver_aws::AwsError;
use resilver_heal::laws::Broken;
use resilver_heal::plan::PlanId;
use resilver_heal::run::Corrupt;

/// Why a bucket could not be launched. Nothing is lost by any of them: the next tick starts over.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// AWS did not do what was asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A run of ours cannot be read.
    #[error("{key}: {corrupt}")]
    Corrupt {
        /// The object.
        key: String,
        /// What is wrong with it.
        corrupt: Corrupt,
    },
    /// A document of ours cannot be read.
    #[error("{key} cannot be read: {why}; leave it as it is and update this release")]
    Document {
        /// The object.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A run is out of order.
    #[error("{key} is out of order at {at}; sort it with `resilver run union`")]
    Disorder {
        /// The object.
        key: String,
        /// Where.
        at: String,
    },
    /// A plan lost its share of the day's budget or of the job slots, and there is no room for it now.
    #[error(
        "plan {0} waits for a free job slot or for tomorrow's budget; the next launch tries again"
    )]
    NoRoom(PlanId),
    /// A law does not hold.
    #[error(transparent)]
    Law(#[from] Broken),
}

impl LaunchError {
    /// A document that a later release wrote: it is left alone.
    pub(crate) fn newer(key: String, format: u32, known: u32) -> Self {
        Self::Document { key, why: format!("it has format {format}, this release knows {known}") }
    }
}
