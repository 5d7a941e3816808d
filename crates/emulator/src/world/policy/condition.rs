//! The conditions of a statement: read, and judged over what a request brings (IAM User Guide: condition
//! operators).

use std::cmp::Ordering;

use serde_json::Value;

use super::{like, malformed, texts};
use crate::world::Answer;

/// The condition operators that are judged.
const OPERATORS: [&str; 18] = [
    "Null",
    "Bool",
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "ArnEquals",
    "ArnNotEquals",
    "ArnLike",
    "ArnNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
];

/// One condition: operator, key, values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    operator: String,
    key: String,
    values: Vec<String>,
}

/// Reads `Condition`.
///
/// # Errors
/// 400 `MalformedPolicyDocument`.
pub(super) fn conditions(blocks: Option<&Value>) -> Answer<Vec<Condition>> {
    let Some(blocks) = blocks else {
        return Ok(Vec::new());
    };
    let blocks = blocks.as_object().ok_or_else(|| malformed("Condition must be an object"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in blocks {
        let keys = keys.as_object().ok_or_else(|| malformed("Condition must hold objects"))?;
        for (key, values) in keys {
            check_operator(operator)?;
            check_key(key)?;
            conditions.push(Condition {
                operator: operator.clone(),
                key: key.to_ascii_lowercase(),
                values: texts(values)?,
            });
        }
    }
    Ok(conditions)
}

/// The condition keys of S3 that requests bring here, in lower case.
const S3_KEYS: [&str; 11] = [
    "s3:delimiter",
    "s3:max-keys",
    "s3:prefix",
    "s3:tlsversion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-storage-class",
];

/// [`check_operator`] for a key: one of S3's own that no request brings would never be met.
fn check_key(key: &str) -> Answer<()> {
    let lower = key.to_ascii_lowercase();
    if !lower.starts_with("s3:") || S3_KEYS.contains(&lower.as_str()) {
        return Ok(());
    }
    Err(malformed(&format!("this emulator does not judge the condition key {key}")))
}

/// What is not judged is refused, rather than taken for met or for not met.
fn check_operator(operator: &str) -> Answer<()> {
    let bare = operator.strip_suffix("IfExists").unwrap_or(operator);
    if OPERATORS.contains(&bare) {
        return Ok(());
    }
    Err(malformed(&format!("this emulator does not judge the condition operator {operator}")))
}

impl Condition {
    /// Whether what a request brings meets it.
    pub(super) fn is_met(&self, context: &[(&str, &str)]) -> bool {
        let found = context.iter().find(|(key, _)| *key == self.key).map(|(_, value)| *value);
        let (operator, if_exists) = match self.operator.strip_suffix("IfExists") {
            Some(operator) => (operator, true),
            None => (self.operator.as_str(), false),
        };
        let any = |same: fn(&str, &str) -> bool, value: &str| {
            self.values.iter().any(|wanted| same(wanted, value))
        };
        let exact = |wanted: &str, value: &str| wanted == value;
        let like = |wanted: &str, value: &str| like(wanted, value, false);
        let any_case = |wanted: &str, value: &str| wanted.eq_ignore_ascii_case(value);
        let negated = operator.contains("Not");
        let Some(value) = found else {
            let absent = operator == "Null" && any(any_case, "true");
            return absent || if_exists || negated;
        };
        match operator {
            "Null" => any(any_case, "false"),
            "StringEquals" => any(exact, value),
            "StringNotEquals" => !any(exact, value),
            "StringEqualsIgnoreCase" | "Bool" => any(any_case, value),
            "StringNotEqualsIgnoreCase" => !any(any_case, value),
            "StringLike" | "ArnLike" | "ArnEquals" => any(like, value),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => !any(like, value),
            "NumericEquals" => self.compares(value, |it| it.is_eq()),
            "NumericNotEquals" => !self.compares(value, |it| it.is_eq()),
            "NumericLessThan" => self.compares(value, |it| it.is_lt()),
            "NumericLessThanEquals" => self.compares(value, |it| it.is_le()),
            "NumericGreaterThan" => self.compares(value, |it| it.is_gt()),
            "NumericGreaterThanEquals" => self.compares(value, |it| it.is_ge()),
            // The parser lets no other pass.
            _ => false,
        }
    }
}

impl Condition {
    /// Whether a number compares so with one of the values.
    fn compares(&self, value: &str, as_wanted: fn(Ordering) -> bool) -> bool {
        let Ok(number) = value.parse::<f64>() else { return false };
        let wanted = self.values.iter().filter_map(|wanted| wanted.parse::<f64>().ok());
        wanted.filter_map(|wanted| number.partial_cmp(&wanted)).any(as_wanted)
    }
}
