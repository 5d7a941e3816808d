//! The AWS query protocol, as IAM and STS speak it: a form in, XML out. Roles, their policies and their
//! sessions; what else these services do answers `NotImplemented`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::caller::Caller;
use super::message::set;
use super::operation::header;
use super::xml::Element;
use crate::world::fault::Service;
use crate::world::iam::{Record, Role, Session};
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Answer, Refusal, World, access, trail};

/// The most tags of a role (IAM User Guide: quotas).
const TAGS_MAX: usize = 50;

const IAM: (&str, &str) = ("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/");
const STS: (&str, &str) = ("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/");

/// A request's parameters.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// The parameters in the body, or in the query; `None` if the request is not of this protocol.
    pub(super) fn of(request: &Request<Bytes>) -> Option<Self> {
        let kind = header(request.headers(), "content-type").unwrap_or_default();
        let body = std::str::from_utf8(request.body()).ok()?;
        let query = request.uri().query().unwrap_or_default();
        let text = match kind.starts_with("application/x-www-form-urlencoded") {
            true if !body.is_empty() => body,
            _ => query,
        };
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let form = Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect());
        form.0.contains_key("Action").then_some(form)
    }

    /// The operation.
    pub(super) fn action(&self) -> &str {
        self.text("Action")
    }

    /// The service, told from the version of its API.
    pub(super) fn service(&self) -> Option<Service> {
        match self.text("Version") {
            version if version == IAM.0 => Some(Service::Iam),
            version if version == STS.0 => Some(Service::Sts),
            // Some service must say that it does not know it.
            _ => Some(Service::Iam),
        }
    }

    /// A parameter.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn needed(&self, name: &str) -> Answer<&str> {
        match self.text(name) {
            "" => {
                let message = format!("The request must contain the parameter {name}.");
                Err(Refusal::new(400, "ValidationError", message))
            }
            text => Ok(text),
        }
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// `Path`: `/`, or more between slashes.
    fn path(&self) -> Answer<String> {
        let path = self.maybe("Path").unwrap_or("/");
        let graphic = path.bytes().all(|byte| byte.is_ascii_graphic());
        if path.starts_with('/') && path.ends_with('/') && graphic && path.len() <= 512 {
            return Ok(path.to_owned());
        }
        let message = "Path must begin and end with / and hold no more than 512 characters";
        Err(Refusal::new(400, "ValidationError", message))
    }

    /// The name of a policy.
    fn policy_name(&self) -> Answer<&str> {
        let name = self.needed("PolicyName")?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if name.len() <= 128 && name.bytes().all(fits) {
            return Ok(name);
        }
        let message = "PolicyName must have 1 to 128 characters of [A-Za-z0-9+=,.@_-]";
        Err(Refusal::new(400, "ValidationError", message))
    }

    /// `Tags.member.1.Key` and so on.
    fn tags(&self) -> BTreeMap<String, String> {
        let pair = |at: usize| {
            let key = self.0.get(&format!("Tags.member.{at}.Key"))?;
            let value = self.0.get(&format!("Tags.member.{at}.Value"))?;
            Some((key.clone(), value.clone()))
        };
        (1..=TAGS_MAX).map_while(pair).collect()
    }
}

