//! Managed policies: those of the account, with their versions, and a few of AWS's own.

use std::collections::BTreeMap;

use super::{Iam, no_policy};
use crate::world::policy::{self, Principal};
use crate::world::{Answer, Millis, Refusal};

/// Versions that a policy may have (IAM User Guide: quotas).
const VERSIONS_MAX: usize = 5;

/// The policies that AWS manages and that scripts like to attach.
const OF_AWS: [(&str, &str); 3] = [
    ("arn:aws:iam::aws:policy/AdministratorAccess", "*"),
    ("arn:aws:iam::aws:policy/AmazonS3FullAccess", "s3:*"),
    ("arn:aws:iam::aws:policy/AmazonSQSFullAccess", "sqs:*"),
];

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// `ANPA…`.
    pub id: String,
    /// Free text.
    pub description: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Its versions by number: the documents, verbatim, and when each was made.
    pub versions: BTreeMap<u32, (String, Millis)>,
    /// The version that counts.
    pub default: u32,
    /// The number of the newest that there ever was.
    newest: u32,
    /// When it was made.
    created: Millis,
}

impl Managed {
    /// A policy of one version.
    pub fn new(document: &str, now: Millis) -> Self {
        Self {
            id: String::new(),
            description: None,
            tags: BTreeMap::new(),
            versions: [(1, (document.to_owned(), now))].into(),
            default: 1,
            newest: 1,
            created: now,
        }
    }

    /// When it was made, and when it was last changed.
    pub fn dates(&self) -> (Millis, Millis) {
        let changed = self.versions.values().map(|(_, at)| *at).max();
        (self.created, changed.unwrap_or(self.created))
    }

    fn document(&self) -> &str {
        self.versions.get(&self.default).map_or("", |(document, _)| document)
    }
}

impl Iam {
    /// Makes a managed policy.
    ///
    /// # Errors
    /// 409 `EntityAlreadyExists`, 400 `MalformedPolicyDocument`.
    pub fn create_policy(&mut self, arn: &str, policy: Managed) -> Answer<()> {
        check(policy.document(), arn)?;
        if self.managed.contains_key(arn) {
            let message = format!("A policy called {arn} already exists.");
            return Err(Refusal::new(409, "EntityAlreadyExists", message));
        }
        self.managed.insert(arn.to_owned(), policy);
        Ok(())
    }

    /// A managed policy.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn policy(&self, arn: &str) -> Answer<Managed> {
        if let Some((_, action)) = OF_AWS.iter().find(|(known, _)| *known == arn) {
            let document = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
            );
            return Ok(Managed::new(&document, 0));
        }
        self.managed.get(arn).cloned().ok_or_else(|| no_policy(arn))
    }

    /// A managed policy of the account, to change what is told of it.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn policy_mut(&mut self, arn: &str) -> Answer<&mut Managed> {
        self.managed.get_mut(arn).ok_or_else(|| no_policy(arn))
    }

    /// The document of a managed policy that counts.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub(super) fn document(&self, arn: &str) -> Answer<String> {
        self.policy(arn).map(|policy| policy.document().to_owned())
    }

    /// The ARNs of the account's own managed policies.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.managed.keys().map(String::as_str)
    }

    /// The roles that have a managed policy.
    pub fn bearers<'a>(&'a self, arn: &'a str) -> impl Iterator<Item = &'a super::Role> {
        self.roles.values().filter(move |role| role.record.attached.iter().any(|it| it == arn))
    }

    /// Removes a managed policy.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`; 409 `DeleteConflict` while a role has it, or it has more than one version.
    pub fn delete_policy(&mut self, arn: &str) -> Answer<()> {
        let conflict = |message: &str| Err(Refusal::new(409, "DeleteConflict", message));
        if self.bearers(arn).next().is_some() {
            return conflict("Cannot delete a policy attached to entities.");
        }
        if self.policy_mut(arn)?.versions.len() > 1 {
            return conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
            );
        }
        self.managed.remove(arn);
        Ok(())
    }

    /// Adds a version to a managed policy; gives its number.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`, 400 `MalformedPolicyDocument`, 409 `LimitExceeded`.
    pub fn add_version(
        &mut self,
        arn: &str,
        document: &str,
        counts: bool,
        now: Millis,
    ) -> Answer<u32> {
        check(document, arn)?;
        let policy = self.policy_mut(arn)?;
        if policy.versions.len() >= VERSIONS_MAX {
            let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
            return Err(Refusal::new(409, "LimitExceeded", message));
        }
        policy.newest += 1;
        let version = policy.newest;
        policy.versions.insert(version, (document.to_owned(), now));
        if counts {
            self.set_default(arn, version)?;
        }
        Ok(version)
    }

    /// Lets another version count, for every role that has the policy.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn set_default(&mut self, arn: &str, version: u32) -> Answer<()> {
        let policy = self.policy_mut(arn)?;
        let (document, _) =
            policy.versions.get(&version).ok_or_else(|| no_version(arn, version))?;
        let statements = policy::parse(document, arn)?;
        policy.default = version;
        for role in self.roles.values_mut() {
            if role.record.attached.iter().any(|it| it == arn) {
                role.adopt(arn, statements.clone());
            }
        }
        Ok(())
    }

    /// Removes a version that does not count.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`, 409 `DeleteConflict`.
    pub fn delete_version(&mut self, arn: &str, version: u32) -> Answer<()> {
        let policy = self.policy_mut(arn)?;
        if version == policy.default {
            let message = "Cannot delete the default version of a policy.";
            return Err(Refusal::new(409, "DeleteConflict", message));
        }
        policy.versions.remove(&version).map(drop).ok_or_else(|| no_version(arn, version))
    }
}

