//! The AWS JSON protocols: the operation in a header, JSON in and out, errors by `__type`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::world::refusal::{Answer, Refusal};

/// One request that was read.
pub(super) struct Call {
    pub(super) operation: String,
    pub(super) input: Value,
}

impl Call {
    /// Reads a request whose target begins with `prefix`.
    pub(super) fn read(request: &http::Request<Bytes>, prefix: &str) -> Answer<Self> {
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        let Some(operation) = target.and_then(|target| target.strip_prefix(prefix)) else {
            return Err(Refusal::new(400, "UnknownOperationException", "no such operation"));
        };
        let body: &[u8] = request.body();
        let input = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
        match input {
            Ok(input) if !Value::is_object(&input) => {
                Err(Refusal::new(400, "SerializationException", "The body must be a JSON object"))
            }
            Ok(input) => Ok(Self { operation: operation.to_owned(), input }),
            Err(why) => Err(Refusal::new(400, "SerializationException", why.to_string())),
        }
    }
}

/// A text field of a document; empty if it is not there.
pub(super) fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a document, which some clients send as text.
pub(super) fn number(input: &Value, name: &str) -> Option<u64> {
    let value = input.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A list of texts; empty if it is not there.
pub(super) fn texts<'a>(input: &'a Value, name: &str) -> Vec<&'a str> {
    let list = input.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// The tags in the list `Tags`, whose halves are called so.
pub(super) fn tags(input: &Value, (key, value): (&str, &str)) -> BTreeMap<String, String> {
    let tags = input.get("Tags").and_then(Value::as_array).into_iter().flatten();
    tags.map(|tag| (text(tag, key).to_owned(), text(tag, value).to_owned())).collect()
}

/// A good answer.
pub(super) fn answer(output: &Value, version: &str) -> http::Response<Bytes> {
    respond(200, output, version, None)
}

/// An error.
pub(super) fn refuse(refusal: &Refusal, version: &str) -> http::Response<Bytes> {
    let body = json!({"__type": shape(&refusal.code), "message": refusal.message});
    respond(refusal.status, &body, version, Some(&refusal.code))
}

/// The name of an error's shape in the service's model, by which clients pick their exception; SQS's
/// code of old may be another.
fn shape(code: &str) -> String {
    match code.strip_prefix("AWS.SimpleQueueService.") {
        Some("NonExistentQueue") => "com.amazonaws.sqs#QueueDoesNotExist".to_owned(),
        Some(name) => format!("com.amazonaws.sqs#{name}"),
        None if code == "QueueAlreadyExists" => "com.amazonaws.sqs#QueueNameExists".to_owned(),
        None => code.to_owned(),
    }
}

fn respond(status: u16, body: &Value, version: &str, code: Option<&str>) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(body.to_string()));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = http::HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    set("content-type", format!("application/x-amz-json-{version}"));
    if let Some(code) = code {
        // Clients that grew up with the Query protocol look for the code here.
        set("x-amzn-query-error", format!("{code};Sender"));
        set("x-amzn-errortype", shape(code));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_name_of_its_shape() {
        for (code, name) in [
            ("AWS.SimpleQueueService.NonExistentQueue", "com.amazonaws.sqs#QueueDoesNotExist"),
            ("AWS.SimpleQueueService.EmptyBatchRequest", "com.amazonaws.sqs#EmptyBatchRequest"),
            ("ValidationException", "ValidationException"),
        ] {
            assert_eq!(shape(code), name);
        }
    }
}
