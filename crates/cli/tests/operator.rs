//! The operator's commands as they are typed: the real binary against a served stack, what it prints, and
//! how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod served;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use served::{Server, command};

const STATE: &str = "resilver-111122223333-us-east-1";
const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:resilver-failures";

/// The stack of the template, for buckets with a tag.
fn stack() -> Server {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    let tag = ["--parameter", "BucketTag=heal=yes", "--parameter", "BackfillRows=2"];
    let server = Server::start(&[&["--template", template][..], &tag].concat());
    assert_eq!(server.ready["state_bucket"], STATE);
    server
}

/// A command, with nothing in its environment but what it is given.
fn typed(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resilver"));
    command.args(arguments).env_clear();
    command.envs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command
}

/// Types a command; it ends with `code` and says all of `parts`, on stdout if all is well, in one line
/// on stderr if not.
#[track_caller]
fn says(server: &Server, arguments: &[&str], code: i32, parts: &[&str]) -> String {
    check(&typed(server.endpoint(), arguments).output().unwrap(), code, parts)
}

#[track_caller]
fn check(output: &Output, code: i32, parts: &[&str]) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(out.is_empty() || err.is_empty(), "{out}{err}");
    assert!(err.lines().count() <= 1, "{err}");
    let said = format!("{out}{err}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    said
}

fn json(server: &Server, arguments: &[&str], code: i32) -> Value {
    let all = [arguments, &["--json"]].concat();
    let output = typed(server.endpoint(), &all).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(code), 0));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A source and a replica, versioned, and three objects from before the rule between them.
fn buckets(server: &Server) {
    for bucket in ["photos", "photos-replica"] {
        server.fine("PUT", &format!("/{bucket}"), &[], "");
        let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        server.fine("PUT", &format!("/{bucket}?versioning"), &[], on);
    }
    for key in ["a", "b", "c"] {
        server.fine("PUT", &format!("/photos/{key}"), &[], key);
    }
    let form = |body: &str| {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        server.fine("POST", "/", &[kind], body);
    };
    let trust = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22s3.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D";
    form(&format!(
        "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument={trust}"
    ));
    let all = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A*%22%2C%22Resource%22%3A%22*%22%7D%7D";
    form(&format!(
        "Action=PutRolePolicy&Version=2010-05-08&RoleName=r&PolicyName=all&PolicyDocument={all}"
    ));
    let rules = "<ReplicationConfiguration><Role>arn:aws:iam::111122223333:role/r</Role><Rule><ID>all</ID><Priority>1</Priority><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::photos-replica</Bucket><Metrics><Status>Enabled</Status></Metrics></Destination></Rule></ReplicationConfiguration>";
    server.fine("PUT", "/photos?replication", &[], rules);
}