/// What is said of a version that is not there.
pub(crate) fn no_version(arn: &str, version: u32) -> Refusal {
    let message = format!("Policy {arn} version v{version} does not exist or is not attachable.");
    Refusal::new(404, "NoSuchEntity", message)
}

fn check(document: &str, arn: &str) -> Answer<()> {
    let statements = policy::parse(document, arn)?;
    if statements.iter().all(|one| one.principal == Principal::Owner) {
        return Ok(());
    }
    let message = "Policy document should not specify a principal.";
    Err(Refusal::new(400, "MalformedPolicyDocument", message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::world::iam::{REPLICATION_SERVICE, Role};
    use crate::world::policy::{Decision, Question};

    const ROLE: &str = "arn:aws:iam::111122223333:role/r";
    const POLICY: &str = "arn:aws:iam::111122223333:policy/p";

    fn allowing(action: &str) -> String {
        format!(r#"{{"Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#)
    }

    #[test]
    fn the_version_that_counts_is_that_of_every_role() {
        let mut iam = Iam::default();
        iam.put(Role::trusted_by(ROLE, REPLICATION_SERVICE));
        iam.create_policy(POLICY, Managed::new(&allowing("s3:GetObject"), 0)).unwrap();
        iam.attach_policy("111122223333", "r", POLICY).unwrap();
        let may = |iam: &Iam, action| {
            let question = Question { principal: ROLE, action, resource: "*", context: &[] };
            iam.decide(&question) == Decision::Allowed
        };
        assert_eq!(iam.add_version(POLICY, &allowing("s3:PutObject"), false, 1).unwrap(), 2);
        assert!(may(&iam, "s3:GetObject") && !may(&iam, "s3:PutObject"));
        iam.set_default(POLICY, 2).unwrap();
        assert!(!may(&iam, "s3:GetObject") && may(&iam, "s3:PutObject"));
        assert_eq!(iam.delete_version(POLICY, 2).unwrap_err().code, "DeleteConflict");
        iam.delete_version(POLICY, 1).unwrap();
        for version in 3..=6 {
            assert_eq!(iam.add_version(POLICY, &allowing("s3:*"), true, 2).unwrap(), version);
        }
        let refused = iam.add_version(POLICY, &allowing("s3:*"), true, 2).unwrap_err();
        assert_eq!(refused.code, "LimitExceeded");
        assert_eq!(iam.set_default(POLICY, 1).unwrap_err().code, "NoSuchEntity");
        iam.detach_policy("111122223333", "r", POLICY).unwrap();
        assert_eq!(iam.delete_policy(POLICY).unwrap_err().code, "DeleteConflict", "its versions");
    }
}
