//! What a template's expressions mean: parameters, pseudo parameters, conditions and the intrinsic
//! functions (CloudFormation Template Reference: intrinsic functions). A name that stands for nothing is
//! refused where it stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Done, StackError};
use super::fields::text_of;
use super::parameters::same;
use super::template::Template;
use super::yaml::below;

/// A value, or the nothing that `AWS::NoValue` stands for.
type Resolved = Done<Option<Value>>;

/// What is known while a stack is made.
pub(super) struct Scope<'a> {
    pub(super) template: &'a Template,
    pub(super) parameters: &'a BTreeMap<String, Value>,
    /// Account, Region, name and id of the stack.
    pub(super) pseudo: &'a BTreeMap<&'static str, String>,
    /// Of a resource that is there: what `Ref` gives, or an attribute.
    pub(super) made: &'a dyn Fn(&str, Option<&str>) -> Option<Value>,
}

impl Scope<'_> {
    /// The value of an expression at a place.
    pub(super) fn resolve(&self, value: &Value, at: &str) -> Done<Value> {
        Ok(self.value(value, at)?.unwrap_or(Value::Null))
    }

    fn value(&self, value: &Value, at: &str) -> Resolved {
        match value {
            Value::Array(list) => self.list(list, at).map(|list| Some(Value::Array(list))),
            Value::Object(fields) => match call(fields) {
                Some((name, argument)) => self.call(name, argument, at),
                None => {
                    let mut all = Map::new();
                    for (name, value) in fields {
                        if let Some(value) = self.value(value, &below(at, name))? {
                            all.insert(name.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(all)))
                }
            },
            other => Ok(Some(other.clone())),
        }
    }

    fn list(&self, list: &[Value], at: &str) -> Done<Vec<Value>> {
        let each = list.iter().enumerate();
        let values = each.map(|(n, value)| self.value(value, &below(at, &n.to_string())));
        values.filter_map(Result::transpose).collect()
    }

    fn call(&self, name: &str, argument: &Value, at: &str) -> Resolved {
        let wrong = |what: &str| Err(StackError::new(at, format!("{name}: {what}")));
        match name {
            "Ref" => match argument.as_str() {
                Some("AWS::NoValue") => Ok(None),
                Some(name) => self.named(name, at).map(Some),
                None => wrong("it takes a name"),
            },
            "Condition" => match argument.as_str() {
                Some(name) => self.holds(name, at).map(|it| Some(Value::Bool(it))),
                None => wrong("it takes a name"),
            },
            "Fn::GetAtt" => self.attribute(argument, at).map(Some),
            "Fn::Sub" => self.substitute(argument, at).map(Some),
            "Fn::If" => match argument.as_array().map(Vec::as_slice) {
                Some([Value::String(condition), yes, no]) => {
                    let holds = self.holds(condition, at)?;
                    self.value(if holds { yes } else { no }, at)
                }
                _ => wrong("it takes a condition and two values"),
            },
            "Fn::ImportValue" => {
                wrong("there are no other stacks to import from; make it a parameter")
            }
            "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap" => {
                let Some(Value::Array(list)) = self.value(argument, at)? else {
                    return wrong("it takes a list");
                };
                self.of_lists(name, &list, at).map(Some)
            }
            _ => self.truth(name, argument, at).map(|it| Some(Value::Bool(it))),
        }
    }

    fn of_lists(&self, name: &str, list: &[Value], at: &str) -> Done<Value> {
        let wrong = |what: &str| Err(StackError::new(at, format!("{name}: {what}")));
        match (name, list) {
            ("Fn::Join", [Value::String(delimiter), Value::Array(parts)]) => {
                let parts: Option<Vec<String>> = parts.iter().map(text_of).collect();
                match parts {
                    Some(parts) => Ok(Value::String(parts.join(delimiter))),
                    None => wrong("it joins texts"),
                }
            }
            ("Fn::Split", [Value::String(delimiter), Value::String(text)]) => {
                if delimiter.is_empty() {
                    return wrong("the delimiter is empty");
                }
                Ok(text.split(delimiter.as_str()).map(Value::from).collect())
            }
            ("Fn::Select", [index, Value::Array(list)]) => {
                let index = text_of(index).and_then(|index| index.parse::<usize>().ok());
                match index.and_then(|index| list.get(index)) {
                    Some(value) => Ok(value.clone()),
                    None => wrong("the list has no such element"),
                }
            }
            ("Fn::FindInMap", [map, top, second]) => {
                let mut found = Value::Object(self.template.mappings.clone());
                for key in [map, top, second] {
                    let key = text_of(key).unwrap_or_default();
                    let Some(below) = found.get(&key).cloned() else {
                        return wrong(&format!("the mappings have no {key} there"));
                    };
                    found = below;
                }
                Ok(found)
            }
            _ => wrong("these are not its arguments"),
        }
    }

    /// What a name stands for.
    fn named(&self, name: &str, at: &str) -> Done<Value> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.pseudo.get(name) {
            return Ok(Value::from(value.as_str()));
        }
        (self.made)(name, None).ok_or_else(|| self.unknown(name, at))
    }

    fn unknown(&self, name: &str, at: &str) -> StackError {
        let what = match self.template.resources.get(name) {
            Some(resource) if resource.condition.is_some() => "is not made under its condition",
            Some(_) => "is not there yet",
            None if name.starts_with("AWS::") => "is no pseudo parameter that is emulated",
            None => "is neither a parameter nor a resource",
        };
        StackError::new(at, format!("{name} {what}"))
    }

    fn attribute(&self, argument: &Value, at: &str) -> Done<Value> {
        let (id, attribute) = match argument {
            Value::Array(list) => match list.as_slice() {
                [Value::String(id), attribute] => (id.as_str(), self.resolve(attribute, at)?),
                _ => ("", Value::Null),
            },
            Value::String(path) => match path.split_once('.') {
                Some((id, attribute)) => (id, Value::from(attribute)),
                None => ("", Value::Null),
            },
            _ => ("", Value::Null),
        };
        let Value::String(attribute) = attribute else {
            return Err(StackError::new(at, "Fn::GetAtt: it takes a resource and an attribute"));
        };
        if (self.made)(id, None).is_none() {
            return Err(self.unknown(id, at));
        }
        let missing = || StackError::new(at, format!("{id} has no attribute {attribute} here"));
        (self.made)(id, Some(&attribute)).ok_or_else(missing)
    }

    fn substitute(&self, argument: &Value, at: &str) -> Done<Value> {
        let (text, own) = match argument {
            Value::String(text) => (text, None),
            Value::Array(list) => match list.as_slice() {
                [Value::String(text), Value::Object(own)] => (text, Some(own)),
                _ => return Err(StackError::new(at, "Fn::Sub: it takes a text and a mapping")),
            },
            _ => return Err(StackError::new(at, "Fn::Sub: it takes a text")),
        };
        let mut done = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err(StackError::new(at, "Fn::Sub: a ${ is not closed"));
            };
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                done.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let name = name.trim();
            let value = match own.and_then(|own| own.get(name)) {
                Some(value) => self.resolve(value, at)?,
                None => match name.split_once('.') {
                    Some(_) => self.attribute(&Value::from(name), at)?,
                    None => self.named(name, at)?,
                },
            };
            let no_text = || StackError::new(at, format!("Fn::Sub: {name} is no text"));
            done.push_str(&text_of(&value).ok_or_else(no_text)?);
        }
        done.push_str(rest);
        Ok(Value::String(done))
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, name: &str, at: &str) -> Done<bool> {
        let Some(condition) = self.template.conditions.get(name) else {
            return Err(StackError::new(at, format!("there is no condition {name}")));
        };
        self.is_true(condition, &format!("Conditions.{name}"))
    }

    /// Whether an expression is true.
    pub(super) fn is_true(&self, value: &Value, at: &str) -> Done<bool> {
        match self.resolve(value, at)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(StackError::new(at, "it is neither true nor false")),
        }
    }

    fn truth(&self, name: &str, argument: &Value, at: &str) -> Done<bool> {
        let Some(Value::Array(list)) = self.value(argument, at)? else {
            return Err(StackError::new(at, format!("{name}: it takes a list")));
        };
        let truths = || list.iter().map(Value::as_bool).collect::<Option<Vec<_>>>();
        let found = match (name, list.as_slice()) {
            ("Fn::Equals", [one, other]) => Some(same(one, other)),
            ("Fn::Not", [_]) => truths().map(|it| it.iter().all(|it| !it)),
            ("Fn::And", [_, _, ..]) => truths().map(|it| it.iter().all(|it| *it)),
            ("Fn::Or", [_, _, ..]) => truths().map(|it| it.iter().any(|it| *it)),
            ("Fn::Contains", [Value::Array(list), one]) => {
                Some(list.iter().any(|it| same(it, one)))
            }
            ("Fn::EachMemberEquals", [Value::Array(list), one]) => {
                Some(list.iter().all(|it| same(it, one)))
            }
            ("Fn::EachMemberIn", [Value::Array(list), Value::Array(all)]) => {
                Some(list.iter().all(|it| all.iter().any(|one| same(it, one))))
            }
            _ => None,
        };
        found.ok_or_else(|| StackError::new(at, format!("{name}: these are not its arguments")))
    }

    /// Refuses parameters that do not go together, in the template's own words.
    ///
    /// # Errors
    /// The description of the first assertion that does not hold.
    pub(super) fn check_rules(&self) -> Done<()> {
        for (name, rule) in &self.template.rules {
            let at = format!("Rules.{name}");
            let applies = match rule.get("RuleCondition") {
                Some(condition) => self.is_true(condition, &at)?,
                None => true,
            };
            let assertions = rule.get("Assertions").and_then(Value::as_array);
            for assertion in assertions.into_iter().flatten().filter(|_| applies) {
                let assert = assertion.get("Assert").unwrap_or(&Value::Null);
                if !self.is_true(assert, &at)? {
                    let words = assertion.get("AssertDescription").and_then(Value::as_str);
                    return Err(StackError::new(at, words.unwrap_or("it does not hold")));
                }
            }
        }
        Ok(())
    }
}

