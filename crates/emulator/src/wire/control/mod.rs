//! S3 Control, as far as batch jobs need it: CreateJob, DescribeJob, ListJobs, UpdateJobStatus,
//! UpdateJobPriority and the tagging of jobs; and the tags of buckets. Every other operation answers
//! `NotImplemented`.

mod operation;
mod read;
mod tags;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;

use super::authorize::{may_pass, may_tag};
use super::caller::Caller;
use super::xml::Element;
use crate::world::{Answer, Refusal, World, jobs};

const ROOT: &str = "/v20180820/jobs";
const TAGS: &str = "/v20180820/tags/";
const NAMESPACE: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";

/// Answers one request.
pub(crate) fn handle(
    world: &mut World,
    request: &Request<Bytes>,
    caller: &Caller,
) -> Response<Bytes> {
    let (status, document) = match dispatch(world, request, caller) {
        Ok(Some(answer)) => (200, Some(answer)),
        Ok(None) => (204, None),
        Err(refusal) => (refusal.status, Some(error(&refusal))),
    };
    let body =
        document.map(|document| Bytes::from(document.document(NAMESPACE))).unwrap_or_default();
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    response
}

/// The operation that a request asks for, by its name in the API; `None` if it is not emulated.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static str> {
    if path.starts_with(TAGS) {
        return Some(match *method {
            Method::GET => "ListTagsForResource",
            Method::POST => "TagResource",
            Method::DELETE => "UntagResource",
            _ => return None,
        });
    }
    let parts: Vec<&str> =
        path.strip_prefix(ROOT)?.split('/').filter(|it| !it.is_empty()).collect();
    Some(match (method.as_str(), parts.as_slice()) {
        ("POST", []) => "CreateJob",
        ("GET", []) => "ListJobs",
        ("GET", [_]) => "DescribeJob",
        ("POST", [_, "status"]) => "UpdateJobStatus",
        ("POST", [_, "priority"]) => "UpdateJobPriority",
        ("GET", [_, "tagging"]) => "GetJobTagging",
        ("PUT", [_, "tagging"]) => "PutJobTagging",
        ("DELETE", [_, "tagging"]) => "DeleteJobTagging",
        _ => return None,
    })
}

fn dispatch(
    world: &mut World,
    request: &Request<Bytes>,
    caller: &Caller,
) -> Answer<Option<Element>> {
    check_account(world, request, caller)?;
    let path = request.uri().path();
    let query = Query::of(request.uri().query().unwrap_or_default());
    let rest = path.strip_prefix(ROOT).unwrap_or_default();
    let id = rest.split('/').find(|part| !part.is_empty()).map(decoded).unwrap_or_default();
    let body = || std::str::from_utf8(request.body()).map_err(|_| bad("The body is not UTF-8"));
    match operation(request.method(), path) {
        Some("CreateJob") => {
            let asked = read::create_job(body()?)?;
            may_pass(world, caller, &asked.role)?;
            if !asked.tags.is_empty() {
                may_tag(world, caller)?;
            }
            let id = jobs::create(world, asked)?;
            Ok(Some(Element::new("CreateJobResult").text("JobId", id)))
        }
        Some("ListJobs") => list(world, &query).map(Some),
        Some("DescribeJob") => jobs::describe(world, &id).map(|job| Some(write::describe(job))),
        Some("UpdateJobStatus") => update_status(world, &id, &query).map(Some),
        Some("UpdateJobPriority") => {
            let priority =
                query.number("priority")?.ok_or_else(|| bad("priority must be given"))?;
            let priority = jobs::update_priority(world, &id, priority)?;
            let answer = Element::new("UpdateJobPriorityResult").text("JobId", id);
            Ok(Some(answer.text("Priority", priority)))
        }
        Some("GetJobTagging") => jobs::tags(world, &id).map(|tags| Some(write::tags(tags))),
        Some("PutJobTagging") => {
            let root = Element::parse(body()?)
                .ok_or_else(|| bad("The body is no PutJobTaggingRequest"))?;
            jobs::put_tags(world, &id, &read::read_tags(&root)?)?;
            Ok(Some(Element::new("PutJobTaggingResult")))
        }
        Some("DeleteJobTagging") => {
            jobs::delete_tags(world, &id).map(|()| Some(Element::new("DeleteJobTaggingResult")))
        }
        Some("ListTagsForResource") => tags::list(world, &arn_of(path)).map(Some),
        Some("TagResource") => tags::add(world, &arn_of(path), body()?).map(|()| None),
        Some("UntagResource") => tags::remove(world, &arn_of(path), &query).map(|()| None),
        _ => {
            let message = format!("this emulator does not do {} {path}", request.method());
            Err(Refusal::new(501, "NotImplemented", message))
        }
    }
}

/// The resource that a path under [`TAGS`] is about.
fn arn_of(path: &str) -> String {
    decoded(path.strip_prefix(TAGS).unwrap_or_default())
}

/// The account in the header, or before the host; jobs are those of the account itself.
fn check_account(world: &World, request: &Request<Bytes>, caller: &Caller) -> Answer<()> {
    let asked = request.headers().get("x-amz-account-id");
    let other = asked.is_some_and(|asked| asked.as_bytes() != world.config.account.as_bytes());
    if other || caller.account != world.config.account {
        return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
    }
    Ok(())
}

fn list(world: &mut World, query: &Query) -> Answer<Element> {
    let statuses: Vec<String> = query.all("jobStatuses").map(str::to_owned).collect();
    let limit = query.number("maxResults");
    let limit = limit.map_err(|it| Refusal::new(400, "InvalidRequestException", it.message))?;
    let page = jobs::list(world, &statuses, query.first("nextToken"), limit)?;
    Ok(write::list(&page))
}

fn update_status(world: &mut World, id: &str, query: &Query) -> Answer<Element> {
    let requested = query.first("requestedJobStatus").unwrap_or_default();
    let reason = query.first("statusUpdateReason");
    if reason.is_some_and(|reason| !(1..=256).contains(&reason.chars().count())) {
        return Err(bad("statusUpdateReason must have 1 to 256 characters"));
    }
    let job = jobs::update_status(world, id, requested, reason)?;
    Ok(Element::new("UpdateJobStatusResult")
        .text("JobId", &job.id)
        .text("Status", job.status.name())
        .maybe("StatusUpdateReason", job.status_update_reason.as_ref()))
}

fn error(refusal: &Refusal) -> Element {
    let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let error = Element::new("Error")
        .text("Type", kind)
        .text("Code", &refusal.code)
        .text("Message", &refusal.message);
    Element::new("ErrorResponse").with(error)
}

fn bad(message: &str) -> Refusal {
    Refusal::new(400, "BadRequestException", message)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A query string.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(query: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        };
        Self(query.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Answer<Option<T>> {
        let wrong = |_| bad(&format!("{name} must be a number"));
        self.first(name).map(str::parse).transpose().map_err(wrong)
    }
}
