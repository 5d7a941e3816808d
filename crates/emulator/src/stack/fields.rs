//! The properties of something, taken one by one. What nobody took is refused by name: a property that is
//! passed over silently would make the emulated stack another one than the template describes.

use serde_json::{Map, Value};

use super::error::{Done, StackError};

/// Properties that are still to be taken.
#[derive(Debug)]
pub(super) struct Fields {
    at: String,
    fields: Map<String, Value>,
}

impl Fields {
    /// The fields of an object.
    pub(super) fn of(at: impl Into<String>, value: Value) -> Done<Self> {
        let at = at.into();
        match value {
            Value::Object(fields) => Ok(Self { at, fields }),
            Value::Null => Ok(Self { at, fields: Map::new() }),
            _ => Err(StackError::new(at, "it must be a mapping")),
        }
    }

    /// The place of a field.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    /// An error at a field.
    pub(super) fn wrong(&self, name: &str, what: impl Into<String>) -> StackError {
        StackError::new(self.at(name), what)
    }

    /// Takes a field; null is none.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Takes fields that change nothing of what is emulated.
    pub(super) fn pass(&mut self, names: &[&str]) {
        for name in names {
            self.fields.remove(*name);
        }
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Done<Option<String>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        text_of(&value).map(Some).ok_or_else(|| self.wrong(name, "it must be a text"))
    }

    /// Takes a text that must be there.
    pub(super) fn required(&mut self, name: &str) -> Done<String> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "it is missing"))
    }

    /// Takes a whole number, which may be written as text.
    pub(super) fn number(&mut self, name: &str) -> Done<Option<u64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(name, format!("{text} is no whole number")))
    }

    /// Takes a truth, which may be written as text.
    pub(super) fn flag(&mut self, name: &str) -> Done<Option<bool>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(name, "it must be true or false"))
    }

    /// Takes a list; a single value is a list of one.
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(one) => vec![one],
        }
    }

    /// Takes a list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Done<Vec<String>> {
        let list = self.list(name);
        let texts: Option<Vec<_>> = list.iter().map(text_of).collect();
        texts.ok_or_else(|| self.wrong(name, "it must be a list of texts"))
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str) -> Done<Option<Self>> {
        let at = self.at(name);
        self.take(name).map(|value| Self::of(at, value)).transpose()
    }

    /// Takes a list of objects.
    pub(super) fn objects(&mut self, name: &str) -> Done<Vec<Self>> {
        let at = self.at(name);
        let each = self.list(name).into_iter().enumerate();
        each.map(|(n, value)| Self::of(format!("{at}.{n}"), value)).collect()
    }

    /// Takes an object's fields, whatever their names.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.fields
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// Names the first field that nobody took.
    pub(super) fn finish(self) -> Done<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, "this is not emulated; leave it out")),
        }
    }
}

/// A value as the text that CloudFormation takes it for.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
