//! EventBridge's pattern language (EventBridge User Guide: event patterns): exact values, and the
//! comparisons prefix, suffix, equals-ignore-case, anything-but, exists and numeric, nested as the
//! event is. What is not understood is refused when the rule is made, never when an event comes.

use serde_json::{Map, Value};

use crate::world::refusal::{Answer, Refusal};

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Every field has to match.
    All(Vec<(String, Node)>),
    /// One of the patterns has to.
    Or(Vec<Node>),
    /// One of the tests has to, for the value or one of its elements.
    Any(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(Value),
    Prefix(String),
    Suffix(String),
    IgnoreCase(String),
    AnythingBut(Vec<Test>),
    Exists(bool),
    Numeric(Vec<(String, f64)>),
}

fn refuse(why: &str) -> Refusal {
    Refusal::new(
        400,
        "InvalidEventPatternException",
        format!("Event pattern is not valid. Reason: {why}"),
    )
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Answer<Self> {
        let value: Value = serde_json::from_str(text).map_err(|why| refuse(&why.to_string()))?;
        let Value::Object(fields) = value else {
            return Err(refuse("it is no object"));
        };
        if fields.is_empty() {
            return Err(refuse("it is empty"));
        }
        node(&fields).map(Self)
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        holds(&self.0, Some(event))
    }
}

fn node(fields: &Map<String, Value>) -> Answer<Node> {
    let mut all = Vec::new();
    for (name, value) in fields {
        let below = match value {
            Value::Array(patterns) if name == "$or" => {
                let patterns = patterns.iter().map(|pattern| match pattern {
                    Value::Object(fields) => node(fields),
                    _ => Err(refuse("$or takes a list of objects")),
                });
                Node::Or(patterns.collect::<Answer<_>>()?)
            }
            Value::Array(tests) if !tests.is_empty() => {
                Node::Any(tests.iter().map(test).collect::<Answer<_>>()?)
            }
            Value::Object(fields) if !fields.is_empty() => node(fields)?,
            _ => return Err(refuse(&format!("\"{name}\" must be an object or a list"))),
        };
        all.push((name.clone(), below));
    }
    Ok(Node::All(all))
}

fn test(value: &Value) -> Answer<Test> {
    let Value::Object(fields) = value else {
        return if value.is_array() {
            Err(refuse("a list in a list"))
        } else {
            Ok(Test::Is(value.clone()))
        };
    };
    let mut fields = fields.iter();
    let (Some((name, value)), None) = (fields.next(), fields.next()) else {
        return Err(refuse("a test has exactly one comparison"));
    };
    let text =
        || value.as_str().map(str::to_owned).ok_or_else(|| refuse(&format!("{name} takes a text")));
    match name.as_str() {
        "prefix" => text().map(Test::Prefix),
        "suffix" => text().map(Test::Suffix),
        "equals-ignore-case" => text().map(Test::IgnoreCase),
        "exists" => {
            value.as_bool().map(Test::Exists).ok_or_else(|| refuse("exists takes a boolean"))
        }
        "anything-but" => match value {
            Value::Array(values) => {
                values.iter().map(test).collect::<Answer<_>>().map(Test::AnythingBut)
            }
            other => Ok(Test::AnythingBut(vec![test(other)?])),
        },
        "numeric" => numeric(value).map(Test::Numeric),
        other => Err(refuse(&format!("Unrecognized match type {other}"))),
    }
}

fn numeric(value: &Value) -> Answer<Vec<(String, f64)>> {
    let parts = value.as_array().ok_or_else(|| refuse("numeric takes a list"))?;
    let pairs = parts.chunks(2).map(|pair| match pair {
        [Value::String(sign), Value::Number(number)]
            if ["<", "<=", "=", ">", ">="].contains(&sign.as_str()) =>
        {
            Ok((sign.clone(), number.as_f64().unwrap_or_default()))
        }
        _ => Err(refuse("numeric takes comparisons and numbers in turn")),
    });
    pairs.collect()
}

