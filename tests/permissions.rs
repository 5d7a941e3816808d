//! Least privilege, evaluated: the stack's roles are watched through everything that an installation ever
//! does. Nothing that they ask for is denied, and without any one of their permissions something would be.

use std::collections::BTreeSet;

use resilver_emulator::world::audit::Ground;
use resilver_tests::exercise::{Record, named, tagged};
use resilver_tests::stack::{PHOTOS, changed, outcome, template};
use resilver_tests::{SOURCE, STATE};
use serde_json::Value;

/// What AWS does in the name of a role, or is allowed by a queue: actions, who is allowed them, who does
/// them, and the page that demands them. docs/permissions.md has the same table, with what they are on.
const LAMBDA_AND_OTHERS: [(&str, &str, &str, &str); 14] = [
    (
        "logs:CreateLogStream, logs:PutLogEvents",
        "each function's role",
        "Lambda",
        "Lambda Developer Guide: monitoring-cloudwatchlogs",
    ),
    (
        "xray:PutTraceSegments, xray:PutTelemetryRecords",
        "each function's role",
        "Lambda",
        "Lambda Developer Guide: services-xray",
    ),
    (
        "sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes",
        "CollectRole",
        "Lambda's pollers",
        "Lambda Developer Guide: services-sqs-configure",
    ),
    (
        "lambda:InvokeFunction",
        "SchedulerRole",
        "EventBridge Scheduler",
        "EventBridge Scheduler User Guide: setting-up",
    ),
    (
        "lambda:InvokeFunction",
        "events.amazonaws.com",
        "EventBridge",
        "EventBridge User Guide: eb-use-resource-based",
    ),
    (
        "sqs:SendMessage",
        "events.amazonaws.com",
        "EventBridge",
        "EventBridge User Guide: eb-rule-dlq",
    ),
    (
        "sqs:SendMessage",
        "s3.amazonaws.com",
        "S3",
        "S3 User Guide: grant-destinations-permissions-to-s3",
    ),
    (
        "s3:InitiateReplication",
        "JobRole",
        "S3 Batch Operations",
        "S3 User Guide: s3-batch-replication-policies",
    ),
    (
        "s3:GetReplicationConfiguration, s3:PutInventoryConfiguration",
        "JobRole",
        "S3 Batch Operations",
        "S3 User Guide: s3-batch-replication-policies",
    ),
    (
        "s3:GetObject",
        "JobRole",
        "S3 Batch Operations",
        "S3 User Guide: s3-batch-replication-policies",
    ),
    (
        "s3:GetObjectVersion",
        "JobRole",
        "S3 Batch Operations",
        "S3 User Guide: s3-batch-replication-policies",
    ),
    (
        "s3:PutObject",
        "JobRole",
        "S3 Batch Operations",
        "S3 User Guide: s3-batch-replication-policies",
    ),
    (
        "sts:AssumeRole",
        "lambda.amazonaws.com, scheduler.amazonaws.com, batchoperations.s3.amazonaws.com",
        "those services",
        "Lambda Developer Guide: lambda-intro-execution-role",
    ),
    ("events:PutEvents", "ForwardRole", "EventBridge", "EventBridge User Guide: eb-cross-region"),
];

/// What AWS's own policy of a job's role has, and the embedded AWS does not ask for: how S3 reads the
/// manifest that it has made itself, and versions of a manifest (S3 User Guide: s3-batch-replication-policies).
const AS_DOCUMENTED: [&str; 3] = [
    "s3:GetObject generated/*",
    "s3:GetObjectVersion generated/*",
    "s3:GetObjectVersion manifests/*",
];

const FUNCTIONS: [&str; 6] =
    ["CollectRole", "LaunchRole", "SettleRole", "NotifyRole", "EnrollRole", "BackfillRole"];

/// A permission, by the logical id of its role; what is permitted of each source is one permission.
fn line(record: &Record, ground: &Ground) -> String {
    let role = &record.roles[&ground.role];
    let resource = ground.resource.replace(PHOTOS, SOURCE);
    format!("{role} {} {} {resource}", ground.statement, ground.action)
}

fn lines<'a>(record: &Record, all: impl IntoIterator<Item = &'a Ground>) -> BTreeSet<String> {
    let ours = all.into_iter().filter(|ground| record.roles.contains_key(&ground.role));
    ours.map(|ground| line(record, ground)).collect()
}

