//! What a role may do with a bucket or a key: its own policies and the resource's policy together (IAM
//! User Guide: policy evaluation logic, cross-account policy evaluation). A denial of either wins. In
//! one account either may allow; across accounts both must.

use super::World;
use super::kms::KeyState;
use super::policy::{self, Decision, Question};

/// What the principal's own policies say of `action` on `resource`, and what those of the bucket `name` say.
/// `extra` is what the request brings for conditions, beside who sends it and how.
pub(crate) fn decisions(
    world: &World,
    principal: &str,
    place: (&str, &str, &str),
    extra: &[(&str, &str)],
) -> (Decision, Decision) {
    asked(world, principal, place, extra, |question, theirs| (world.iam.decide(question), theirs))
}

/// Hands on the question and what the bucket's policy says to it.
fn asked<R>(
    world: &World,
    principal: &str,
    (action, name, resource): (&str, &str, &str),
    extra: &[(&str, &str)],
    with: impl FnOnce(&Question<'_>, Decision) -> R,
) -> R {
    let bucket = world.buckets.get(name);
    let mut context = vec![
        ("aws:principalarn", principal),
        ("aws:principalaccount", account_of(principal)),
        ("aws:securetransport", "true"),
        ("s3:tlsversion", "1.3"),
    ];
    if let Some(bucket) = bucket {
        context.push(("aws:resourceaccount", &bucket.owner));
    }
    context.extend_from_slice(extra);
    let question = Question { principal, action, resource, context: &context };
    let policy = bucket.and_then(|bucket| bucket.policy.as_ref());
    let theirs =
        policy.map_or(Decision::Silent, |policy| policy::decide(&policy.statements, &question));
    with(&question, theirs)
}

/// Whether the session of a role may do `action` on `resource`, an object or the whole of the bucket `name`;
/// `extra` is what its request brings for conditions.
pub(crate) fn session(
    world: &World,
    role: &str,
    place: (&str, &str, &str),
    extra: &[(&str, &str)],
) -> bool {
    asked(world, role, place, extra, |question, theirs| {
        let fine = together(world, role, place.1, (world.iam.decide(question), theirs));
        keep(world, question, fine)
    })
}

/// Writes an answer down, where a log is kept.
fn keep(world: &World, question: &Question<'_>, allowed: bool) -> bool {
    let own = world.iam.role(question.principal).map(|role| role.statements.as_slice());
    world.audit.keep(question, own.unwrap_or_default(), allowed);
    allowed
}

/// Whether the role may do `action` on `resource`, an object or the whole of the bucket `name`.
pub(crate) fn bucket(world: &World, role: &str, action: &str, name: &str, resource: &str) -> bool {
    session(world, role, (action, name, resource), &[])
}

/// What the policies of a role and of a bucket come to together.
fn together(world: &World, role: &str, name: &str, (own, theirs): (Decision, Decision)) -> bool {
    let Some(bucket) = world.buckets.get(name) else {
        return own == Decision::Allowed;
    };
    match (own, theirs) {
        (Decision::Denied, _) | (_, Decision::Denied) => false,
        _ if bucket.owner == account_of(role) => {
            own == Decision::Allowed || theirs == Decision::Allowed
        }
        (own, theirs) => {
            let open = matches!(theirs, Decision::Allowed | Decision::Delegated);
            own == Decision::Allowed && open
        }
    }
}

/// Whether the role may do `action` on an object.
pub(crate) fn object(world: &World, role: &str, action: &str, name: &str, key: &str) -> bool {
    bucket(world, role, action, name, &format!("arn:aws:s3:::{name}/{key}"))
}

/// Whether the role's own policies let it do `action` on what has no policy of its own; `extra` is what is
/// brought for conditions.
pub(crate) fn own(
    world: &World,
    role: &str,
    (action, resource): (&str, &str),
    extra: &[(&str, &str)],
) -> bool {
    let context = [("aws:principalarn", role), ("aws:principalaccount", account_of(role))];
    let mut context = context.to_vec();
    if !account_of(resource).is_empty() {
        context.push(("aws:resourceaccount", account_of(resource)));
    }
    context.extend_from_slice(extra);
    let question = Question { principal: role, action, resource, context: &context };
    keep(world, &question, world.iam.decide(&question) == Decision::Allowed)
}

/// Whether the role is denied `action` on an object by name, which is more than not being allowed it.
pub(crate) fn is_denied(world: &World, role: &str, action: &str, name: &str, key: &str) -> bool {
    let object = format!("arn:aws:s3:::{name}/{key}");
    let (own, theirs) = decisions(world, role, (action, name, &object), &[]);
    own == Decision::Denied || theirs == Decision::Denied
}

/// Whether the role may use a key for the object of `object`, an ARN, through S3: the key's policy allows
/// it itself, or leaves it to the policies of its account (AWS KMS Developer Guide: key policies).
pub(crate) fn key(world: &World, role: &str, action: &str, arn: &str, object: &str) -> bool {
    asked_of_key(world, (role, action, arn, object), |question, own, theirs| {
        let fine = match (own, theirs) {
            (Decision::Denied, _) | (_, Decision::Denied) => false,
            (_, Decision::Silent) => false,
            (_, Decision::Allowed) if account_of(arn) == account_of(role) => true,
            _ => own == Decision::Allowed,
        };
        keep(world, question, fine)
    })
}

/// Whether the role is denied the use of a key by name, which is more than not being allowed it.
pub(crate) fn is_key_denied(
    world: &World,
    role: &str,
    action: &str,
    arn: &str,
    object: &str,
) -> bool {
    asked_of_key(world, (role, action, arn, object), |_, own, theirs| {
        own == Decision::Denied || theirs == Decision::Denied
    })
}

/// Hands on the question, and what the role's own policies and the key's say to it.
fn asked_of_key<R>(
    world: &World,
    (role, action, arn, object): (&str, &str, &str, &str),
    with: impl FnOnce(&Question<'_>, Decision, Decision) -> R,
) -> R {
    let name = object.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.split('/').next());
    let bucket = name.and_then(|name| world.buckets.get(name));
    let region = bucket.map_or(&world.config.region, |bucket| &bucket.region);
    let via = format!("s3.{region}.amazonaws.com");
    let context = [
        ("aws:principalarn", role),
        ("aws:principalaccount", account_of(role)),
        ("kms:calleraccount", account_of(role)),
        ("kms:viaservice", via.as_str()),
        ("kms:encryptioncontext:aws:s3:arn", object),
    ];
    let question = Question { principal: role, action, resource: arn, context: &context };
    with(&question, world.iam.decide(&question), world.kms.decide(arn, &question))
}

/// The encryption context of a version's bytes: the object, or the whole bucket under a bucket key (S3 User
/// Guide: replicating encrypted objects).
pub(crate) fn encrypted(bucket: &str, key: &str, bucket_key: bool) -> String {
    match bucket_key {
        true => format!("arn:aws:s3:::{bucket}"),
        false => format!("arn:aws:s3:::{bucket}/{key}"),
    }
}

/// Whether a key is there and can be used.
pub(crate) fn is_usable(world: &World, arn: &str) -> bool {
    world.kms.state(arn) == Some(KeyState::Enabled)
}

/// The account in an ARN.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}
