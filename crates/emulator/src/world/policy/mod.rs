//! Policy documents: the statements of a role, of a bucket, of a key, and how one of them is judged
//! (IAM User Guide: policy evaluation logic, JSON policy element reference).
//!
//! Judged are `Effect`, `Principal`, `Action`, `NotAction`, `Resource`, `NotResource`, and conditions on
//! texts, ARNs, numbers and truth over the keys that a request brings. A condition over a key that the request does
//! not bring is not met, as in IAM. Policy variables (`${…}`) and conditions on dates and
//! addresses are refused when a policy is set.

mod condition;

use serde_json::Value;

use self::condition::{Condition, conditions};
use super::{Answer, Refusal};

/// The longest document that any service takes: 32 KiB, a key's (AWS KMS Developer Guide: quotas).
const DOCUMENT_MAX: usize = 32 * 1_024;

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits, unless another statement denies.
    Allow,
    /// Denies, whatever else permits.
    Deny,
}

/// What a set of statements says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Some statement allows it to this very principal, or to everybody, and none denies it.
    Allowed,
    /// Some statement allows it to the principal's account, which may pass it on, and none denies it.
    Delegated,
    /// Some statement denies it.
    Denied,
    /// No statement is about it.
    Silent,
}

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The ARN of the role, or a service: who wants it.
    pub principal: &'a str,
    /// `s3:GetObject`.
    pub action: &'a str,
    /// The ARN of the resource.
    pub resource: &'a str,
    /// Condition keys in lower case, with what the request brings for them.
    pub context: &'a [(&'a str, &'a str)],
}

/// A statement's `Principal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// There is none: the policy belongs to a role, and is about that role.
    Owner,
    /// These ARNs, accounts and services; `*` is everybody.
    Named(Vec<String>),
    /// Everybody but these.
    AllBut(Vec<String>),
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its `Sid`, or the name of the policy that it is of.
    pub id: String,
    /// Its `Sid`, if it has one, whatever it is of.
    pub sid: Option<String>,
    /// Allow or Deny.
    pub effect: Effect,
    /// Who it is about.
    pub principal: Principal,
    /// `s3:GetObject`, `s3:*`, `*`; case does not matter.
    pub actions: Vec<String>,
    /// ARNs, with `*` and `?`.
    pub resources: Vec<String>,
    /// The actions are those that it is not about.
    pub not_actions: bool,
    /// The resources are those that it is not about.
    pub not_resources: bool,
    conditions: Vec<Condition>,
}

impl Statement {
    /// A statement that permits.
    pub fn allow(id: &str, actions: &[&str], resources: &[&str]) -> Self {
        Self::new(id, Effect::Allow, actions, resources)
    }

    /// A statement that denies.
    pub fn deny(id: &str, actions: &[&str], resources: &[&str]) -> Self {
        Self::new(id, Effect::Deny, actions, resources)
    }

    fn new(id: &str, effect: Effect, actions: &[&str], resources: &[&str]) -> Self {
        let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        Self {
            id: id.to_owned(),
            sid: None,
            effect,
            principal: Principal::Owner,
            actions: owned(actions),
            resources: owned(resources),
            not_actions: false,
            not_resources: false,
            conditions: Vec::new(),
        }
    }

    /// Whether it is about this very principal, or everybody, and not only about its account.
    fn names(&self, principal: &str) -> bool {
        match &self.principal {
            Principal::Named(list) => list.iter().any(|it| it == "*" || it == principal),
            Principal::Owner | Principal::AllBut(_) => true,
        }
    }

    /// Whether it is about what is asked.
    pub(super) fn matches(&self, question: &Question<'_>) -> bool {
        let action = self.actions.iter().any(|pattern| like(pattern, question.action, true));
        let resource = self.resources.iter().any(|pattern| like(pattern, question.resource, false));
        let named = |list: &[String]| list.iter().any(|it| is_principal(it, question.principal));
        let principal = match &self.principal {
            Principal::Owner => true,
            Principal::Named(list) => named(list),
            Principal::AllBut(list) => !named(list),
        };
        principal
            && action != self.not_actions
            && resource != self.not_resources
            && self.conditions.iter().all(|condition| condition.is_met(question.context))
    }
}

impl Statement {
    /// Whether it is about a bucket, by its whole name, that is not this one.
    pub fn is_of_another_bucket(&self, name: &str) -> bool {
        let other = |resource: &String| {
            let path = resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
            let bucket = path.split('/').next().unwrap_or_default();
            !bucket.is_empty() && bucket != name && !bucket.contains(['*', '?'])
        };
        !self.not_resources && self.resources.iter().any(other)
    }
}

/// What these statements say together.
pub fn decide<'a>(
    statements: impl IntoIterator<Item = &'a Statement>,
    question: &Question<'_>,
) -> Decision {
    let mut decision = Decision::Silent;
    for statement in statements.into_iter().filter(|one| one.matches(question)) {
        match statement.effect {
            Effect::Deny => return Decision::Denied,
            Effect::Allow if statement.names(question.principal) => decision = Decision::Allowed,
            Effect::Allow if decision == Decision::Silent => decision = Decision::Delegated,
            Effect::Allow => {}
        }
    }
    decision
}