/// A function that is called, with its argument.
fn call(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut all = fields.iter();
    let (Some((name, argument)), None) = (all.next(), all.next()) else {
        return None;
    };
    let named = name == "Ref" || name.starts_with("Fn::");
    // A role's policy has an element of this name, whose argument is no name.
    let condition = name == "Condition" && argument.is_string();
    (named || condition).then_some((name.as_str(), argument))
}

/// Every resource that an expression names.
pub(super) fn names<'a>(value: &'a Value, each: &mut dyn FnMut(&'a str)) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| names(one, each)),
        Value::Object(fields) => match call(fields) {
            Some(("Ref", Value::String(name))) => each(name),
            Some(("Fn::GetAtt", Value::Array(list))) => {
                list.first().and_then(Value::as_str).into_iter().for_each(&mut *each);
                list.iter().skip(1).for_each(|one| names(one, each));
            }
            Some(("Fn::GetAtt", Value::String(path))) => {
                each(path.split('.').next().unwrap_or_default());
            }
            Some(("Fn::Sub", argument)) => {
                let text = argument.as_str().or_else(|| argument.get(0)?.as_str());
                for part in text.unwrap_or_default().split("${").skip(1) {
                    let name = part.split('}').next().unwrap_or_default();
                    each(name.split('.').next().unwrap_or_default().trim());
                }
                names(argument.get(1).unwrap_or(&Value::Null), each);
            }
            Some((_, argument)) => names(argument, each),
            None => fields.values().for_each(|one| names(one, each)),
        },
        _ => {}
    }
}
