//! Roles, with who may assume them and their inline policies.

use std::collections::BTreeMap;

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
    world.iam.put(role);
    for (policy, document) in &policies {
        world.iam.put_inline(&account, &name, policy, document).map_err(refused)?;
    }
    for policy in &managed {
        world.iam.attach_policy(&account, &name, policy).map_err(refused)?;
    }
    Ok(Made::named(&name).with("Arn", arn).with("RoleId", id))
}

pub(super) fn remove_role(world: &mut World, made: &Made) -> Done<()> {
    let arn = made.attributes.get("Arn").and_then(|arn| arn.as_str());
    arn.map(|arn| world.iam.delete(arn));
    Ok(())
}