/// Reads a document. Statements without a `Sid` get `id`.
///
/// # Errors
/// 400 `MalformedPolicyDocument` with the first thing that is wrong.
pub fn parse(document: &str, id: &str) -> Answer<Vec<Statement>> {
    if document.len() > DOCUMENT_MAX {
        return Err(malformed("it has more than 32 KiB"));
    }
    if document.contains("${") {
        return Err(malformed("this emulator does not know policy variables (${…})"));
    }
    let document: Value =
        serde_json::from_str(document).map_err(|why| malformed(&format!("not JSON: {why}")))?;
    let statements: Vec<&Value> = match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(malformed("Statement is missing")),
    };
    check_members(&document, &["Version", "Id", "Statement"])?;
    let version = document.get("Version").map_or(Some(""), Value::as_str);
    if !matches!(version, Some("" | "2012-10-17" | "2008-10-17")) {
        return Err(malformed("Version must be 2012-10-17 or 2008-10-17"));
    }
    if statements.is_empty() {
        return Err(malformed("it has no statements"));
    }
    let read = statements.into_iter().map(|statement| read(statement, id));
    let read: Vec<Statement> = read.collect::<Answer<_>>()?;
    let mut sids: Vec<&String> = read.iter().filter_map(|one| one.sid.as_ref()).collect();
    sids.sort_unstable();
    if sids.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
    }
    Ok(read)
}

/// A member that is misspelt would be passed over, and the policy mean something else than its author did.
fn check_members(object: &Value, known: &[&str]) -> Answer<()> {
    let members = object.as_object().into_iter().flatten();
    match members.map(|(name, _)| name).find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(malformed(&format!("{name} is no element of a policy"))),
    }
}

/// Whether each action names its service, and each resource is an ARN.
fn check_names(actions: &[String], resources: &[String]) -> Answer<()> {
    if !actions.iter().all(|action| action == "*" || action.contains(':')) {
        return Err(malformed(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ));
    }
    let is_arn =
        |it: &&String| it.as_str() == "*" || it.starts_with("arn:") || it.starts_with("*:");
    match resources.iter().find(|it| !is_arn(it)) {
        None => Ok(()),
        Some(odd) => Err(malformed(&format!("Resource {odd} must be in ARN format or \"*\"."))),
    }
}

/// The elements of a statement (IAM User Guide: JSON policy element reference).
const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

fn read(statement: &Value, id: &str) -> Answer<Statement> {
    check_members(statement, &ELEMENTS)?;
    let effect = match statement.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(malformed("Effect must be Allow or Deny")),
    };
    let either = |yes: &str, no: &str| match (statement.get(yes), statement.get(no)) {
        (Some(list), None) => Ok((texts(list)?, false)),
        (None, Some(list)) => Ok((texts(list)?, true)),
        (Some(_), Some(_)) => Err(malformed(&format!("{yes} and {no} exclude each other"))),
        (None, None) => Err(malformed(&format!("{yes} is missing"))),
    };
    let (actions, not_actions) = either("Action", "NotAction")?;
    let principal = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (None, None) => Principal::Owner,
        (Some(named), _) => Principal::Named(principals(named)?),
        (None, Some(named)) => Principal::AllBut(principals(named)?),
    };
    let anywhere = principal != Principal::Owner
        && statement.get("Resource").is_none()
        && statement.get("NotResource").is_none();
    // A trust policy has no resource: it is about its role.
    let (resources, not_resources) =
        if anywhere { (vec!["*".to_owned()], false) } else { either("Resource", "NotResource")? };
    check_names(&actions, &resources)?;
    let sid = statement.get("Sid").and_then(Value::as_str).map(str::to_owned);
    let id = sid.as_deref().unwrap_or(id).to_owned();
    let conditions = conditions(statement.get("Condition"))?;
    Ok(Statement {
        id,
        sid,
        effect,
        principal,
        actions,
        resources,
        not_actions,
        not_resources,
        conditions,
    })
}

fn principals(named: &Value) -> Answer<Vec<String>> {
    match named {
        Value::String(all) if all == "*" => Ok(vec!["*".to_owned()]),
        Value::Object(kinds) => {
            let lists: Answer<Vec<_>> = kinds.values().map(texts).collect();
            let is_account = |it: &str| it.len() == 12 && it.bytes().all(|it| it.is_ascii_digit());
            let own = kinds.get("AWS").map(texts).transpose()?.unwrap_or_default();
            let odd = |it: &String| it != "*" && !it.starts_with("arn:") && !is_account(it);
            if own.iter().any(odd) {
                return Err(malformed("Invalid principal in policy"));
            }
            Ok(lists?.concat())
        }
        _ => Err(malformed("Principal must be \"*\" or an object")),
    }
}

