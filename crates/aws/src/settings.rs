//! A function's settings: read from the environment once, at the cold start, every problem with them
//! reported together.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

/// The environment, and what is wrong with it so far.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
    asked: BTreeSet<String>,
}

/// Settings that a function cannot start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function's settings are wrong: {}; correct them in the template and deploy again", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// The process's environment.
    pub fn from_env() -> Self {
        Self::given(std::env::vars().collect())
    }

    /// These settings and no others.
    pub fn of<const N: usize>(values: [(&str, &str); N]) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::given(values.collect())
    }

    /// These settings and no others, as a template has them.
    pub fn given(values: BTreeMap<String, String>) -> Self {
        Self { values, ..Self::default() }
    }

    /// A setting that there has to be; empty, and a problem, if there is none.
    pub fn required(&mut self, name: &str) -> String {
        match self.optional(name) {
            Some(value) => value,
            None => {
                self.problems.push(format!("{name} is not set"));
                String::new()
            }
        }
    }

    /// A setting that there may be; an empty one is none.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        self.asked.insert(name.to_owned());
        self.values.get(name).filter(|value| !value.trim().is_empty()).cloned()
    }

    /// A setting that is a JSON document, if there is one.
    pub fn json<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = self.optional(name)?;
        match serde_json::from_str(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                // The value may hold a secret: only where it breaks is said.
                let (line, column) = (why.line(), why.column());
                let kind = why.classify();
                self.problems.push(format!("{name} cannot be read ({kind:?} at {line}:{column})"));
                None
            }
        }
    }

    /// The names of everything that was asked for so far.
    pub fn asked(&self) -> &BTreeSet<String> {
        &self.asked
    }

    /// Something else that is wrong with a setting.
    pub fn problem(&mut self, name: &str, why: &str) {
        self.problems.push(format!("{name}: {why}"));
    }

    /// Fails if anything was wrong.
    pub fn finish(self) -> Result<(), SettingsError> {
        if self.problems.is_empty() { Ok(()) } else { Err(SettingsError(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_together() {
        let mut settings = Settings::of([("A", ""), ("B", "[1"), ("C", "[1]"), ("D", "d")]);
        settings.required("A");
        assert_eq!(settings.json::<Vec<u32>>("B"), None);
        assert_eq!(settings.json::<Vec<u32>>("C"), Some(vec![1]));
        assert_eq!(settings.required("D"), "d");
        let problems = settings.finish().map_err(|SettingsError(problems)| problems);
        let expected = ["A is not set", "B cannot be read (Eof at 1:2)"].map(str::to_owned);
        assert_eq!(problems, Err(expected.to_vec()));
    }
}
