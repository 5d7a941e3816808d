//! Roles: who may assume them and what they may do. As much of IAM as replication and batch jobs need:
//! a trust list of services, and statements of Allow or Deny over actions and resources with `*`.
//!
//! It refuses to evaluate conditions, `NotAction`, `?` wildcards, permission boundaries, and the
//! policies of buckets and keys: a destination's consent is part of the role's statements here.

use std::collections::BTreeMap;

/// The service that assumes the role of a replication configuration (S3 User Guide: setting up permissions).
pub const REPLICATION_SERVICE: &str = "s3.amazonaws.com";

/// The service that assumes the role of a batch job (S3 User Guide: granting permissions for Batch Operations).
pub const BATCH_SERVICE: &str = "batchoperations.s3.amazonaws.com";

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits, unless another statement denies.
    Allow,
    /// Denies, whatever else permits.
    Deny,
}

/// One statement of a role's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`: what [`Iam::revoke`] removes it by.
    pub id: String,
    /// Allow or Deny.
    pub effect: Effect,
    /// `s3:GetObject`, `s3:*`, `*`; case does not matter.
    pub actions: Vec<String>,
    /// ARNs, with `*` wildcards.
    pub resources: Vec<String>,
}

impl Statement {
    /// A statement that permits.
    pub fn allow(id: &str, actions: &[&str], resources: &[&str]) -> Self {
        Self::new(id, Effect::Allow, actions, resources)
    }

    /// A statement that denies.
    pub fn deny(id: &str, actions: &[&str], resources: &[&str]) -> Self {
        Self::new(id, Effect::Deny, actions, resources)
    }

    fn new(id: &str, effect: Effect, actions: &[&str], resources: &[&str]) -> Self {
        let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        Self { id: id.to_owned(), effect, actions: owned(actions), resources: owned(resources) }
    }

    fn matches(&self, action: &str, resource: &str) -> bool {
        self.actions.iter().any(|pattern| like(pattern, action, true))
            && self.resources.iter().any(|pattern| like(pattern, resource, false))
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// The services that may assume it.
    pub trust: Vec<String>,
    /// What it may do.
    pub statements: Vec<Statement>,
}

impl Role {
    /// A role that `service` may assume and that may do nothing.
    pub fn trusted_by(arn: &str, service: &str) -> Self {
        Self { arn: arn.to_owned(), trust: vec![service.to_owned()], statements: Vec::new() }
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

/// The roles of the account.
#[derive(Debug, Default)]
pub struct Iam {
    /// A role that was never made is assumed by any service and may do anything. For a bare server,
    /// whose clients have no IAM to make roles with; off, such a role cannot be assumed.
    pub open: bool,
    roles: BTreeMap<String, Role>,
}

impl Iam {
    /// Makes a role, or replaces the one with the same ARN.
    pub fn put(&mut self, role: Role) {
        self.roles.insert(role.arn.clone(), role);
    }

    /// Deletes a role; what uses it from now on cannot assume it.
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
        self.roles
            .get(arn)
            .map_or(self.open, |role| role.trust.iter().any(|trusted| trusted == service))
    }

    /// Whether the role may do `action` on `resource`: some statement allows it and none denies it.
    pub fn allows(&self, arn: &str, action: &str, resource: &str) -> bool {
        let Some(role) = self.roles.get(arn) else {
            return self.open;
        };
        let mut allowed = false;
        for statement in role.statements.iter().filter(|one| one.matches(action, resource)) {
            match statement.effect {
                Effect::Deny => return false,
                Effect::Allow => allowed = true,
            }
        }
        allowed
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
fn like(pattern: &str, text: &str, any_case: bool) -> bool {
    let same = |a: &u8, b: &u8| {
        if any_case { a.eq_ignore_ascii_case(b) } else { a == b }
    };
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star seen, and the first byte of `text` that it does not yet cover.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if same(wanted, byte) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, covered)) = star else {
                    return false;
                };
                star = Some((at, covered + 1));
                p = at + 1;
                t = covered + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_run_of_characters() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(like(pattern, text, false), expected, "{pattern} against {text}");
        };
        check("*", "", true);
        check("arn:aws:s3:::src/*", "arn:aws:s3:::src/a/b", true);
        check("arn:aws:s3:::src/*", "arn:aws:s3:::src", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-b-b-d", false);
        check("abc", "abcd", false);
        assert!(like("s3:get*", "s3:GetObject", true));
    }

    #[test]
    fn deny_wins_until_it_is_revoked() {
        let mut iam = Iam::default();
        let arn = "arn:aws:iam::111122223333:role/rep";
        iam.put(Role::replication(arn, "src", &["dst"]));
        let allowed = |iam: &Iam| iam.allows(arn, "s3:ReplicateObject", "arn:aws:s3:::dst/k");
        assert!(allowed(&iam));
        assert!(iam.deny(arn, "broken", &["s3:ReplicateObject"], &["*"]));
        assert!(!allowed(&iam));
        assert!(iam.revoke(arn, "broken"));
        assert!(allowed(&iam));
        assert!(!iam.allows(arn, "s3:ReplicateObject", "arn:aws:s3:::other/k"));
        assert!(iam.trusts(arn, REPLICATION_SERVICE) && !iam.trusts(arn, BATCH_SERVICE));
    }

    #[test]
    fn a_role_never_made_may_do_all_or_nothing() {
        let mut iam = Iam::default();
        assert!(!iam.trusts("arn:x", BATCH_SERVICE) && !iam.allows("arn:x", "s3:GetObject", "*"));
        iam.open = true;
        assert!(iam.trusts("arn:x", BATCH_SERVICE) && iam.allows("arn:x", "s3:GetObject", "*"));
    }
}
