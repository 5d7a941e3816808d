//! Faults as data: which request meets which mishap, and how often. The wire asks [`Faults::next`]
//! before every request; deliveries ask the two rates.
//!
//! It refuses to guess: a fault happens to the requests that its rule names and to no others, in the
//! order of the rules, so that a run with faults can be run again.

use serde::{Deserialize, Serialize};

/// The service that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// S3: objects and buckets.
    S3,
    /// S3 Control: batch jobs.
    #[serde(rename = "s3control")]
    Control,
    /// SQS.
    Sqs,
    /// EventBridge.
    Events,
    /// IAM: roles and policies.
    Iam,
    /// STS: sessions of roles.
    Sts,
    /// KMS: keys and their states.
    Kms,
}

/// What happens to a request that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is done, and the answer is this error.
    Refuse {
        /// The service's error code: `SlowDown`, `AccessDenied`, …
        code: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer comes this many milliseconds of wall time later. A client in process does not wait.
    #[serde(rename = "delay_ms")]
    Delay(u64),
    /// It is done, but the client never hears of it: the connection breaks.
    LoseReply,
    /// It is not done, and the connection breaks.
    LoseRequest,
}

/// One fault: the requests it is about, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only requests to this service.
    pub service: Service,
    /// Only this operation (`PutObject`, `CreateJob`, …); `None` is any.
    #[serde(default)]
    pub operation: Option<String>,
    /// Only requests whose decoded path contains this; `None` is any.
    #[serde(default)]
    pub target: Option<String>,
    /// What happens.
    pub verdict: Verdict,
    /// The first so many matches pass unharmed.
    #[serde(default)]
    pub skip: u32,
    /// The next so many matches are harmed; after them the rule is spent.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// A rule that harms the next request of this operation, once.
    pub fn once(service: Service, operation: &str, verdict: Verdict) -> Self {
        Self {
            service,
            operation: Some(operation.to_owned()),
            target: None,
            verdict,
            skip: 0,
            times: 1,
        }
    }

    /// The same rule for requests whose path contains `target` only.
    #[must_use]
    pub fn on(self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self }
    }

    /// The same rule for `times` requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The same rule, after `skip` matching requests have passed.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    fn matches(&self, service: Service, operation: &str, target: &str) -> bool {
        self.service == service
            && self.operation.as_deref().is_none_or(|wanted| wanted == operation)
            && self.target.as_deref().is_none_or(|part| target.contains(part))
    }
}

/// All faults of a world. The default is none.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// What happens to requests. The first rule that matches decides; spent rules are removed.
    pub rules: Vec<Rule>,
    /// Of a thousand deliveries (S3 to a queue, a queue to a consumer, the bus to a target), how many
    /// happen twice.
    pub duplicate_per_mille: u64,
    /// Of a thousand deliveries, how many come out of order.
    pub reorder_per_mille: u64,
}

impl Faults {
    /// Adds a rule behind the others.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// What happens to this request; counts it against the rule that matches first.
    pub fn next(&mut self, service: Service, operation: &str, target: &str) -> Option<Verdict> {
        let at = self.rules.iter().position(|rule| rule.matches(service, operation, target))?;
        let rule = self.rules.get_mut(at)?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        let verdict = (rule.times > 0).then(|| rule.verdict.clone());
        rule.times = rule.times.saturating_sub(1);
        if rule.times == 0 {
            self.rules.remove(at);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lets_pass_then_harms_then_is_spent() {
        let mut faults = Faults::default();
        let refuse = Verdict::Refuse { code: "SlowDown".into(), status: 503 };
        faults.add(
            Rule::once(Service::S3, "PutObject", refuse.clone()).on("/state/").after(1).times(2),
        );
        let mut ask = |operation: &str, path: &str| faults.next(Service::S3, operation, path);
        assert_eq!(ask("GetObject", "/state/a"), None);
        assert_eq!(ask("PutObject", "/other/a"), None);
        assert_eq!(ask("PutObject", "/state/a"), None, "the first passes");
        assert_eq!(ask("PutObject", "/state/a"), Some(refuse.clone()));
        assert_eq!(ask("PutObject", "/state/a"), Some(refuse));
        assert_eq!(ask("PutObject", "/state/a"), None, "spent");
        assert!(faults.rules.is_empty());
    }

    #[test]
    fn another_service_is_not_harmed() {
        let mut faults = Faults::default();
        faults
            .add(Rule { operation: None, ..Rule::once(Service::Control, "", Verdict::LoseReply) });
        assert_eq!(faults.next(Service::S3, "PutObject", "/"), None);
        assert_eq!(faults.next(Service::Control, "CreateJob", "/"), Some(Verdict::LoseReply));
    }
}
