//! Parameters: what a template asks whoever deploys it, and whether the answers will do. An answer that
//! will not is refused with the template's own words (`ConstraintDescription`), where it has some.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{Done, StackError};
use super::fields::{Fields, text_of};
use super::template::Template;

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    List,
}

/// A parameter, as the template declares it.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    kind: Kind,
    default: Option<String>,
    values: Vec<String>,
    pattern: Option<String>,
    least: Option<f64>,
    most: Option<f64>,
    shortest: Option<u64>,
    longest: Option<u64>,
    advice: Option<String>,
}

impl Parameter {
    /// Reads a declaration.
    pub(super) fn read(name: &str, value: Value) -> Done<Self> {
        let mut fields = Fields::of(format!("Parameters.{name}"), value)?;
        let kind = match fields.required("Type")?.as_str() {
            "String" => Kind::Text,
            "Number" => Kind::Number,
            "CommaDelimitedList" => Kind::List,
            other => {
                let what =
                    format!("{other} is not emulated; String, Number and CommaDelimitedList are");
                return Err(fields.wrong("Type", what));
            }
        };
        fields.pass(&["Description", "NoEcho"]);
        let number = |fields: &mut Fields, name: &str| match fields.text(name)? {
            None => Ok(None),
            Some(text) => {
                text.parse::<f64>().map(Some).map_err(|_| fields.wrong(name, "it is no number"))
            }
        };
        let parameter = Self {
            kind,
            default: fields.text("Default")?,
            values: fields.texts("AllowedValues")?,
            pattern: fields.text("AllowedPattern")?,
            least: number(&mut fields, "MinValue")?,
            most: number(&mut fields, "MaxValue")?,
            shortest: fields.number("MinLength")?,
            longest: fields.number("MaxLength")?,
            advice: fields.text("ConstraintDescription")?,
        };
        fields.finish()?;
        Ok(parameter)
    }

    /// What a text is as a value of this parameter.
    fn value(&self, text: &str) -> Value {
        match self.kind {
            // Of nothing comes a list of one empty text, which is what templates ask for.
            Kind::List => text.split(',').map(|one| Value::from(one.trim())).collect(),
            Kind::Text | Kind::Number => Value::from(text),
        }
    }

    /// Why a value will not do.
    fn problem(&self, at: &str, text: &str) -> Done<Option<String>> {
        let of_list: Vec<&str> = text.split(',').map(str::trim).collect();
        let parts = if self.kind == Kind::List { of_list } else { vec![text] };
        if !self.values.is_empty() && !parts.iter().all(|it| self.values.iter().any(|v| v == it)) {
            return Ok(Some(format!("it must be one of {}", self.values.join(", "))));
        }
        if let Some(allowed) = &self.pattern {
            for part in &parts {
                if !matches(allowed, part).map_err(|why| StackError::new(at, why))? {
                    return Ok(Some(format!("it must match {allowed}")));
                }
            }
        }
        let length = text.chars().count() as u64;
        if self.shortest.is_some_and(|least| length < least) {
            return Ok(Some(format!(
                "it must have {} characters or more",
                self.shortest.unwrap_or(0)
            )));
        }
        if self.longest.is_some_and(|most| length > most) {
            return Ok(Some(format!(
                "it must have {} characters or fewer",
                self.longest.unwrap_or(0)
            )));
        }
        if self.kind != Kind::Number {
            return Ok(None);
        }
        let Ok(number) = text.parse::<f64>() else {
            return Ok(Some("it must be a number".to_owned()));
        };
        if let Some(least) = self.least.filter(|least| number < *least) {
            return Ok(Some(format!("it must be {least} or more")));
        }
        let most = self.most.filter(|most| number > *most);
        Ok(most.map(|most| format!("it must be {most} or less")))
    }
}

/// The values of all parameters, from what was answered and the defaults.
///
/// # Errors
/// Names a parameter that has no value, one whose value will not do, and one that there is not.
pub(super) fn resolve(
    template: &Template,
    answers: &BTreeMap<String, String>,
) -> Done<BTreeMap<String, Value>> {
    if let Some(name) = answers.keys().find(|name| !template.parameters.contains_key(*name)) {
        let known: Vec<&str> = template.parameters().collect();
        let what = format!("the template has no such parameter; it has {}", known.join(", "));
        return Err(StackError::new(format!("Parameters.{name}"), what));
    }
    let mut values = BTreeMap::new();
    for (name, parameter) in &template.parameters {
        let at = format!("Parameters.{name}");
        let Some(text) = answers.get(name).or(parameter.default.as_ref()) else {
            return Err(StackError::new(at, "it has no default; give it a value"));
        };
        if let Some(problem) = parameter.problem(&at, text)? {
            let what = parameter.advice.clone().unwrap_or(problem);
            // A webhook is a secret; which value it was, whoever gave it knows.
            return Err(StackError::new(at, what));
        }
        values.insert(name.clone(), parameter.value(text));
    }
    Ok(values)
}

/// Whether two values are the same to CloudFormation, to which a scalar is a text.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (text_of(one), text_of(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Whether a pattern matches a text from end to end.
fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$"));
    let wrong = |why| format!("the pattern {pattern} cannot be read: {why}");
    whole.map(|whole| whole.is_match(text)).map_err(wrong)
}
