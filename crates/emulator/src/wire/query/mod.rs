//! The AWS query protocol, as IAM and STS speak it: a form in, XML out. Roles, their policies and their
//! sessions; what else these services do answers `NotImplemented`.

mod policies;
mod roles;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::caller::Caller;
use super::message::set;
use super::operation::header;
use super::sqs;
use super::xml::Element;
use crate::world::fault::Service;
use crate::world::iam::Session;
use crate::world::notification::stamp::iso_seconds;
use crate::world::{Answer, Refusal, World, access, trail};

/// The most tags of a role or a policy (IAM User Guide: quotas).
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
        Self::parse(text)
    }

    /// Reads the text of a form; `None` if it names no `Action`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let form = Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect());
        form.0.contains_key("Action").then_some(form)
    }

    /// All parameters.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
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
            sqs::form::VERSION => Some(Service::Sqs),
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

    /// `NAME.member.1` and so on.
    fn members(&self, name: &str) -> Vec<&str> {
        let member = |at: usize| self.0.get(&format!("{name}.member.{at}")).map(String::as_str);
        (1..=TAGS_MAX).map_while(member).collect()
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
        _ => roles::run(world, &form, caller),
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

/// The ARN and the id of who sends a request.
pub(super) fn identity(world: &World, caller: &Caller) -> (String, String) {
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

/// Documents travel percent-encoded in this protocol.
fn encoded(document: &str) -> String {
    percent_encoding::utf8_percent_encode(document, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn missing(operation: &str) -> Refusal {
    Refusal::new(501, "NotImplemented", format!("this emulator does not do {operation}"))
}

/// A new id of something in IAM, which begins with its kind.
fn new_id(world: &mut World, kind: &str) -> String {
    format!("{kind}{}", world.rng.token(17).to_uppercase().replace(['.', '_'], "7"))
}

/// Tags as a list.
fn tag_elements(tags: &BTreeMap<String, String>) -> impl Iterator<Item = Element> {
    tags.iter().map(|(key, value)| Element::new("").text("Key", key).text("Value", value))
}

/// A list that is told whole.
fn whole() -> Element {
    Element::new("").text("IsTruncated", false)
}
