//! The functions' log: one JSON document a line, on stdout, whose fields are those of the event and of
//! the spans that it is in: `bucket`, `job` and `plan` stand in every line about one of them, at the top,
//! where CloudWatch Logs Insights finds them. Secrets are kept out by whoever has them: see
//! [`crate::webhook`].

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::wall_clock;

/// Sets up a function's log: `RUST_LOG` or `info`. Whatever that says, the SDK logs no details.
pub fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let to_stdout = Lines(|line: Value| {
        let line = format!("{line}\n");
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    });
    tracing_subscriber::registry().with(filter).with(to_stdout).init();
}

/// The log of this thread, kept to be looked at.
#[derive(Debug)]
pub struct Kept {
    lines: Arc<Mutex<Vec<Value>>>,
    _until: tracing::subscriber::DefaultGuard,
    // With a single subscriber, `tracing` asks the thread that comes by a line first whether anybody wants
    // it, which may be one that keeps nothing. With two it asks them.
    _beside: Dispatch,
}

impl Kept {
    /// Keeps what this thread logs, down to `debug`, until it is dropped.
    pub fn begin() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let keep = Lines(move |line| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        let filter = tracing_subscriber::EnvFilter::new("debug,resilver_emulator=info");
        let subscriber = tracing_subscriber::registry().with(filter).with(keep);
        let beside = Dispatch::new(NoSubscriber::new());
        let until = tracing::subscriber::set_default(subscriber);
        Self { lines, _until: until, _beside: beside }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes a document of each event and hands it on.
struct Lines<W>(W);

/// The fields of a span, or of an event.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(Value) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The SDK's own details are whole requests: paths of webhooks and signatures among them.
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO && !metadata.target().starts_with("resilver") {
            return;
        }
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), wall_clock().to_string().into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.extend(fields.0);
        (self.0)(Value::Object(line));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_line_has_the_fields_of_its_spans_at_the_top() {
        let log = Kept::begin();
        tracing::info_span!("bucket", bucket = "photos").in_scope(|| {
            let job = tracing::info_span!("job", job = tracing::field::Empty, plan = "p1");
            job.record("job", "j1");
            job.in_scope(|| tracing::warn!(rows = 3, error = %"no\nway", "not settled"));
        });
        let mut line = log.lines().pop().unwrap_or_default();
        assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')));
        line.as_object_mut().map(|line| line.remove("timestamp"));
        let expected = serde_json::json!({
            "level": "WARN", "message": "not settled", "bucket": "photos", "job": "j1",
            "plan": "p1", "rows": 3, "error": "no\nway",
        });
        assert_eq!(line, expected);
    }
}