fn documented() -> BTreeSet<String> {
    let full = AS_DOCUMENTED.map(|it| it.replacen(' ', &format!(" arn:aws:s3:::{STATE}/"), 1));
    full.into_iter().map(|it| format!("JobRole replicate/ReadManifests {it}")).collect()
}

#[test]
fn no_permission_is_missing() {
    for record in [named(), tagged()] {
        let ours = record.uses.iter().filter(|it| record.roles.contains_key(&it.role));
        let denied: Vec<_> = ours.filter(|it| !it.allowed).collect();
        assert!(denied.is_empty(), "{denied:#?}");
    }
}

#[test]
fn without_any_one_permission_something_that_is_needed_would_be_denied() {
    let all = lines(named(), &named().permitted);
    let needed = lines(named(), &named().needed);
    let spare: BTreeSet<String> = all.difference(&needed).cloned().collect();
    assert_eq!(spare, documented(), "nothing else is spare where buckets are named");
    // By a tag, what is of all buckets is of the state bucket, too: only what is otherwise is looked at.
    let by_tag = lines(tagged(), &tagged().permitted);
    let needed = lines(tagged(), &tagged().needed);
    let spare: Vec<_> = by_tag.difference(&all).filter(|it| !needed.contains(*it)).collect();
    assert!(spare.is_empty(), "{spare:#?}");
    assert!(by_tag.difference(&all).count() > 10);
}

/// A table of docs/permissions.md: the cells of its rows, without backticks.
fn table(section: &str) -> Vec<Vec<String>> {
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let row = row.trim_matches('|').split('|');
        row.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

const PAGE: &str = include_str!("../docs/permissions.md");

/// A chapter of the page.
fn chapter(title: &str) -> &'static str {
    let from = PAGE.split(&format!("\n## {title}\n")).nth(1).unwrap();
    from.split("\n## ").next().unwrap()
}

fn aws_does() -> Vec<Vec<String>> {
    table(chapter("What AWS does for the stack"))
}

fn plain(cell: &str) -> String {
    cell.replace('`', "")
}

#[test]
fn what_aws_itself_uses_stands_in_a_table_with_the_page_that_demands_it() {
    let mut page = "";
    let rows = aws_does();
    assert_eq!(rows.len(), LAMBDA_AND_OTHERS.len());
    for (row, (actions, allowed, by, demands)) in rows.iter().zip(LAMBDA_AND_OTHERS) {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        assert_eq!(cells[0], actions);
        assert!(cells[1].starts_with(allowed), "{cells:?}");
        assert!(cells[3].starts_with(by), "{cells:?}");
        page = if cells[4].starts_with("the same") { page } else { demands };
        assert!(cells[4].starts_with("the same") || cells[4].starts_with(demands), "{cells:?}");
        assert_eq!(page, demands, "{cells:?}");
    }
}

/// What is permitted, as docs/permissions.md says it: action and place.
fn places(record: &Record) -> BTreeSet<(String, String)> {
    let place = |resource: &str| match resource.strip_prefix(&format!("arn:aws:s3:::{STATE}")) {
        Some(key) => format!("state{key}"),
        None if resource.contains(":s3:::") => "buckets".to_owned(),
        None => "elsewhere".to_owned(),
    };
    let said = |ground: &Ground| {
        let role = &record.roles[&ground.role];
        (format!("{role} {}", ground.action), place(&ground.resource))
    };
    record.permitted.iter().map(said).collect()
}

/// The places of a cell.
fn places_of(cell: &str) -> Vec<String> {
    if let Some(keys) = cell.strip_prefix("state") {
        let keys = keys.split('`').skip(1).step_by(2).map(|key| format!("state/{key}"));
        let keys: Vec<String> = keys.collect();
        return if keys.is_empty() { vec!["state".to_owned()] } else { keys };
    }
    let buckets = cell.contains("sources") || cell.starts_with("buckets of the account");
    vec![if buckets { "buckets" } else { "elsewhere" }.to_owned()]
}

