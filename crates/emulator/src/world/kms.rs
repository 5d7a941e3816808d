//! Customer managed keys, as far as replication asks: does the key exist, and is it enabled.
//!
//! It refuses to encrypt anything, and key policies are not evaluated: what a role may do with a key
//! is said by the role's statements alone.

use std::collections::BTreeMap;

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Usable.
    Enabled,
    /// Every use fails until it is enabled again.
    Disabled,
    /// Will be deleted; every use fails.
    PendingDeletion,
}

/// The keys, by ARN.
#[derive(Debug, Default)]
pub struct Kms {
    /// A key that was never made counts as enabled. For a bare server, whose clients have no KMS to make
    /// keys with; off, such a key does not exist.
    pub open: bool,
    keys: BTreeMap<String, KeyState>,
}

impl Kms {
    /// Makes an enabled key under this ARN.
    pub fn create(&mut self, arn: &str) {
        self.keys.insert(arn.to_owned(), KeyState::Enabled);
    }

    /// Enables a key. False if there is none.
    pub fn enable(&mut self, arn: &str) -> bool {
        self.turn(arn, KeyState::Enabled)
    }

    /// Disables a key. False if there is none.
    pub fn disable(&mut self, arn: &str) -> bool {
        self.turn(arn, KeyState::Disabled)
    }

    /// Schedules the deletion of a key, which stops its use at once. False if there is none.
    pub fn schedule_deletion(&mut self, arn: &str) -> bool {
        self.turn(arn, KeyState::PendingDeletion)
    }

    /// Deletes a key for good. False if there was none.
    pub fn delete(&mut self, arn: &str) -> bool {
        self.keys.remove(arn).is_some()
    }

    /// The state of a key; `None` if it does not exist. The key that AWS keeps for S3 is always enabled.
    pub fn state(&self, arn: &str) -> Option<KeyState> {
        if arn.ends_with(":alias/aws/s3") {
            return Some(KeyState::Enabled);
        }
        self.keys.get(arn).copied().or(self.open.then_some(KeyState::Enabled))
    }

    fn turn(&mut self, arn: &str, state: KeyState) -> bool {
        self.keys.get_mut(arn).map(|old| *old = state).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_aws_keeps_is_enabled_and_one_that_nobody_made_is_none() {
        let mut kms = Kms::default();
        assert_eq!(kms.state("arn:aws:kms:us-east-1:1:alias/aws/s3"), Some(KeyState::Enabled));
        assert_eq!(kms.state("k"), None);
        kms.create("k");
        assert!(kms.disable("k"));
        assert_eq!(kms.state("k"), Some(KeyState::Disabled));
    }
}
