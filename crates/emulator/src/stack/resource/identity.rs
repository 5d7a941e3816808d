//! Roles, with who may assume them and their inline policies, and policies of their own for roles.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::storage::end;
use super::{Made, Site};
use crate::stack::error::{Done, StackError};
use crate::stack::fields::Fields;
use crate::world::iam::{Record, Role};
use crate::world::{Refusal, World};

pub(super) fn role(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = site.physical(fields, "RoleName", 64)?;
    let refused = |refusal: Refusal| site.refused(&refusal);
    let account = world.config.account.clone();
    let path = fields.text("Path")?.unwrap_or_else(|| "/".to_owned());
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    if site.old.is_none() && world.iam.role(&arn).is_some() {
        return Err(StackError::new(site.id, format!("the role {name} exists already")));
    }
    let trust = fields.take("AssumeRolePolicyDocument").unwrap_or_default().to_string();
    let mut policies = BTreeMap::new();
    for mut policy in fields.objects("Policies")? {
        let document = policy.take("PolicyDocument").unwrap_or_default();
        policies.insert(policy.required("PolicyName")?, document.to_string());
        policy.finish()?;
    }
    let managed = fields.texts("ManagedPolicyArns")?;
    let description = fields.text("Description")?;
    fields.pass(&["MaxSessionDuration", "Tags"]);
    end(fields)?;
    let id = format!("AROA{}", super::super::digest(&[&arn], 17));
    let record =
        Record { id: id.clone(), path, description, created: world.now(), ..Record::default() };
    let (trusted, statements) = (Vec::new(), Vec::new());
    let mut role = Role { arn: arn.clone(), trust: trusted, statements, record };
    role.set_trust(&account, &trust).map_err(refused)?;
    // What policies of the stack's other resources say of the role is theirs to change.
    let others = others(world, site.old, &arn);
    world.iam.put(role);
    for (policy, document) in others.iter().chain(&policies) {
        world.iam.put_inline(&account, &name, policy, document).map_err(refused)?;
    }
    for policy in &managed {
        world.iam.attach_policy(&account, &name, policy).map_err(refused)?;
    }
    Ok(Made::named(&name).with("Arn", arn).with("RoleId", id))
}

/// The inline policies of a role that is there, besides those that it was made with.
fn others(world: &World, old: Option<&Made>, arn: &str) -> BTreeMap<String, String> {
    let Some((old, role)) = old.zip(world.iam.role(arn)) else { return BTreeMap::new() };
    let own = all(&old.properties, "Policies");
    let own: BTreeSet<_> = own.filter_map(|policy| policy.get("PolicyName")?.as_str()).collect();
    let inline = role.record.inline.iter().filter(|(name, _)| !own.contains(name.as_str()));
    inline.map(|(name, document)| (name.clone(), document.clone())).collect()
}

fn all<'a>(properties: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    properties.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A policy of its own, inline in the roles that it names. It is known by its name.
pub(super) fn policy(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = fields.required("PolicyName")?;
    let document = fields.take("PolicyDocument").unwrap_or_default().to_string();
    let roles = fields.texts("Roles")?;
    if roles.is_empty() {
        return Err(fields.wrong("Roles", "a policy is of one role or more; name them"));
    }
    end(fields)?;
    if let Some(old) = site.old {
        remove_policy(world, old)?;
    }
    let account = world.config.account.clone();
    for role in &roles {
        let put = world.iam.put_inline(&account, role, &name, &document);
        put.map_err(|refusal| site.refused(&refusal))?;
    }
    Ok(Made::named(&name))
}

/// Takes a policy from its roles; one that is gone has taken it along.
pub(super) fn remove_policy(world: &mut World, made: &Made) -> Done<()> {
    let account = world.config.account.clone();
    for role in all(&made.properties, "Roles") {
        let role = role.as_str().unwrap_or_default();
        let _gone = world.iam.delete_inline(&account, role, &made.name);
    }
    Ok(())
}

pub(super) fn remove_role(world: &mut World, made: &Made) -> Done<()> {
    let arn = made.attributes.get("Arn").and_then(|arn| arn.as_str());
    arn.map(|arn| world.iam.delete(arn));
    Ok(())
}
