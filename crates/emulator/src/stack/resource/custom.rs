//! Custom resources: what a function is asked, and what it answers (CloudFormation User Guide: custom
//! resource request and response objects).

use serde_json::{Map, Value, json};

use super::Made;
use crate::stack::error::{Done, StackError};
use crate::stack::fields::text_of;

/// What a function is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stack) enum Request {
    Create,
    Update,
    Delete,
}

impl Request {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// The event that the function is given. `ids` are those of stack, request and resource.
pub(in crate::stack) fn payload(
    request: Request,
    (stack, id, logical): (&str, &str, &str),
    url: &str,
    (kind, properties): (&str, &Value),
    old: Option<&Made>,
) -> Value {
    let mut payload = json!({
        "RequestType": request.name(),
        "RequestId": id,
        "ResponseURL": url,
        "ServiceToken": properties.get("ServiceToken"),
        "ResourceType": kind,
        "LogicalResourceId": logical,
        "StackId": stack,
        "ResourceProperties": texts(properties),
    });
    if let (Some(old), Some(payload)) = (old, payload.as_object_mut()) {
        payload.insert("PhysicalResourceId".to_owned(), Value::from(old.physical.as_str()));
        if request == Request::Update {
            payload.insert("OldResourceProperties".to_owned(), texts(&old.properties));
        }
    }
    payload
}

/// CloudFormation hands on every scalar as a text.
fn texts(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(texts).collect(),
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| (name.clone(), texts(value)));
            Value::Object(each.collect::<Map<_, _>>())
        }
        other => text_of(other).map_or(Value::Null, Value::String),
    }
}

/// What a function answered.
#[derive(Debug)]
pub(in crate::stack) struct Answer {
    pub(in crate::stack) physical: String,
    pub(in crate::stack) data: Map<String, Value>,
}

impl Answer {
    /// Reads an answer to the request of these ids.
    ///
    /// # Errors
    /// With the function's own reason where it failed.
    pub(in crate::stack) fn read(
        body: &[u8],
        (stack, id, logical): (&str, &str, &str),
    ) -> Done<Self> {
        let wrong = |what: String| StackError::new(logical, what);
        let answer: Value = serde_json::from_slice(body)
            .map_err(|why| wrong(format!("the function's answer is no JSON: {why}")))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        for (name, expected) in
            [("StackId", stack), ("RequestId", id), ("LogicalResourceId", logical)]
        {
            if text(name) != expected {
                return Err(wrong(format!("the answer has another {name}: {:?}", text(name))));
            }
        }
        match text("Status") {
            "SUCCESS" => {}
            "FAILED" => {
                let reason = text("Reason");
                let what = if reason.is_empty() { "it gave no reason" } else { reason };
                return Err(wrong(format!("the function failed: {what}")));
            }
            other => return Err(wrong(format!("the answer has the status {other:?}"))),
        }
        let physical = text("PhysicalResourceId").to_owned();
        if physical.is_empty() {
            return Err(wrong("the answer has no PhysicalResourceId".to_owned()));
        }
        let data = answer.get("Data").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Self { physical, data })
    }
}
