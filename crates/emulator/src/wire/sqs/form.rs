//! SQS's older wire, the query protocol: a form in, XML out. Clients from before the end of 2023 speak it, and
//! those of languages whose SDK is not kept up. A form is read into what the JSON protocol would have said, and
//! the answer is printed from it (SQS Developer Guide: making Query API requests).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use crate::wire::message::set;
use crate::wire::query::Form;
use crate::wire::xml::Element;
use crate::world::Refusal;

/// The version of the API, which names the service in this protocol.
pub(in crate::wire) const VERSION: &str = "2012-11-05";
const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// The most entries of a list that are read: more than any call may have.
const LIST_MAX: usize = 100;

/// Whoever looks for a request finds its id in the headers.
const REQUEST_ID: &str = "00000000-0000-4000-a000-000000000000";

/// Operations that answer nothing but that they were done.
const SILENT: [&str; 7] = [
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// A list of pairs in a form, as a map of the JSON protocol: what the entries are called, what the map is
/// called, and the names of the two halves.
const MAPS: [(&str, &str, &str, &str); 3] = [
    ("Attribute", "Attributes", "Name", "Value"),
    ("MessageAttribute", "MessageAttributes", "Name", "Value"),
    ("Tag", "Tags", "Key", "Value"),
];

/// Lists of texts, likewise.
const LISTS: [(&str, &str); 4] = [
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
];

/// Reads a form; `path` is that of the request, which is the queue's where the form does not name it.
pub(super) fn input(form: &Form, path: &str) -> Value {
    let pairs: Vec<(&str, &str)> = form.pairs().collect();
    let mut input = object(&pairs);
    // CreateQueue alone writes it so in JSON.
    if let (true, Some(tags)) = (form.action() == "CreateQueue", input.remove("Tags")) {
        input.insert("tags".to_owned(), tags);
    }
    if !input.contains_key("QueueUrl") && path.len() > 1 {
        input.insert("QueueUrl".to_owned(), path.into());
    }
    input.into()
}

fn object(pairs: &[(&str, &str)]) -> Map<String, Value> {
    let mut made = Map::new();
    for (name, value) in pairs.iter().filter(|(name, _)| !name.contains('.')) {
        made.insert((*name).to_owned(), (*value).into());
    }
    for (name, whole, key, value) in MAPS {
        let entries = entries(pairs, name);
        if entries.is_empty() {
            continue;
        }
        let pair = |entry: &Vec<(&str, &str)>| {
            let name = entry.iter().find(|(name, _)| *name == key)?.1.to_owned();
            let plain = entry.iter().find(|(name, _)| *name == value);
            let nested = || {
                let within = entry.iter().filter_map(|(name, text)| {
                    Some((name.strip_prefix(value)?.strip_prefix('.')?, *text))
                });
                Value::Object(object_of(within))
            };
            Some((name, plain.map_or_else(nested, |(_, text)| (*text).into())))
        };
        made.insert(whole.to_owned(), Value::Object(entries.iter().filter_map(pair).collect()));
    }
    for (name, whole) in LISTS {
        let entries = entries(pairs, name);
        let alone = pairs.iter().filter(|(it, _)| *it == name);
        let texts = entries.iter().flatten().chain(alone);
        let texts: Vec<Value> = texts.map(|(_, text)| (*text).into()).collect();
        if !texts.is_empty() {
            made.remove(name);
            made.insert(whole.to_owned(), texts.into());
        }
    }
    let of_batch = |(name, _): &(&str, &str)| {
        let name = name.split('.').next().unwrap_or_default();
        name.ends_with("BatchRequestEntry").then(|| name.to_owned())
    };
    if let Some(name) = pairs.iter().find_map(of_batch) {
        let all = entries(pairs, &name);
        let all: Vec<Value> = all.iter().map(|entry| object(entry).into()).collect();
        made.insert("Entries".to_owned(), all.into());
    }
    made
}

fn object_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    pairs.map(|(name, text)| (name.to_owned(), text.into())).collect()
}

/// The entries of the list `name`, in their order: `name.1.REST` or just `name.1`.
fn entries<'a>(pairs: &[(&'a str, &'a str)], name: &str) -> Vec<Vec<(&'a str, &'a str)>> {
    let mut found: BTreeMap<usize, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, text) in pairs {
        let Some(rest) = path.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        let (at, under) = rest.split_once('.').unwrap_or((rest, ""));
        // The oldest clients leave the number out where there is one.
        let (at, under) = match at.parse::<usize>() {
            Ok(at) => (at, under),
            Err(_) => (0, rest),
        };
        if found.len() < LIST_MAX {
            found.entry(at).or_default().push((under, *text));
        }
    }
    found.into_values().collect()
}