#[test]
fn the_page_of_permissions_has_every_permission_and_no_other() {
    let mut said = BTreeSet::new();
    let mut say = |role: &str, actions: &str, place: &str| {
        for action in actions.split('`').skip(1).step_by(2) {
            let role = format!("{role} {action}");
            said.extend(places_of(place).into_iter().map(|place| (role.clone(), place)));
        }
    };
    let roles: Vec<_> = chapter("What the functions do").split("\n### ").skip(1).collect();
    assert_eq!(roles.len(), FUNCTIONS.len());
    for (title, text) in roles.iter().filter_map(|role| role.split_once('\n')) {
        let role = title.split('`').nth(1).unwrap();
        let mut actions = String::new();
        for row in table(text) {
            if !row[0].is_empty() && !row[0].starts_with("the same") {
                actions.clone_from(&row[0]);
            }
            say(role, &actions, &row[1]);
        }
    }
    for row in aws_does() {
        match row[1].trim_matches('`') {
            "each function's role" => FUNCTIONS.iter().for_each(|role| say(role, &row[0], &row[2])),
            role @ ("CollectRole" | "SchedulerRole" | "JobRole") => say(role, &row[0], &row[2]),
            _ => {}
        }
    }
    let all: BTreeSet<_> = places(named()).union(&places(tagged())).cloned().collect();
    let missing: Vec<_> = all.difference(&said).collect();
    let too_much: Vec<_> = said.difference(&all).collect();
    assert!(
        missing.is_empty() && too_much.is_empty(),
        "missing {missing:#?}, not so {too_much:#?}"
    );
}

/// One thing that a policy permits.
enum Part {
    Action(&'static str),
    /// What its resource ends with.
    Resource(&'static str),
}

/// The template without a part of a statement of a role's policies, or of a policy.
fn without(document: &mut Value, id: &str, sid: &str, part: &Part) {
    let properties = &mut document["Resources"][id]["Properties"];
    let policy = match properties.get("Policies") {
        Some(_) => &mut properties["Policies"][0]["PolicyDocument"],
        None => &mut properties["PolicyDocument"],
    };
    let statements = policy["Statement"].as_array_mut().unwrap();
    let at = statements.iter().position(|statement| statement["Sid"] == sid).unwrap();
    let name = match part {
        Part::Action(_) => "Action",
        Part::Resource(_) => "Resource",
    };
    let fits = |it: &Value| match part {
        Part::Action(action) => it == action,
        Part::Resource(end) => it.to_string().contains(end),
    };
    match &mut statements[at][name] {
        Value::Array(list) => {
            let before = list.len();
            list.retain(|one| !fits(one));
            assert_eq!(list.len(), before - 1, "{id} {sid}");
        }
        one => {
            assert!(fits(one), "{id} {sid}");
            statements.remove(at);
        }
    }
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_missed_and_that_is_seen() {
    let (whole, denied) = outcome(template()).await;
    assert!(whole.contains("healed Some(3), heard true, left Ok(true)"), "{whole}");
    assert!(denied.is_empty(), "{denied:?}");
    let (action, resource) = (Part::Action, Part::Resource);
    for (id, sid, part, denied_action, seen) in [
        ("CollectRole", "WriteState", resource("failures/*"), "s3:PutObject", "healed Some(0)"),
        ("LaunchRole", "PassJobRole", action("iam:PassRole"), "iam:PassRole", "refused to start"),
        ("SettleRole", "LookAtJobs", action("s3:DescribeJob"), "s3:DescribeJob", "healed Some(0)"),
        ("NotifyRole", "ListState", action("s3:ListBucket"), "s3:ListBucket", "said []"),
        (
            "EnrollRole",
            "WireBuckets",
            action("s3:PutBucketNotification"),
            "s3:PutBucketNotification",
            "Enrolment",
        ),
        (
            "LetGoPolicy",
            "LetGo",
            action("s3:PutBucketNotification"),
            "s3:PutBucketNotification",
            "left Ok(false)",
        ),
        (
            "BackfillRole",
            "ReadConfigurations",
            action("s3:GetReplicationConfiguration"),
            "s3:GetReplicationConfiguration",
            "s3:GetReplicationConfiguration",
        ),
        (
            "JobRole",
            "Replicate",
            action("s3:InitiateReplication"),
            "s3:InitiateReplication",
            "healed Some(0)",
        ),
        (
            "SchedulerRole",
            "Wake",
            resource("LaunchFunction"),
            "lambda:InvokeFunction",
            "healed None",
        ),
    ] {
        let (said, denied) = outcome(changed(|document| without(document, id, sid, &part))).await;
        let role = if id == "LetGoPolicy" { "EnrollRole" } else { id };
        let missed =
            |(of, action): &(String, String)| of.starts_with(role) && action == denied_action;
        assert!(denied.iter().any(missed), "{id} {sid}: {denied:?}");
        assert!(said.contains(seen), "{id} {sid}: {said}");
        assert!(!whole.contains(seen), "{seen} is nothing new");
    }
}
