//! IAM: roles, and the policies that lie in them.

use super::{Form, IAM, Result, encoded, new_id, policies, tag_elements, whole};
use crate::wire::caller::Caller;
use crate::wire::xml::Element;
use crate::world::iam::{Record, Role};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Answer, Refusal, World};

/// How long sessions may last, in seconds, unless the role says otherwise, and at most.
const SESSION_S: u64 = 3_600;
const SESSION_MAX_S: u64 = 43_200;

pub(super) fn run(world: &mut World, form: &Form, caller: &Caller) -> Result {
    let account = caller.account.as_str();
    if form.text("Version") != IAM.0 {
        let (action, version) = (form.action(), form.text("Version"));
        let message = format!(
            "this emulator does not do {action} of a service whose API is of version {version:?}"
        );
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    let role = || form.needed("RoleName");
    match form.action() {
        "CreateRole" => create(world, form, account).map(Some),
        "GetRole" => {
            let role = world.iam.named(account, role()?)?;
            Ok(Some(Element::new("").with(element(role))))
        }
        "ListRoles" => {
            let prefix = form.maybe("PathPrefix").unwrap_or("/");
            let ours = |role: &&Role| {
                role.arn.split(':').nth(4) == Some(account) && path_of(role).starts_with(prefix)
            };
            let roles = world.iam.roles().filter(ours).map(element);
            Ok(Some(whole().members("Roles", roles)))
        }
        "DeleteRole" => delete(world, form, account),
        "UpdateRole" => {
            let seconds = seconds(form)?;
            let record = &mut world.iam.named(account, role()?)?.record;
            record.description = form.value("Description").or(record.description.take());
            record.session_s = seconds.or(record.session_s);
            Ok(Some(Element::new("")))
        }
        "UpdateRoleDescription" => {
            let role = world.iam.named(account, role()?)?;
            role.record.description = form.value("Description");
            Ok(Some(Element::new("").with(element(role))))
        }
        "UpdateAssumeRolePolicy" => {
            let document = form.needed("PolicyDocument")?;
            world.iam.named(account, role()?)?.set_trust(account, document).map(|()| None)
        }
        "TagRole" => {
            let tags = form.tags();
            world.iam.named(account, role()?)?.record.tags.extend(tags);
            Ok(None)
        }
        "UntagRole" => {
            let names = form.members("TagKeys");
            let tags = &mut world.iam.named(account, role()?)?.record.tags;
            tags.retain(|name, _| !names.contains(&name.as_str()));
            Ok(None)
        }
        "ListRoleTags" => {
            let tags = &world.iam.named(account, role()?)?.record.tags;
            Ok(Some(whole().members("Tags", tag_elements(tags))))
        }
        "ListInstanceProfilesForRole" => {
            world.iam.named(account, role()?)?;
            Ok(Some(whole().members("InstanceProfiles", [])))
        }
        _ => inline(world, form, account),
    }
}

fn inline(world: &mut World, form: &Form, account: &str) -> Result {
    let role = || form.needed("RoleName");
    match form.action() {
        "PutRolePolicy" => {
            let (name, text) = (form.policy_name()?, form.needed("PolicyDocument")?);
            world.iam.put_inline(account, role()?, name, text).map(|()| None)
        }
        "GetRolePolicy" => {
            let name = form.needed("PolicyName")?;
            let found = world.iam.named(account, role()?)?;
            let text = found.record.inline.get(name).ok_or_else(|| {
                let message = format!("The role policy with name {name} cannot be found.");
                Refusal::new(404, "NoSuchEntity", message)
            })?;
            let answer = Element::new("").text("RoleName", found.name()).text("PolicyName", name);
            Ok(Some(answer.text("PolicyDocument", encoded(text))))
        }
        "DeleteRolePolicy" => {
            let name = form.needed("PolicyName")?;
            world.iam.delete_inline(account, role()?, name).map(|()| None)
        }
        "ListRolePolicies" => {
            let names = world.iam.named(account, role()?)?.record.inline.keys();
            let names = names.map(|name| Element::of("member", name));
            Ok(Some(whole().members("PolicyNames", names)))
        }
        _ => policies::run(world, form, account),
    }
}

fn create(world: &mut World, form: &Form, account: &str) -> Answer<Element> {
    let name = form.needed("RoleName")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if name.len() > 64 || !name.bytes().all(fits) {
        let message = "RoleName must have 1 to 64 characters of [A-Za-z0-9+=,.@_-]";
        return Err(Refusal::new(400, "ValidationError", message));
    }
    if form.maybe("Description").is_some_and(|it| it.contains(char::is_control)) {
        let message = "Description must not hold control characters";
        return Err(Refusal::new(400, "ValidationError", message));
    }
    if form.maybe("PermissionsBoundary").is_some() {
        let message = "this emulator does not do permissions boundaries";
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    if world.iam.named(account, name).is_ok() {
        let message = format!("Role with name {name} already exists.");
        return Err(Refusal::new(409, "EntityAlreadyExists", message));
    }
    let session_s = seconds(form)?;
    let path = form.path()?;
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    let mut role =
        Role { arn, trust: Vec::new(), statements: Vec::new(), record: Record::default() };
    role.set_trust(account, form.needed("AssumeRolePolicyDocument")?)?;
    role.record.id = new_id(world, "AROA");
    role.record.created = world.now();
    role.record.path = path;
    role.record.description = form.maybe("Description").map(str::to_owned);
    role.record.session_s = session_s;
    role.record.tags = form.tags();
    let answer = Element::new("").with(element(&role));
    world.iam.put(role);
    Ok(answer)
}

/// `MaxSessionDuration`, in seconds.
fn seconds(form: &Form) -> Answer<Option<u64>> {
    let Some(given) = form.maybe("MaxSessionDuration") else { return Ok(None) };
    match given.parse().ok().filter(|it| (SESSION_S..=SESSION_MAX_S).contains(it)) {
        Some(seconds) => Ok(Some(seconds)),
        None => {
            let message = "MaxSessionDuration must be between 3600 and 43200";
            Err(Refusal::new(400, "ValidationError", message))
        }
    }
}

fn delete(world: &mut World, form: &Form, account: &str) -> Result {
    let role = world.iam.named(account, form.needed("RoleName")?)?;
    if !role.record.inline.is_empty() || !role.record.attached.is_empty() {
        let message = "Cannot delete entity, must delete policies first.";
        return Err(Refusal::new(409, "DeleteConflict", message));
    }
    let arn = role.arn.clone();
    world.iam.delete(&arn);
    Ok(None)
}

fn path_of(role: &Role) -> &str {
    if role.record.path.is_empty() { "/" } else { &role.record.path }
}

fn element(role: &Role) -> Element {
    let record = &role.record;
    let told = Element::new("Role")
        .text("Path", path_of(role))
        .text("RoleName", role.name())
        .text("RoleId", &record.id)
        .text("Arn", &role.arn)
        .text("CreateDate", iso_seconds(record.created))
        .text("AssumeRolePolicyDocument", encoded(&record.trust_document))
        .maybe("Description", record.description.as_ref())
        .text("MaxSessionDuration", record.session_s.unwrap_or(SESSION_S));
    if record.tags.is_empty() { told } else { told.members("Tags", tag_elements(&record.tags)) }
}
