//! The text of a template as one document: YAML, or JSON, which is YAML too. Short forms of intrinsic
//! functions (`!Sub …`) become their long forms, so that nothing behind this module knows two. It decides
//! nothing, but that a function which nobody here understands is refused where it stands.

use serde_json::{Map, Number, Value};
use yaml_serde::Value as Yaml;

use super::error::{Done, StackError};

/// The intrinsic functions that are resolved (CloudFormation Template Reference: intrinsic functions, rule
/// functions).
const FUNCTIONS: [&str; 15] = [
    "And",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
];

/// Reads a document.
///
/// # Errors
/// When it is no YAML, or calls a function that is not resolved.
pub(super) fn read(text: &str) -> Done<Value> {
    let yaml: Yaml = yaml_serde::from_str(text)
        .map_err(|why| StackError::new("the template", format!("it is no YAML: {why}")))?;
    let document = value(yaml, "")?;
    check(&document, "")?;
    Ok(document)
}

fn value(yaml: Yaml, at: &str) -> Done<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => Value::Bool(truth),
        Yaml::Number(number) => number_of(&number),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(list) => {
            let each = list.into_iter().enumerate();
            each.map(|(n, one)| value(one, &below(at, &n.to_string()))).collect::<Done<_>>()?
        }
        Yaml::Mapping(fields) => {
            let mut map = Map::new();
            for (name, one) in fields {
                let name = key(name, at)?;
                let one = value(one, &below(at, &name))?;
                map.insert(name, one);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            call(tag.trim_start_matches('!'), value(tagged.value, at)?)
        }
    })
}

fn number_of(number: &yaml_serde::Number) -> Value {
    let whole = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
    let number = whole.or_else(|| number.as_f64().and_then(Number::from_f64));
    number.map_or(Value::Null, Value::Number)
}

fn key(name: Yaml, at: &str) -> Done<String> {
    match name {
        Yaml::String(name) => Ok(name),
        Yaml::Number(number) => Ok(number.to_string()),
        other => {
            let what = format!("{other:?} is no name; write it as text");
            Err(StackError::new(place(at), what))
        }
    }
}

/// A short form as its long one.
fn call(tag: &str, argument: Value) -> Value {
    let (name, argument) = match (tag, argument) {
        ("Ref" | "Condition", argument) => (tag.to_owned(), argument),
        // A name may not have dots, an attribute may.
        ("GetAtt", Value::String(path)) => {
            let parts = path.split_once('.').map(|(id, attribute)| vec![id, attribute]);
            ("Fn::GetAtt".to_owned(), Value::from(parts.unwrap_or_else(|| vec![&path])))
        }
        (tag, argument) => (format!("Fn::{tag}"), argument),
    };
    Value::Object([(name, argument)].into_iter().collect())
}

/// Refuses every function that is not resolved, wherever it stands.
pub(super) fn check(document: &Value, at: &str) -> Done<()> {
    match document {
        Value::Array(list) => {
            let mut each = list.iter().enumerate();
            each.try_for_each(|(n, one)| check(one, &below(at, &n.to_string())))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, one)| {
            if let Some(function) = name.strip_prefix("Fn::")
                && !FUNCTIONS.contains(&function)
            {
                let what = format!("the function {name} is not emulated; write what it gives");
                return Err(StackError::new(place(at), what));
            }
            check(one, &below(at, name))
        }),
        _ => Ok(()),
    }
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the template" } else { at }
}

/// A place in a place. The section of resources is left out: a logical id says enough.
pub(super) fn below(at: &str, name: &str) -> String {
    match at {
        "" | "Resources" => name.to_owned(),
        at => format!("{at}.{name}"),
    }
}
