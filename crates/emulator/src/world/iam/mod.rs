//! Roles: who may assume them and what they may do; and the sessions of them that STS handed out.
//!
//! How a policy is judged is [`super::policy`]'s to say, and how a role's own policies and those of a
//! bucket or a key go together is [`super::access`]'s. It refuses users, groups, instance profiles and
//! permission boundaries: replication and batch jobs have roles only.

pub(crate) mod managed;

use std::collections::BTreeMap;

pub use self::managed::Managed;
use super::policy::{self, Decision, Question, Statement};
use super::{Answer, Millis, Refusal};

/// The service that assumes the role of a replication configuration (S3 User Guide: setting up permissions).
pub const REPLICATION_SERVICE: &str = "s3.amazonaws.com";

/// The service that assumes the role of a batch job (S3 User Guide: granting permissions for Batch Operations).
pub const BATCH_SERVICE: &str = "batchoperations.s3.amazonaws.com";

/// The longest trust policy, in characters, quota increases aside (IAM User Guide: quotas).
const TRUST_MAX: usize = 2_048;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// The services, accounts and ARNs that may assume it.
    pub trust: Vec<String>,
    /// What it may do, of all its policies.
    pub statements: Vec<Statement>,
    /// What only IAM's own calls ask for.
    pub record: Record,
}

/// What a client reads back of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// `AROA…`.
    pub id: String,
    /// `/`, or what stands between `role` and the name.
    pub path: String,
    /// Free text.
    pub description: Option<String>,
    /// When it was made.
    pub created: Millis,
    /// The trust policy, verbatim.
    pub trust_document: String,
    /// Inline policies by name, verbatim.
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the managed policies attached to it.
    pub attached: Vec<String>,
    /// Seconds that its sessions may last, where it says so.
    pub session_s: Option<u64>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Role {
    /// A role that `service` may assume and that may do nothing.
    pub fn trusted_by(arn: &str, service: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            trust: vec![service.to_owned()],
            statements: Vec::new(),
            record: Record::default(),
        }
    }

    /// The documented replication role from the bucket `source` to the buckets `destinations`, KMS
    /// permissions included (S3 User Guide: setting up permissions for live replication).
    pub fn replication(arn: &str, source: &str, destinations: &[&str]) -> Self {
        let mut role = Self::trusted_by(arn, REPLICATION_SERVICE);
        let bucket = format!("arn:aws:s3:::{source}");
        let objects = format!("{bucket}/*");
        role.statements.push(Statement::allow(
            "ReadConfiguration",
            &["s3:GetReplicationConfiguration", "s3:ListBucket"],
            &[&bucket],
        ));
        role.statements.push(Statement::allow(
            "ReadSource",
            &[
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ],
            &[&objects],
        ));
        for destination in destinations {
            role.statements.push(Statement::allow(
                &format!("Write-{destination}"),
                &[
                    "s3:ReplicateObject",
                    "s3:ReplicateDelete",
                    "s3:ReplicateTags",
                    "s3:ObjectOwnerOverrideToBucketOwner",
                ],
                &[&format!("arn:aws:s3:::{destination}/*")],
            ));
        }
        role.statements.push(Statement::allow(
            "Kms",
            &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            &["arn:aws:kms:*"],
        ));
        role
    }

    /// The documented role of a batch replication job over the bucket `source`, whose manifests and
    /// reports lie in the bucket `state` (S3 User Guide: configuring an IAM role for Batch Replication).
    pub fn batch(arn: &str, source: &str, state: &str) -> Self {
        let mut role = Self::trusted_by(arn, BATCH_SERVICE);
        let (bucket, state) = (format!("arn:aws:s3:::{source}"), format!("arn:aws:s3:::{state}/*"));
        role.statements.push(Statement::allow(
            "Initiate",
            &["s3:InitiateReplication"],
            &[&format!("{bucket}/*")],
        ));
        role.statements.push(Statement::allow(
            "Generate",
            &["s3:GetReplicationConfiguration", "s3:PutInventoryConfiguration"],
            &[&bucket],
        ));
        role.statements.push(Statement::allow(
            "ReadManifest",
            &["s3:GetObject", "s3:GetObjectVersion"],
            &[&state],
        ));
        role.statements.push(Statement::allow("WriteReport", &["s3:PutObject"], &[&state]));
        role
    }
}