/// Whether `named` in a policy is `principal`: itself, its account, or everybody.
fn is_principal(named: &str, principal: &str) -> bool {
    let account = principal.split(':').nth(4).filter(|account| !account.is_empty());
    named == "*"
        || named == principal
        || account.is_some_and(|account| {
            let rest = named.strip_prefix("arn:aws:iam::").and_then(|it| it.strip_prefix(account));
            named == account || rest == Some(":root")
        })
}

fn texts(value: &Value) -> Answer<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(malformed("a list holds something that is no text")),
    };
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(400, "MalformedPolicyDocument", format!("The policy cannot be read: {what}"))
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters and `?` for one.
pub(super) fn like(pattern: &str, text: &str, any_case: bool) -> bool {
    let same =
        |a: &u8, b: &u8| *a == b'?' || if any_case { a.eq_ignore_ascii_case(b) } else { a == b };
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star seen, and the first byte of `text` that it does not yet cover.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if same(wanted, byte) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, covered)) = star else {
                    return false;
                };
                star = Some((at, covered + 1));
                p = at + 1;
                t = covered + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/rep";

    fn says(document: &str, action: &str, resource: &str) -> Decision {
        let context = [("aws:sourceaccount", "111122223333")];
        let question = Question { principal: ROLE, action, resource, context: &context };
        decide(&parse(document, "p").unwrap(), &question)
    }

    #[test]
    fn wildcards_match_any_run_of_characters() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(like(pattern, text, false), expected, "{pattern} against {text}");
        };
        check("*", "", true);
        check("arn:aws:s3:::src/*", "arn:aws:s3:::src/a/b", true);
        check("arn:aws:s3:::src/*", "arn:aws:s3:::src", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-b-b-d", false);
        check("abc", "abcd", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        assert!(like("s3:get*", "s3:GetObject", true));
    }

    #[test]
    fn a_bucket_policy_is_about_those_it_names() {
        let of = |principal: &str| {
            format!(
                r#"{{"Statement":{{"Effect":"Allow","Principal":{principal},"Action":"s3:Replicate*","Resource":"arn:aws:s3:::dst/*"}}}}"#
            )
        };
        for (principal, expected) in [
            ("\"*\"", Decision::Allowed),
            (r#"{"AWS":"arn:aws:iam::111122223333:role/rep"}"#, Decision::Allowed),
            (r#"{"AWS":["444455556666","arn:aws:iam::111122223333:root"]}"#, Decision::Delegated),
            (r#"{"AWS":"111122223333"}"#, Decision::Delegated),
            (r#"{"AWS":"arn:aws:iam::111122223333:role/other"}"#, Decision::Silent),
            (r#"{"Service":"s3.amazonaws.com"}"#, Decision::Silent),
        ] {
            let said = says(&of(principal), "s3:ReplicateObject", "arn:aws:s3:::dst/k");
            assert_eq!(said, expected, "{principal}");
        }
    }

    #[test]
    fn a_denial_wins_and_what_is_not_named_is_silent() {
        let document = r#"{"Statement":[
            {"Effect":"Allow","NotAction":"s3:Delete*","Resource":"*"},
            {"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::src/*"}]}"#;
        assert_eq!(says(document, "s3:GetObject", "arn:aws:s3:::src/k"), Decision::Allowed);
        assert_eq!(says(document, "s3:DeleteObject", "arn:aws:s3:::src/k"), Decision::Silent);
        assert_eq!(says(document, "s3:GetObject", "arn:aws:s3:::dst/k"), Decision::Denied);
    }

    #[test]
    fn conditions_decide_over_the_keys_that_a_request_brings() {
        let of = |condition: &str| {
            let document = format!(
                r#"{{"Statement":{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}}}"#
            );
            says(&document, "s3:GetObject", "arn:aws:s3:::src/k") == Decision::Allowed
        };
        assert!(of(r#"{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#));
        assert!(of(r#"{"StringLike":{"aws:SourceAccount":"1111*"}}"#));
        assert!(!of(r#"{"StringEquals":{"aws:SourceAccount":"444455556666"}}"#));
        assert!(
            !of(r#"{"StringEquals":{"aws:PrincipalTag/team":"x"}}"#),
            "a key that is not there"
        );
        assert!(of(r#"{"StringEqualsIfExists":{"aws:PrincipalTag/team":"x"}}"#));
        assert!(of(r#"{"StringNotEquals":{"aws:PrincipalTag/team":"x"}}"#));
        assert!(of(r#"{"Null":{"aws:PrincipalTag/team":"true"}}"#));
        assert!(of(r#"{"NumericGreaterThan":{"aws:SourceAccount":"111122223332"}}"#));
        assert!(!of(r#"{"NumericLessThan":{"aws:SourceAccount":"111122223333"}}"#));
        assert!(!of(r#"{"NumericLessThan":{"s3:TlsVersion":"1.2"}}"#), "a key that is not there");
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for document in [
            "nonsense",
            "{}",
            r#"{"Statement":{"Effect":"Maybe","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":[{}],"Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}}"#,
            r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-01-01"}}}}"#,
        ] {
            assert_eq!(parse(document, "p").unwrap_err().code, "MalformedPolicyDocument");
        }
    }
}