/// A good answer.
pub(super) fn answer(action: &str, output: &Value) -> Response<Bytes> {
    let mut response = Element::new(&format!("{action}Response"));
    if !SILENT.contains(&action) {
        let mut result = Element::new(&format!("{action}Result"));
        for (name, value) in output.as_object().into_iter().flatten() {
            result = result.all(elements(action, name, value));
        }
        response = response.with(result);
    }
    let metadata = Element::new("ResponseMetadata").text("RequestId", REQUEST_ID);
    respond(200, &response.with(metadata))
}

/// An error.
pub(in crate::wire) fn refused(refusal: &Refusal) -> Response<Bytes> {
    let error = Element::new("Error")
        .text("Type", if refusal.status < 500 { "Sender" } else { "Receiver" })
        .text("Code", &refusal.code)
        .text("Message", &refusal.message)
        .text("Detail", "");
    let document = Element::new("ErrorResponse").with(error).text("RequestId", REQUEST_ID);
    respond(refusal.status, &document)
}

fn respond(status: u16, document: &Element) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(document.document(NAMESPACE)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut response, "content-type", "text/xml");
    response
}

/// A member of an answer as elements; lists and maps lie flat.
fn elements(action: &str, name: &str, value: &Value) -> Vec<Element> {
    let each = |name: &str| {
        let items = value.as_array().into_iter().flatten();
        items.map(|item| element(action, name, item)).collect()
    };
    match name {
        "Messages" => each("Message"),
        "QueueUrls" | "queueUrls" => each("QueueUrl"),
        "Successful" => each(&format!("{action}ResultEntry")),
        "Failed" => each("BatchResultErrorEntry"),
        "Results" => each(&format!("{action}ResultEntry")),
        _ => match MAPS.iter().find(|(_, whole, ..)| *whole == name) {
            Some((one, _, key, half)) => {
                let pairs = value.as_object().into_iter().flatten();
                let pair = |(name, value)| {
                    let entry = Element::new(one).text(key, name);
                    entry.with(element(action, half, value))
                };
                pairs.map(pair).collect()
            }
            None => vec![element(action, name, value)],
        },
    }
}

fn element(action: &str, name: &str, value: &Value) -> Element {
    match value {
        Value::Object(fields) => {
            fields.iter().fold(Element::new(name), |element, (name, value)| {
                element.all(elements(action, name, value))
            })
        }
        Value::String(text) => Element::of(name, text),
        other => Element::of(name, other),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(form: &str, path: &str) -> Value {
        input(&Form::parse(form).unwrap(), path)
    }

    #[test]
    fn a_form_says_what_the_json_protocol_says() {
        let made = read(
            "Action=CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&\
             Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=9&Tag.1.Key=a&Tag.1.Value=b",
            "/",
        );
        assert_eq!(made["Attributes"], json!({"DelaySeconds": "5", "VisibilityTimeout": "9"}));
        assert_eq!((&made["tags"], &made["QueueName"]), (&json!({"a": "b"}), &json!("q")));
        let sent = read(
            "Action=SendMessageBatch&SendMessageBatchRequestEntry.2.Id=y&\
             SendMessageBatchRequestEntry.2.MessageBody=b%2B+c&SendMessageBatchRequestEntry.1.Id=x&\
             SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n&\
             SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String&\
             SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v",
            "/111122223333/q",
        );
        let attributes = json!({"n": {"DataType": "String", "StringValue": "v"}});
        let entries = json!([
            {"Id": "x", "MessageAttributes": attributes},
            {"Id": "y", "MessageBody": "b+ c"},
        ]);
        assert_eq!(sent["Entries"], entries);
        assert_eq!(sent["QueueUrl"], "/111122223333/q", "the path names the queue");
        let asked = read("Action=GetQueueAttributes&AttributeName.1=All&QueueUrl=u", "/x");
        assert_eq!((&asked["AttributeNames"], &asked["QueueUrl"]), (&json!(["All"]), &json!("u")));
    }

    #[test]
    fn an_answer_lies_flat() {
        let message = json!({
            "MessageId": "i",
            "Body": "<b>",
            "Attributes": {"SentTimestamp": "1"},
            "MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}},
        });
        let printed = |action, output| {
            let body = answer(action, &output).into_body();
            String::from_utf8(body.to_vec()).unwrap()
        };
        let read = Element::parse(&printed("ReceiveMessage", json!({ "Messages": [message] })));
        let read = read.unwrap();
        let message = read.child("ReceiveMessageResult").and_then(|it| it.child("Message"));
        let message = message.unwrap();
        assert_eq!(message.text_of("Body").as_deref(), Some("<b>"));
        let system = message.child("Attribute").unwrap();
        assert_eq!(system.text_of("Value").as_deref(), Some("1"));
        let own = message.child("MessageAttribute").and_then(|it| it.child("Value")).unwrap();
        assert_eq!(own.text_of("StringValue").as_deref(), Some("v"));
        let silent = printed("DeleteMessage", json!({}));
        assert!(!silent.contains("Result") && silent.contains("<RequestId>"), "{silent}");
    }
}