impl Role {
    /// Its name: what follows the path.
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Replaces the trust policy.
    ///
    /// # Errors
    /// 400 `MalformedPolicyDocument`.
    pub fn set_trust(&mut self, account: &str, document: &str) -> Answer<()> {
        if document.len() > TRUST_MAX {
            let message = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_MAX}");
            return Err(Refusal::new(409, "LimitExceeded", message));
        }
        let statements = policy::parse(document, "trust")?;
        let context = [("aws:sourceaccount", account)];
        let mut trust = Vec::new();
        for statement in &statements {
            if let policy::Principal::Named(list) = &statement.principal {
                trust.extend(list.iter().cloned());
            }
        }
        trust.retain(|principal| {
            let action = "sts:AssumeRole";
            let question = Question { principal, action, resource: "*", context: &context };
            policy::decide(&statements, &question) == Decision::Allowed
        });
        self.trust = trust;
        document.clone_into(&mut self.record.trust_document);
        Ok(())
    }

    /// Adds the statements of a policy, in place of those it had under the same name.
    fn adopt(&mut self, name: &str, statements: Vec<Statement>) {
        self.drop_policy(name);
        let named = |mut statement: Statement| {
            name.clone_into(&mut statement.id);
            statement
        };
        self.statements.extend(statements.into_iter().map(named));
    }

    fn drop_policy(&mut self, name: &str) {
        self.statements.retain(|statement| statement.id != name);
    }
}

/// A session of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The role's ARN.
    pub role: String,
    /// `RoleSessionName`.
    pub name: String,
    /// The secret of its access key.
    pub secret: String,
}

impl Session {
    /// The account of its role.
    pub fn account(&self) -> &str {
        self.role.split(':').nth(4).unwrap_or_default()
    }
}

/// The roles of the account.
#[derive(Debug, Default)]
pub struct Iam {
    roles: BTreeMap<String, Role>,
    /// Managed policies of the account, by ARN.
    managed: BTreeMap<String, Managed>,
    /// Sessions by access key.
    sessions: BTreeMap<String, Session>,
}

impl Iam {
    /// Adds a role, in place of one with the same ARN.
    pub fn put(&mut self, role: Role) {
        self.roles.insert(role.arn.clone(), role);
    }

    /// Removes a role.
    pub fn delete(&mut self, arn: &str) -> Option<Role> {
        self.roles.remove(arn)
    }

    /// A role by its ARN.
    pub fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    /// A role by its ARN, to change its trust.
    pub fn role_mut(&mut self, arn: &str) -> Option<&mut Role> {
        self.roles.get_mut(arn)
    }

    /// All roles, in order of ARN.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// The role of an account with this name.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn named(&mut self, account: &str, name: &str) -> Answer<&mut Role> {
        let ours =
            |role: &&mut Role| role.name() == name && role.arn.split(':').nth(4) == Some(account);
        self.roles.values_mut().find(ours).ok_or_else(|| {
            let message = format!("The role with name {name} cannot be found.");
            Refusal::new(404, "NoSuchEntity", message)
        })
    }

    /// Sets an inline policy of a role.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`, 400 `MalformedPolicyDocument`.
    pub fn put_inline(&mut self, account: &str, role: &str, name: &str, text: &str) -> Answer<()> {
        let statements = policy::parse(text, name)?;
        if statements.iter().any(|one| one.principal != policy::Principal::Owner) {
            let message = "Policy document should not specify a principal.";
            return Err(Refusal::new(400, "MalformedPolicyDocument", message));
        }
        let role = self.named(account, role)?;
        role.adopt(name, statements);
        role.record.inline.insert(name.to_owned(), text.to_owned());
        Ok(())
    }

    /// Removes an inline policy of a role.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn delete_inline(&mut self, account: &str, role: &str, name: &str) -> Answer<()> {
        let role = self.named(account, role)?;
        role.record.inline.remove(name).ok_or_else(|| no_policy(name))?;
        role.drop_policy(name);
        Ok(())
    }

    /// Attaches a managed policy to a role.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn attach_policy(&mut self, account: &str, role: &str, arn: &str) -> Answer<()> {
        let document = self.document(arn)?;
        let statements = policy::parse(&document, arn)?;
        let role = self.named(account, role)?;
        role.adopt(arn, statements);
        if !role.record.attached.iter().any(|it| it == arn) {
            role.record.attached.push(arn.to_owned());
        }
        Ok(())
    }

    /// Detaches a managed policy from a role.
    ///
    /// # Errors
    /// 404 `NoSuchEntity`.
    pub fn detach_policy(&mut self, account: &str, role: &str, arn: &str) -> Answer<()> {
        let role = self.named(account, role)?;
        let at = role.record.attached.iter().position(|it| it == arn);
        role.record.attached.remove(at.ok_or_else(|| no_policy(arn))?);
        role.drop_policy(arn);
        Ok(())
    }

    /// Remembers a session by its access key.
    pub fn open_session(&mut self, key: String, session: Session) {
        self.sessions.insert(key, session);
    }

    /// The session of an access key.
    pub fn session(&self, key: &str) -> Option<&Session> {
        self.sessions.get(key)
    }

    /// Adds a statement to a role, in place of one with the same id. False if there is no such role.
    pub fn attach(&mut self, arn: &str, statement: Statement) -> bool {
        let Some(role) = self.roles.get_mut(arn) else {
            return false;
        };
        role.statements.retain(|old| old.id != statement.id);
        role.statements.push(statement);
        true
    }

    /// Permits `actions` on `resources`, as the statement `id`. False if there is no such role.
    pub fn grant(&mut self, arn: &str, id: &str, actions: &[&str], resources: &[&str]) -> bool {
        self.attach(arn, Statement::allow(id, actions, resources))
    }

    /// Denies `actions` on `resources`, as the statement `id`. False if there is no such role.
    pub fn deny(&mut self, arn: &str, id: &str, actions: &[&str], resources: &[&str]) -> bool {
        self.attach(arn, Statement::deny(id, actions, resources))
    }

    /// Removes the statement `id` from a role. False if there was none.
    pub fn revoke(&mut self, arn: &str, id: &str) -> bool {
        let Some(role) = self.roles.get_mut(arn) else {
            return false;
        };
        let before = role.statements.len();
        role.statements.retain(|statement| statement.id != id);
        role.statements.len() < before
    }

    /// Whether `service` may assume the role.
    pub fn trusts(&self, arn: &str, service: &str) -> bool {
        self.roles.get(arn).is_some_and(|role| role.trust.iter().any(|trusted| trusted == service))
    }

    /// What the role's own policies say.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        match self.roles.get(question.principal) {
            Some(role) => policy::decide(&role.statements, question),
            None => Decision::Silent,
        }
    }
}

