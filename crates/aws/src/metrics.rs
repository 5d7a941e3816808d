//! Metrics in CloudWatch's embedded metric format: a line of JSON on stdout, which CloudWatch Logs makes
//! metrics of (CloudWatch User Guide: CloudWatch_Embedded_Metric_Format_Specification). Lambda hands the
//! lines of a custom runtime on as they are, whichever log format the function has, so a line has to be
//! nothing but the document. What is measured, and by what names, `resilver_heal::metrics` says.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use resilver_heal::metrics::{DIMENSION, Measure, NAMESPACE};
use serde_json::{Map, Value, json};

/// Where metrics go.
#[derive(Debug, Clone, Default)]
pub struct Metrics(To);

#[derive(Debug, Clone, Default)]
enum To {
    /// Nowhere: whoever runs a function in process does not want its metrics between the lines of a
    /// command.
    #[default]
    Nobody,
    Stdout,
    Kept(Arc<Mutex<Vec<Value>>>),
}

impl Metrics {
    /// To CloudWatch, by stdout.
    pub fn stdout() -> Self {
        Self(To::Stdout)
    }

    /// Kept, to be looked at.
    pub fn kept() -> Self {
        Self(To::Kept(Arc::default()))
    }

    /// What was kept, in order.
    pub fn lines(&self) -> Vec<Value> {
        match &self.0 {
            To::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            To::Nobody | To::Stdout => Vec::new(),
        }
    }

    /// Tells some numbers of one bucket. A log that takes no line keeps nobody from healing.
    pub fn tell(&self, bucket: &str, at_ms: u64, measures: &[Measure]) {
        match &self.0 {
            To::Nobody => {}
            To::Kept(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(document(bucket, at_ms, measures));
            }
            To::Stdout => {
                // One write, so that no other line begins in the middle of it.
                let line = format!("{}\n", document(bucket, at_ms, measures));
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            }
        }
    }
}

/// The document: which of its fields are metrics, and the fields.
fn document(bucket: &str, at_ms: u64, measures: &[Measure]) -> Value {
    let metrics = measures.iter().map(|it| json!({"Name": it.name, "Unit": it.unit.as_str()}));
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": metrics.collect::<Vec<_>>(),
    });
    let mut document = Map::new();
    let about = json!({"Timestamp": at_ms, "CloudWatchMetrics": [directive]});
    document.insert("_aws".to_owned(), about);
    document.insert(DIMENSION.to_owned(), bucket.into());
    document.extend(measures.iter().map(|it| (it.name.to_owned(), it.value.clone())));
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilver_heal::metrics::Unit;

    #[test]
    fn a_line_is_what_the_specification_asks_for() {
        let metrics = Metrics::kept();
        let held = Measure { name: "Held", unit: Unit::Count, value: json!(3) };
        let dollars = Measure { name: "Dollars", unit: Unit::None, value: json!(0.250003) };
        metrics.tell("photos", 1_767_225_600_000, &[held, dollars]);
        assert_eq!(
            metrics.lines(),
            [json!({
                "_aws": {
                    "Timestamp": 1_767_225_600_000u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Resilver",
                        "Dimensions": [["Bucket"]],
                        "Metrics": [
                            {"Name": "Held", "Unit": "Count"},
                            {"Name": "Dollars", "Unit": "None"},
                        ],
                    }],
                },
                "Bucket": "photos",
                "Held": 3,
                "Dollars": 0.250003,
            })]
        );
        assert!(Metrics::default().lines().is_empty());
    }
}