fn holds(node: &Node, value: Option<&Value>) -> bool {
    match node {
        Node::All(fields) => fields.iter().all(|(name, below)| match below {
            Node::Or(_) => holds(below, value),
            _ => holds(below, value.and_then(|value| value.get(name))),
        }),
        Node::Or(patterns) => patterns.iter().any(|pattern| holds(pattern, value)),
        Node::Any(tests) => tests.iter().any(|test| match value {
            Some(Value::Array(values)) if !matches!(test, Test::Exists(_)) => {
                values.iter().any(|value| passes(test, Some(value)))
            }
            value => passes(test, value),
        }),
    }
}

fn passes(test: &Test, value: Option<&Value>) -> bool {
    let text = value.and_then(Value::as_str);
    match test {
        Test::Is(expected) => value == Some(expected),
        Test::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
        Test::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
        Test::IgnoreCase(other) => text.is_some_and(|text| text.eq_ignore_ascii_case(other)),
        Test::AnythingBut(tests) => {
            value.is_some() && !tests.iter().any(|test| passes(test, value))
        }
        // Only leaves exist.
        Test::Exists(expected) => value.is_some_and(|value| !value.is_object()) == *expected,
        Test::Numeric(comparisons) => value.and_then(Value::as_f64).is_some_and(|number| {
            comparisons.iter().all(|(sign, bound)| match sign.as_str() {
                "<" => number < *bound,
                "<=" => number <= *bound,
                ">" => number > *bound,
                ">=" => number >= *bound,
                _ => number == *bound,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn check(pattern: Value, expected: bool) {
        let event = json!({
            "source": "aws.s3",
            "detail-type": "AWS Service Event via CloudTrail",
            "detail": {"eventName": "JobStatusChanged", "n": 7, "tags": ["a", "b"],
                       "serviceEventDetails": {"status": "Complete"}},
        });
        assert_eq!(
            Pattern::parse(&pattern.to_string()).unwrap().matches(&event),
            expected,
            "{pattern}"
        );
    }

    #[test]
    fn patterns_match_as_eventbridge_says() {
        check(json!({"source": ["aws.s3", "x"]}), true);
        check(json!({"source": ["x"]}), false);
        check(json!({"detail": {"serviceEventDetails": {"status": ["Complete", "Failed"]}}}), true);
        check(json!({"source": ["aws.s3"], "detail": {"eventName": ["Other"]}}), false);
        check(json!({"source": [{"prefix": "aws."}]}), true);
        check(json!({"detail": {"eventName": [{"suffix": "Changed"}]}}), true);
        check(json!({"detail": {"eventName": [{"equals-ignore-case": "jobstatuschanged"}]}}), true);
        check(json!({"detail": {"errorCode": [{"exists": false}]}}), true);
        check(json!({"detail": {"eventName": [{"exists": false}]}}), false);
        check(json!({"detail": {"eventName": [{"anything-but": ["A", "B"]}]}}), true);
        check(json!({"detail": {"eventName": [{"anything-but": {"prefix": "Job"}}]}}), false);
        check(json!({"detail": {"n": [{"numeric": [">", 5, "<=", 7]}]}}), true);
        check(json!({"detail": {"n": [{"numeric": [">", 7]}]}}), false);
        check(json!({"detail": {"tags": ["b"]}}), true);
        check(json!({"$or": [{"source": ["x"]}, {"detail": {"n": [7]}}]}), true);
        check(json!({"nothing": ["here"]}), false);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"a": "b"}"#,
            r#"{"a": []}"#,
            r#"{"a": [{"cidr": "10/8"}]}"#,
            r#"{"a": [["b"]]}"#,
        ] {
            assert_eq!(
                Pattern::parse(text).unwrap_err().code,
                "InvalidEventPatternException",
                "{text}"
            );
        }
    }
}