fn no_policy(name: &str) -> Refusal {
    Refusal::new(404, "NoSuchEntity", format!("Policy {name} was not found."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allows(iam: &Iam, principal: &str, action: &str, resource: &str) -> bool {
        let question = Question { principal, action, resource, context: &[] };
        iam.decide(&question) == Decision::Allowed
    }

    #[test]
    fn deny_wins_until_it_is_revoked() {
        let mut iam = Iam::default();
        let arn = "arn:aws:iam::111122223333:role/rep";
        iam.put(Role::replication(arn, "src", &["dst"]));
        let allowed = |iam: &Iam| allows(iam, arn, "s3:ReplicateObject", "arn:aws:s3:::dst/k");
        assert!(allowed(&iam));
        assert!(iam.deny(arn, "broken", &["s3:ReplicateObject"], &["*"]));
        assert!(!allowed(&iam));
        assert!(iam.revoke(arn, "broken"));
        assert!(allowed(&iam));
        assert!(!allows(&iam, arn, "s3:ReplicateObject", "arn:aws:s3:::other/k"));
        assert!(iam.trusts(arn, REPLICATION_SERVICE) && !iam.trusts(arn, BATCH_SERVICE));
    }

    #[test]
    fn a_trust_policy_becomes_a_list_of_those_it_trusts() {
        let mut role = Role::trusted_by("arn:aws:iam::111122223333:role/r", "nobody");
        let document = r#"{"Statement":[
            {"Effect":"Allow","Principal":{"Service":["s3.amazonaws.com","lambda.amazonaws.com"]},"Action":"sts:AssumeRole"},
            {"Effect":"Deny","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:*"},
            {"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole",
             "Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}}]}"#;
        role.set_trust("111122223333", document).unwrap();
        assert_eq!(role.trust, ["s3.amazonaws.com"]);
        assert!(role.set_trust("111122223333", "{").is_err());
        assert_eq!(role.trust, ["s3.amazonaws.com"], "a bad document changes nothing");
    }

    #[test]
    fn policies_come_and_go_with_their_statements() {
        let mut iam = Iam::default();
        let (account, arn) = ("111122223333", "arn:aws:iam::111122223333:role/r");
        iam.put(Role::trusted_by(arn, REPLICATION_SERVICE));
        let may = |iam: &Iam| allows(iam, arn, "s3:GetObject", "arn:aws:s3:::b/k");
        let text =
            r#"{"Statement":{"Sid":"x","Effect":"Allow","Action":"s3:Get*","Resource":"*"}}"#;
        iam.put_inline(account, "r", "read", text).unwrap();
        assert!(may(&iam));
        iam.delete_inline(account, "r", "read").unwrap();
        assert!(!may(&iam));
        let policy = "arn:aws:iam::111122223333:policy/p";
        iam.create_policy(policy, Managed::new(text, 0)).unwrap();
        iam.attach_policy(account, "r", policy).unwrap();
        assert!(may(&iam));
        assert_eq!(iam.delete_policy(policy).unwrap_err().code, "DeleteConflict");
        iam.detach_policy(account, "r", policy).unwrap();
        assert!(!may(&iam));
        iam.attach_policy(account, "r", "arn:aws:iam::aws:policy/AmazonS3FullAccess").unwrap();
        assert!(may(&iam));
    }

    #[test]
    fn a_role_never_made_may_do_nothing() {
        let iam = Iam::default();
        assert!(!iam.trusts("arn:x", BATCH_SERVICE) && !allows(&iam, "arn:x", "s3:GetObject", "*"));
    }
}
