//! Customer managed keys, as far as replication asks: does the key exist, is it enabled, and whom does
//! its policy let use it. Encrypts nothing.

use std::collections::BTreeMap;

use super::policy::{self, Decision, Question, Statement};
use super::{Answer, Millis};

/// The id of the key that AWS keeps for S3 in every account, which its alias `aws/s3` names.
pub const OF_S3: &str = "a3a3a3a3-a3a3-43a3-a3a3-a3a3a3a3a3a3";

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

impl KeyState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

/// A key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its state.
    pub state: KeyState,
    /// Free text.
    pub description: String,
    /// When it was made.
    pub created: Millis,
    /// When it will be deleted.
    pub deletion: Option<Millis>,
    /// Its material is replaced every so many days, which nobody notices.
    pub rotates: Option<u64>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Its policy, verbatim; `None` is the default one, which leaves all to the account's policies.
    pub policy: Option<String>,
    statements: Vec<Statement>,
}

/// The keys, by ARN.
#[derive(Debug, Default)]
pub struct Kms {
    keys: BTreeMap<String, Key>,
    /// The ARN of the key behind each alias ARN.
    aliases: BTreeMap<String, String>,
}

impl Kms {
    /// Makes an enabled key under this ARN.
    pub fn create(&mut self, arn: &str) {
        let key = Key {
            state: KeyState::Enabled,
            description: String::new(),
            created: 0,
            deletion: None,
            rotates: None,
            tags: BTreeMap::new(),
            policy: None,
            statements: Vec::new(),
        };
        self.keys.insert(arn.to_owned(), key);
    }

    /// A key by its ARN or the ARN of its alias.
    pub fn key(&self, arn: &str) -> Option<&Key> {
        self.keys.get(self.resolve(arn))
    }

    /// A key by its ARN or the ARN of its alias, to change it.
    pub fn key_mut(&mut self, arn: &str) -> Option<&mut Key> {
        let arn = self.resolve(arn).to_owned();
        self.keys.get_mut(&arn)
    }

    /// All keys, in order of ARN.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.keys.iter().map(|(arn, key)| (arn.as_str(), key))
    }

    /// All aliases with their keys.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases.iter().map(|(alias, key)| (alias.as_str(), key.as_str()))
    }

    /// Points an alias at a key. False if the alias is taken.
    pub fn alias(&mut self, alias: &str, key: &str) -> bool {
        if self.aliases.contains_key(alias) {
            return false;
        }
        self.aliases.insert(alias.to_owned(), key.to_owned());
        true
    }

    /// Points an alias that there is at another key. False if there is none.
    pub fn realias(&mut self, alias: &str, key: &str) -> bool {
        self.aliases.get_mut(alias).map(|behind| key.clone_into(behind)).is_some()
    }

    /// Removes an alias. False if there was none.
    pub fn unalias(&mut self, alias: &str) -> bool {
        self.aliases.remove(alias).is_some()
    }

    /// The ARN of the key behind an alias's ARN; any other as it is.
    pub fn resolve<'a>(&'a self, arn: &'a str) -> &'a str {
        self.aliases.get(arn).map_or(arn, String::as_str)
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

    /// Deletes the keys whose time is over.
    pub(super) fn expire(&mut self, now: Millis) {
        let keys = &mut self.keys;
        let before = keys.len();
        keys.retain(|_, key| key.deletion.is_none_or(|at| now < at));
        if keys.len() < before {
            self.aliases.retain(|_, key| keys.contains_key(key));
        }
    }

    /// Deletes a key for good. False if there was none.
    pub fn delete(&mut self, arn: &str) -> bool {
        self.keys.remove(arn).is_some()
    }

    /// Replaces the policy of a key. False if there is none.
    ///
    /// # Errors
    /// 400 `MalformedPolicyDocument`.
    pub fn put_policy(&mut self, arn: &str, document: &str) -> Answer<bool> {
        let statements = policy::parse(document, "key")?;
        let Some(key) = self.key_mut(arn) else {
            return Ok(false);
        };
        (key.policy, key.statements) = (Some(document.to_owned()), statements);
        Ok(true)
    }

    /// The state of a key; `None` if it does not exist. The key that AWS keeps for S3 is always enabled.
    pub fn state(&self, arn: &str) -> Option<KeyState> {
        if arn.ends_with(OF_S3) {
            return Some(KeyState::Enabled);
        }
        self.key(arn).map(|key| key.state)
    }

    /// What the policy of a key says. A key without one of its own leaves all to its account.
    pub fn decide(&self, arn: &str, question: &Question<'_>) -> Decision {
        match self.key(arn) {
            Some(key) if key.policy.is_some() => policy::decide(&key.statements, question),
            _ => Decision::Delegated,
        }
    }

    fn turn(&mut self, arn: &str, state: KeyState) -> bool {
        self.key_mut(arn).map(|key| key.state = state).is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_key_that_aws_keeps_is_enabled_and_one_that_nobody_made_is_none() {
        let mut kms = Kms::default();
        assert_eq!(
            kms.state(&format!("arn:aws:kms:us-east-1:1:key/{OF_S3}")),
            Some(KeyState::Enabled)
        );
        assert_eq!(kms.state("k"), None);
        kms.create("k");
        assert!(kms.disable("k"));
        assert_eq!(kms.state("k"), Some(KeyState::Disabled));
    }

    #[test]
    fn an_alias_is_its_key() {
        let mut kms = Kms::default();
        kms.create("k");
        assert!(kms.alias("a", "k") && !kms.alias("a", "other"));
        assert!(kms.disable("a"));
        assert_eq!((kms.state("a"), kms.resolve("a")), (Some(KeyState::Disabled), "k"));
        assert!(kms.unalias("a") && !kms.unalias("a"));
        assert_eq!(kms.state("a"), None);
    }

    #[test]
    fn a_policy_of_its_own_decides_whom_a_key_serves() {
        let mut kms = Kms::default();
        kms.create("k");
        let ask = |kms: &Kms| {
            let question = Question {
                principal: "arn:aws:iam::1:role/r",
                action: "kms:Decrypt",
                resource: "k",
                context: &[],
            };
            kms.decide("k", &question)
        };
        assert_eq!(ask(&kms), Decision::Delegated, "to the account");
        let to_another = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:role/x"},"Action":"kms:*","Resource":"*"}}"#;
        assert!(kms.put_policy("k", to_another).unwrap());
        assert_eq!(ask(&kms), Decision::Silent);
    }
}
