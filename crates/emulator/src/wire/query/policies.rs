//! IAM: managed policies and their versions, and which roles have them.

use super::{Form, Result, encoded, missing, new_id, tag_elements, whole};
use crate::wire::xml::Element;
use crate::world::iam::{Managed, managed};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Answer, Refusal, World, access};

pub(super) fn run(world: &mut World, form: &Form, account: &str) -> Result {
    let role = || form.needed("RoleName");
    let arn = || form.needed("PolicyArn");
    if let Some(arn) = form.maybe("PolicyArn") {
        let owner = access::account_of(arn);
        if owner != account && owner != "aws" {
            let message = format!("Policy {arn} was not found.");
            return Err(Refusal::new(404, "NoSuchEntity", message));
        }
    }
    match form.action() {
        "CreatePolicy" => create(world, form, account).map(Some),
        "GetPolicy" => Ok(Some(Element::new("").with(element(world, "Policy", arn()?)?))),
        "ListPolicies" => {
            let ours = world.iam.policies().filter(|arn| access::account_of(arn) == account);
            let told: Answer<Vec<_>> = ours.map(|arn| element(world, "member", arn)).collect();
            Ok(Some(whole().members("Policies", told?)))
        }
        "DeletePolicy" => world.iam.delete_policy(arn()?).map(|()| None),
        "TagPolicy" => {
            let tags = form.tags();
            world.iam.policy_mut(arn()?)?.tags.extend(tags);
            Ok(None)
        }
        "UntagPolicy" => {
            let names = form.members("TagKeys");
            let tags = &mut world.iam.policy_mut(arn()?)?.tags;
            tags.retain(|name, _| !names.contains(&name.as_str()));
            Ok(None)
        }
        "ListPolicyTags" => {
            let tags = world.iam.policy(arn()?)?.tags;
            Ok(Some(whole().members("Tags", tag_elements(&tags))))
        }
        "AttachRolePolicy" => world.iam.attach_policy(account, role()?, arn()?).map(|()| None),
        "DetachRolePolicy" => world.iam.detach_policy(account, role()?, arn()?).map(|()| None),
        "ListAttachedRolePolicies" => {
            let attached = &world.iam.named(account, role()?)?.record.attached;
            let attached = attached.iter().map(|arn| {
                Element::new("").text("PolicyName", name_of(arn)).text("PolicyArn", arn)
            });
            Ok(Some(whole().members("AttachedPolicies", attached)))
        }
        "ListEntitiesForPolicy" => {
            let arn = arn()?;
            world.iam.policy(arn)?;
            let roles = world.iam.bearers(arn).map(|role| {
                Element::new("").text("RoleName", role.name()).text("RoleId", &role.record.id)
            });
            let none = |name| Element::new(name);
            let told = whole().with(none("PolicyGroups")).with(none("PolicyUsers"));
            Ok(Some(told.members("PolicyRoles", roles)))
        }
        _ => versions(world, form),
    }
}

fn versions(world: &mut World, form: &Form) -> Result {
    let arn = || form.needed("PolicyArn");
    match form.action() {
        "CreatePolicyVersion" => {
            let counts = form.maybe("SetAsDefault") == Some("true");
            let (document, now) = (form.needed("PolicyDocument")?, world.now());
            let version = world.iam.add_version(arn()?, document, counts, now)?;
            let policy = world.iam.policy(arn()?)?;
            let told = version_element("PolicyVersion", &policy, version, false);
            Ok(Some(Element::new("").with(told)))
        }
        "GetPolicyVersion" => {
            let (policy, version) = (world.iam.policy(arn()?)?, version_of(form)?);
            if !policy.versions.contains_key(&version) {
                return Err(managed::no_version(arn()?, version));
            }
            let told = version_element("PolicyVersion", &policy, version, true);
            Ok(Some(Element::new("").with(told)))
        }
        "ListPolicyVersions" => {
            let policy = world.iam.policy(arn()?)?;
            let newest_first = policy.versions.keys().rev();
            let told = newest_first.map(|it| version_element("member", &policy, *it, false));
            Ok(Some(whole().members("Versions", told)))
        }
        "DeletePolicyVersion" => world.iam.delete_version(arn()?, version_of(form)?).map(|()| None),
        "SetDefaultPolicyVersion" => {
            world.iam.set_default(arn()?, version_of(form)?).map(|()| None)
        }
        other => Err(missing(other)),
    }
}

/// `VersionId`: `v` and a number.
fn version_of(form: &Form) -> Answer<u32> {
    let given = form.needed("VersionId")?;
    given.strip_prefix('v').and_then(|number| number.parse().ok()).ok_or_else(|| {
        let message = "VersionId must satisfy the pattern v[1-9][0-9]*";
        Refusal::new(400, "ValidationError", message)
    })
}

fn create(world: &mut World, form: &Form, account: &str) -> Answer<Element> {
    let (name, document) = (form.policy_name()?, form.needed("PolicyDocument")?);
    let arn = format!("arn:aws:iam::{account}:policy{}{name}", form.path()?);
    let mut policy = Managed::new(document, world.now());
    (policy.description, policy.tags) = (form.value("Description"), form.tags());
    world.iam.create_policy(&arn, policy)?;
    let id = new_id(world, "ANPA");
    world.iam.policy_mut(&arn)?.id = id;
    Ok(Element::new("").with(element(world, "Policy", &arn)?))
}

fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

fn element(world: &World, name: &str, arn: &str) -> Answer<Element> {
    let policy = world.iam.policy(arn)?;
    let path = arn.split_once(":policy").and_then(|(_, path)| path.strip_suffix(name_of(arn)));
    let (made, changed) = policy.dates();
    let told = Element::new(name)
        .text("PolicyName", name_of(arn))
        .text("PolicyId", &policy.id)
        .text("Arn", arn)
        .text("Path", path.unwrap_or("/"))
        .text("DefaultVersionId", format!("v{}", policy.default))
        .text("AttachmentCount", world.iam.bearers(arn).count())
        .text("PermissionsBoundaryUsageCount", 0)
        .text("IsAttachable", true)
        .maybe("Description", policy.description.as_ref())
        .text("CreateDate", iso_seconds(made))
        .text("UpdateDate", iso_seconds(changed));
    let tagged = !policy.tags.is_empty();
    Ok(if tagged { told.members("Tags", tag_elements(&policy.tags)) } else { told })
}

fn version_element(name: &str, policy: &Managed, version: u32, whole: bool) -> Element {
    let found = policy.versions.get(&version);
    let document = found.filter(|_| whole).map(|(document, _)| encoded(document));
    Element::new(name)
        .maybe("Document", document)
        .text("VersionId", format!("v{version}"))
        .text("IsDefaultVersion", version == policy.default)
        .maybe("CreateDate", found.map(|(_, at)| iso_seconds(*at)))
}