/// Answers one request.
pub(super) fn handle(
    world: &mut World,
    request: &Request<Bytes>,
    service: Service,
    caller: &Caller,
) -> Response<Bytes> {
    let namespace = if service == Service::Sts { STS.1 } else { IAM.1 };
    let id = request_id(world);
    let form = Form::of(request).unwrap_or(Form(BTreeMap::new()));
    let answered = match service {
        Service::Sts => sts(world, &form, caller),
        _ => iam(world, &form, caller),
    };
    let action = form.action();
    if service == Service::Iam && answered.is_ok() {
        let of = |name| form.maybe(name);
        let parameters = [
            ("roleName", of("RoleName")),
            ("policyName", of("PolicyName")),
            ("policyArn", of("PolicyArn")),
        ];
        trail::changed(world, "iam", action, &parameters);
    }
    let (status, document) = match answered {
        Ok(result) => {
            let metadata = Element::new("ResponseMetadata").text("RequestId", &id);
            let mut response = Element::new(&format!("{action}Response"));
            if let Some(result) = result {
                let name = format!("{action}Result");
                response = response.with(Element { name, ..result });
            }
            (200, response.with(metadata))
        }
        Err(refusal) => {
            let error = Element::new("Error")
                .text("Type", if refusal.status < 500 { "Sender" } else { "Receiver" })
                .text("Code", &refusal.code)
                .text("Message", &refusal.message);
            (refusal.status, Element::new("ErrorResponse").with(error).text("RequestId", &id))
        }
    };
    let mut response = Response::new(Bytes::from(document.document(namespace)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut response, "content-type", "text/xml");
    response
}

/// Not the world's chance: how often a client asks must not change what happens.
fn request_id(world: &World) -> String {
    format!("{:08x}-0000-4000-a000-000000000000", world.now() & 0xffff_ffff)
}

/// What an operation answers with; `None` where there is nothing but the metadata.
type Result = Answer<Option<Element>>;

fn sts(world: &mut World, form: &Form, caller: &Caller) -> Result {
    match form.action() {
        "GetCallerIdentity" => {
            let (arn, id) = identity(world, caller);
            Ok(Some(
                Element::new("")
                    .text("Arn", arn)
                    .text("UserId", id)
                    .text("Account", &caller.account),
            ))
        }
        "AssumeRole" => assume(world, form, caller).map(Some),
        other => Err(missing(other)),
    }
}

fn identity(world: &World, caller: &Caller) -> (String, String) {
    let account = &caller.account;
    match world.iam.session(&caller.key) {
        Some(session) => {
            let role = world.iam.role(&session.role);
            let name = session.role.rsplit('/').next().unwrap_or_default();
            let id = role.map_or("AROA", |role| role.record.id.as_str());
            let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{}", session.name);
            (arn, format!("{id}:{}", session.name))
        }
        None => (format!("arn:aws:iam::{account}:root"), account.clone()),
    }
}

/// A session lasts as long as the world does; the end that is told is an hour away.
fn assume(world: &mut World, form: &Form, caller: &Caller) -> Answer<Element> {
    let (arn, name) = (form.needed("RoleArn")?, form.needed("RoleSessionName")?);
    let me = caller.role.clone().unwrap_or_else(|| format!("arn:aws:iam::{}:root", caller.account));
    let trusted = world.iam.role(arn).is_some_and(|role| {
        let account = caller.account.as_str();
        let root = format!("arn:aws:iam::{account}:root");
        role.trust.iter().any(|it| it == "*" || it == account || *it == root || *it == me)
    });
    if !trusted {
        let message =
            format!("User: {me} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    let key = format!("ASIA{}", world.rng.token(16).to_uppercase().replace(['.', '_'], "7"));
    let secret = world.rng.token(40);
    let session = Session { role: arn.to_owned(), name: name.to_owned(), secret: secret.clone() };
    let credentials = Element::new("Credentials")
        .text("AccessKeyId", &key)
        .text("SecretAccessKey", &secret)
        .text("SessionToken", world.rng.token(64))
        .text("Expiration", iso_seconds(world.now() + 3_600_000));
    world.iam.open_session(key.clone(), session);
    let account = access::account_of(arn).to_owned();
    let as_caller = Caller { account, role: Some(arn.to_owned()), key };
    let (session_arn, id) = identity(world, &as_caller);
    let user = Element::new("AssumedRoleUser").text("AssumedRoleId", id).text("Arn", session_arn);
    Ok(Element::new("").with(credentials).with(user))
}

fn iam(world: &mut World, form: &Form, caller: &Caller) -> Result {
    let account = caller.account.as_str();
    if form.text("Version") != IAM.0 {
        let (action, version) = (form.action(), form.text("Version"));
        let message = format!("Could not find operation {action} for version {version}");
        return Err(Refusal::new(400, "InvalidAction", message));
    }
    match form.action() {
        "CreateRole" => create_role(world, form, account).map(Some),
        "GetRole" => {
            let role = world.iam.named(account, form.needed("RoleName")?)?;
            Ok(Some(Element::new("").with(role_element(role))))
        }
        "ListRoles" => {
            let ours = |role: &&Role| role.arn.split(':').nth(4) == Some(account);
            let roles = world.iam.roles().filter(ours).map(role_element);
            Ok(Some(Element::new("").text("IsTruncated", false).members("Roles", roles)))
        }
        "DeleteRole" => delete_role(world, form, account),
        "UpdateAssumeRolePolicy" => {
            let document = form.needed("PolicyDocument")?;
            let role = world.iam.named(account, form.needed("RoleName")?)?;
            role.set_trust(account, document).map(|()| None)
        }
        "TagRole" => {
            let tags = form.tags();
            world.iam.named(account, form.needed("RoleName")?)?.record.tags.extend(tags);
            Ok(None)
        }
        _ => inline_policies(world, form, account),
    }
}

fn inline_policies(world: &mut World, form: &Form, account: &str) -> Result {
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
            let answer = Element::new("").text("IsTruncated", false);
            Ok(Some(answer.members("PolicyNames", names)))
        }
        _ => managed_policies(world, form, account),
    }
}

fn managed_policies(world: &mut World, form: &Form, account: &str) -> Result {
    let role = || form.needed("RoleName");
    if let Some(arn) = form.maybe("PolicyArn") {
        let owner = access::account_of(arn);
        if owner != account && owner != "aws" {
            let message = format!("Policy {arn} was not found.");
            return Err(Refusal::new(404, "NoSuchEntity", message));
        }
    }
    match form.action() {
        "CreatePolicy" => {
            let (name, text) = (form.policy_name()?, form.needed("PolicyDocument")?);
            let path = form.path()?;
            let arn = format!("arn:aws:iam::{account}:policy{path}{name}");
            world.iam.create_policy(&arn, text)?;
            Ok(Some(Element::new("").with(policy_element("Policy", &arn))))
        }
        "GetPolicy" => {
            let arn = form.needed("PolicyArn")?;
            world.iam.policy(arn)?;
            Ok(Some(Element::new("").with(policy_element("Policy", arn))))
        }
        "GetPolicyVersion" => {
            let text = world.iam.policy(form.needed("PolicyArn")?)?;
            let version = Element::new("PolicyVersion")
                .text("Document", encoded(&text))
                .text("VersionId", "v1")
                .text("IsDefaultVersion", true);
            Ok(Some(Element::new("").with(version)))
        }
        "ListPolicies" => {
            let ours = world.iam.policies().filter(|arn| access::account_of(arn) == account);
            let policies = ours.map(|arn| policy_element("member", arn));
            Ok(Some(Element::new("").text("IsTruncated", false).members("Policies", policies)))
        }
        "DeletePolicy" => world.iam.delete_policy(form.needed("PolicyArn")?).map(|()| None),
        "AttachRolePolicy" => {
            let arn = form.needed("PolicyArn")?;
            world.iam.attach_policy(account, role()?, arn).map(|()| None)
        }
        "DetachRolePolicy" => {
            let arn = form.needed("PolicyArn")?;
            world.iam.detach_policy(account, role()?, arn).map(|()| None)
        }
        "ListAttachedRolePolicies" => {
            let attached = &world.iam.named(account, role()?)?.record.attached;
            let attached = attached.iter().map(|arn| {
                let name = arn.rsplit('/').next().unwrap_or_default();
                Element::new("").text("PolicyName", name).text("PolicyArn", arn)
            });
            let answer = Element::new("").text("IsTruncated", false);
            Ok(Some(answer.members("AttachedPolicies", attached)))
        }
        other => Err(missing(other)),
    }
}

fn create_role(world: &mut World, form: &Form, account: &str) -> Answer<Element> {
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
    if world.iam.named(account, name).is_ok() {
        let message = format!("Role with name {name} already exists.");
        return Err(Refusal::new(409, "EntityAlreadyExists", message));
    }
    let path = form.path()?;
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    let mut role =
        Role { arn, trust: Vec::new(), statements: Vec::new(), record: Record::default() };
    role.set_trust(account, form.needed("AssumeRolePolicyDocument")?)?;
    role.record.id = format!("AROA{}", world.rng.token(17).to_uppercase().replace(['.', '_'], "7"));
    role.record.created = world.now();
    role.record.path = path;
    role.record.description = form.maybe("Description").map(str::to_owned);
    role.record.tags = form.tags();
    let answer = Element::new("").with(role_element(&role));
    world.iam.put(role);
    Ok(answer)
}

fn delete_role(world: &mut World, form: &Form, account: &str) -> Result {
    let role = world.iam.named(account, form.needed("RoleName")?)?;
    if !role.record.inline.is_empty() || !role.record.attached.is_empty() {
        let message = "Cannot delete entity, must delete policies first.";
        return Err(Refusal::new(409, "DeleteConflict", message));
    }
    let arn = role.arn.clone();
    world.iam.delete(&arn);
    Ok(None)
}

fn role_element(role: &Role) -> Element {
    let record = &role.record;
    let tags = record
        .tags
        .iter()
        .map(|(key, value)| Element::new("").text("Key", key).text("Value", value));
    let told = Element::new("Role")
        .text("Path", if record.path.is_empty() { "/" } else { &record.path })
        .text("RoleName", role.name())
        .text("RoleId", &record.id)
        .text("Arn", &role.arn)
        .text("CreateDate", iso_seconds(record.created))
        .text("AssumeRolePolicyDocument", encoded(&record.trust_document))
        .maybe("Description", record.description.as_ref())
        .text("MaxSessionDuration", 3_600);
    if record.tags.is_empty() { told } else { told.members("Tags", tags) }
}

fn policy_element(name: &str, arn: &str) -> Element {
    Element::new(name)
        .text("PolicyName", arn.rsplit('/').next().unwrap_or_default())
        .text("Arn", arn)
        .text("DefaultVersionId", "v1")
}

/// Documents travel percent-encoded in this protocol.
fn encoded(document: &str) -> String {
    percent_encoding::utf8_percent_encode(document, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn missing(operation: &str) -> Refusal {
    Refusal::new(501, "NotImplemented", format!("this emulator does not do {operation}"))
}