/// Lets so many minutes pass, the functions at work, until a status says so.
fn until(server: &Server, is: impl Fn(&Value) -> bool) -> Value {
    let last = Instant::now() + Duration::from_secs(60);
    loop {
        server.fine("POST", "/_resilver/clock", &[], r#"{"advance_ms":60000}"#);
        std::thread::sleep(Duration::from_millis(40));
        let status = json(server, &["status", "s3://photos"], 0);
        if is(&status["buckets"][0]) {
            return status;
        }
        assert!(Instant::now() < last, "{status:#}");
    }
}

#[test]
fn a_bucket_is_enrolled_paused_resumed_backfilled_and_let_go() {
    let server = stack();
    says(&server, &["status"], 0, &["No bucket is enrolled", "resilver enroll s3://BUCKET"]);
    says(&server, &["doctor"], 1, &["no-buckets", "1 finding."]);
    buckets(&server);
    let run = |arguments: &[&str], parts: &[&str]| says(&server, arguments, 0, parts);
    says(&server, &["doctor", "s3://photos"], 1, &["not-enrolled", "type: resilver enroll"]);
    let entry = format!(
        "+ resilver-resilver: s3:Replication:OperationFailedReplication, s3:Replication:OperationNotTracked to queue {QUEUE}"
    );
    run(&["enroll", "s3://photos", "--dry-run"], &["would be enrolled", &entry, "byte for byte"]);
    assert!(!server.fine("GET", "/photos?notification", &[], "").contains("Queue"));
    run(&["enroll", "s3://photos"], &["is enrolled by this change", &entry]);
    run(&["enroll", "s3://photos"], &["is enrolled already. Nothing is changed."]);
    run(&["doctor", "s3://photos"], &["nothing was found", "Nothing was found that stops"]);
    let paused = run(&["pause", "s3://photos", "--reason", "moving"], &["is paused", "moving"]);
    assert!(paused.contains("to go on      resilver resume s3://photos"), "{paused}");
    run(&["pause", "s3://photos", "--reason", "moving"], &["was paused already"]);
    let asked = ["backfill", "s3://photos"];
    run(
        &[&asked[..], &["--dry-run"]].concat(),
        &["would be asked for", "$0.25", "$0.015", "is paused"],
    );
    assert_eq!(json(&server, &["status"], 0)["buckets"][0]["backfills"], serde_json::json!([]));
    run(
        &asked,
        &["is asked for", "NONE, FAILED, REPLICA", "resilver backfill s3://photos --confirm"],
    );
    run(&["resume", "s3://photos", "--after", "6h"], &["stays paused until"]);
    run(&["resume", "s3://photos"], &["is resumed", "moving"]);
    run(&["resume", "s3://photos"], &["was not paused"]);
    until(&server, |bucket| bucket["scan"]["stage"] == "waits");
    let waits = ["3 versions for $0.400003", "it waits for you"];
    run(&["status"], &waits);
    run(&[&asked[..], &["--confirm"]].concat(), &["is confirmed", "3 versions", "$0.400003"]);
    until(&server, |bucket| bucket["totals"]["healed"] == 3);
    assert_eq!(server.fine("GET", "/photos-replica/b", &[], ""), "b");
    run(&[&asked[..], &["--drop"]].concat(), &["No backfill of s3://photos waits"]);
    run(&["unenroll", "s3://photos", "--dry-run"], &["would be let go", "- resilver-resilver"]);
    run(&["unenroll", "s3://photos"], &["is let go", "- resilver-resilver"]);
    run(&["unenroll", "s3://photos"], &["is not enrolled. Nothing is changed."]);
    run(&["status", "s3://photos"], &["enrolled      no"]);
}

#[test]
fn a_served_stack_says_where_its_state_is_and_what_to_type() {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    let tag = ["--parameter", "BucketTag=heal=yes"];
    let mut served =
        command(&[&["--listen", "127.0.0.1:0", "--template", template][..], &tag].concat());
    let mut served = served.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(served.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let id = served.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let told = String::from_utf8(served.wait_with_output().unwrap().stderr).unwrap();
    let state = format!("export RESILVER_STATE_BUCKET={STATE}");
    for part in ["export AWS_ENDPOINT_URL=http://127.0.0.1:", &state, "resilver doctor"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_with_what_to_do_next() {
    let server = stack();
    server.fine("PUT", "/plain", &[], "");
    let says = |arguments: &[&str], code: i32, parts: &[&str]| {
        says(&server, arguments, code, parts);
    };
    says(&["pause", "s3://nobody"], 2, &["there is no bucket nobody", "correct its name"]);
    says(&["status", "s3://nobody"], 2, &["there is no bucket nobody"]);
    says(&["enroll", "s3://nobody"], 2, &["there is no bucket nobody"]);
    says(&["unenroll", "s3://nobody"], 2, &["there is no bucket nobody"]);
    says(&["doctor", "s3://nobody"], 2, &["there is no bucket nobody"]);
    says(&["backfill", "s3://plain"], 1, &["is not enrolled", "resilver enroll s3://plain"]);
    says(&["backfill", "s3://plain", "--confirm"], 1, &["no backfill of s3://plain waits"]);
    says(&["backfill", "s3://plain/x", "--drop"], 2, &["write it as s3://plain"]);
    says(&["enroll", "s3://plain"], 1, &["versioning of plain is off", "enable its versioning"]);
    says(&["pause", "plain"], 2, &["write it as s3://plain", "resilver pause --help"]);
    says(
        &["status", "--stack", "other"],
        2,
        &["there is no state bucket other-", "deploy the stack other"],
    );
    says(&["status", "--state-bucket", STATE], 0, &[STATE]);
    says(&["doctor", "--stack", "other"], 1, &["no-stack", "deploy the stack other"]);
    says(&["backfill"], 2, &["<s3://BUCKET[/PREFIX]>", "resilver backfill --help"]);
    for help in ["status", "doctor", "pause", "resume", "backfill", "enroll", "unenroll"] {
        says(&[help, "--help"], 0, &["STACK-ACCOUNT-REGION", "Exit codes:", "--json"]);
    }
    let error = json(&server, &["pause", "s3://nobody"], 2);
    assert_eq!(error["error"]["code"], "no-such-bucket");
    for (name, value, part) in [
        ("AWS_REGION", "", "no Region is set"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "AWS_ENDPOINT_URL"),
    ] {
        let output = typed(server.endpoint(), &["status"]).env(name, value).output().unwrap();
        check(&output, 3, &[part]);
    }
    let mut other = typed(server.endpoint(), &["status"]);
    other.envs([("RESILVER_STACK", "other"), ("RESILVER_ACCOUNT", "444455556666")]);
    check(&other.output().unwrap(), 2, &["other-444455556666-us-east-1"]);
    other.env("RESILVER_STATE_BUCKET", STATE);
    check(&other.output().unwrap(), 0, &["Stack other", STATE]);
}
