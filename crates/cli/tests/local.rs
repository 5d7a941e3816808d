//! `resilver local` as a user starts it: the real binary, its ready line, its ends, and what survives it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod served;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use served::{Server, command};

impl Server {
    fn sqs(&self, operation: &str, input: &str) -> Value {
        let target = format!("AmazonSQS.{operation}");
        let headers = [("X-Amz-Target", target.as_str())];
        serde_json::from_str(&self.fine("POST", "/", &headers, input)).unwrap()
    }

    fn signal(&mut self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Ends it as somebody who waits for it would see it end.
    fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

#[track_caller]
fn refused(output: &Output, code: i32, wrong: &str, next: &str) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!((said.lines().count(), output.stdout.len()), (1, 0), "{said}");
    assert!(said.contains(wrong) && said.contains(next), "{said}");
}

#[test]
fn the_ready_line_is_all_that_a_program_needs_and_a_signal_ends_it_well() {
    for signal in ["TERM", "INT"] {
        let server = Server::start(&["--region", "eu-west-1", "--account", "444455556666"]);
        let keys: Vec<&String> = server.ready.as_object().unwrap().keys().collect();
        let wanted = ["access_key_id", "account_id", "endpoint", "region", "secret_access_key"];
        assert_eq!(keys, wanted);
        assert_eq!(server.ready["account_id"], "444455556666");
        let clock = server.fine("GET", "/_resilver/clock", &[], "");
        assert!(clock.contains("now_ms"), "{clock}");
        server.fine("PUT", "/photos", &[], "");
        let place = server.fine("GET", "/photos?location", &[], "");
        assert!(place.contains("eu-west-1"), "{place}");
        assert_eq!(server.end(signal), Some(0), "after SIG{signal}");
    }
}

#[test]
fn a_person_is_told_what_to_type() {
    let mut child = command(&["--listen", "127.0.0.1:0"]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("The embedded AWS listens at http://127.0.0.1:"), "{line}");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    for part in ["export AWS_ENDPOINT_URL=http://127.0.0.1:", "HTTP_PROXY=", "aws s3api"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let run = |arguments: &[&str]| command(arguments).output().unwrap();
    refused(&run(&["--listen", &addr]), 1, "in use", "--listen");
    refused(&run(&["--listen", "nowhere"]), 2, "nowhere", "resilver local --help");
    refused(&run(&["--speed", "0"]), 2, "0", "resilver local --help");
    refused(&run(&["--account", "12"]), 2, "12 digits", "resilver local --help");
    refused(&run(&["--sqs-endpoint", "https://x"]), 2, "http://HOST:PORT", "--help");
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    refused(&run(&["--listen", "127.0.0.1:0", "--data-dir", file]), 2, file, "directory");
}

/// Everything about the versions of a bucket, and the body of one object.
fn shown(server: &Server) -> (String, String) {
    let versions = server.fine("GET", "/src?versions", &[], "");
    (versions, server.fine("GET", "/src/a%20b", &[], ""))
}

#[test]
fn an_account_survives_its_server_even_one_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let server = Server::start(&["--data-dir", path]);
    for bucket in ["/src", "/dst"] {
        server.fine("PUT", bucket, &[], "");
        let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        server.fine("PUT", &format!("{bucket}?versioning"), &[], on);
    }
    server.fine("PUT", "/src/a%20b", &[("x-amz-meta-by", "me")], "one");
    server.fine("PUT", "/src/a%20b", &[], "two");
    server.fine("DELETE", "/src/gone", &[], "");
    server.sqs("CreateQueue", r#"{"QueueName":"q"}"#);
    let queue = r#"{"QueueUrl":"x/q","MessageBody":"hello"}"#;
    server.sqs("SendMessage", queue);
    // What is refused leaves nothing behind, and what chance it drew matters to nobody.
    assert_eq!(server.ask("PUT", "/none/k", &[], "x").0, 404);
    server.fine("POST", "/_resilver/clock", &[], r#"{"advance_ms":86400000}"#);
    server.fine("PUT", "/src/later", &[], "three");
    let before = shown(&server);
    assert_eq!(server.end("KILL"), None);

    let journal = dir.path().join("journal");
    let whole = fs::metadata(&journal).unwrap().len();
    OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"cut o").unwrap();
    let again = Server::start(&["--data-dir", path]);
    assert_eq!(shown(&again), before);
    assert_eq!(fs::metadata(&journal).unwrap().len(), whole, "what was cut off makes room");
    assert_eq!(fs::read(dir.path().join("journal.cut")).unwrap(), b"cut o", "and is kept");
    let received = again.sqs("ReceiveMessage", r#"{"QueueUrl":"x/q"}"#);
    assert_eq!(received["Messages"][0]["Body"], "hello");
    let second = command(&["--listen", "127.0.0.1:0", "--data-dir", path]).output().unwrap();
    refused(&second, 2, "in use by another server", "--data-dir");
    again.fine("PUT", "/src/after", &[], "four");
    let before = shown(&again);
    assert_eq!(again.end("TERM"), Some(0));

    let other = ["--listen", "127.0.0.1:0", "--seed", "7", "--data-dir", path];
    refused(&command(&other).output().unwrap(), 2, "seed 1, not of", "--seed");
    assert_eq!(shown(&Server::start(&["--data-dir", path])), before);
    assert_other_files(&journal);
}

/// A file that is no journal is left as it is, and so is one that is damaged.
fn assert_other_files(journal: &Path) {
    let mut bytes = fs::read(journal).unwrap();
    let entry = bytes.windows(9).position(|it| it == b"{\"now\":17").unwrap();
    bytes[entry] = b'[';
    fs::write(journal, &bytes).unwrap();
    let path = journal.parent().unwrap().to_str().unwrap();
    let output = command(&["--listen", "127.0.0.1:0", "--data-dir", path]).output().unwrap();
    refused(&output, 2, "damaged at byte", "--data-dir");
    assert_eq!(fs::read(journal).unwrap(), bytes);
    fs::write(journal, "somebody's notes, which are longer than a header").unwrap();
    let path = journal.parent().unwrap().to_str().unwrap();
    let output = command(&["--listen", "127.0.0.1:0", "--data-dir", path]).output().unwrap();
    refused(&output, 2, "no journal", "--data-dir");
    assert!(fs::read_to_string(journal).unwrap().starts_with("somebody's notes"));
}

/// Receives from a queue until so many messages have come, in ten seconds at most.
fn messages(server: &Server, queue: &str, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(10);
    let mut bodies = Vec::new();
    while bodies.len() < count {
        assert!(Instant::now() < until, "only {bodies:?}");
        let input = format!(r#"{{"QueueUrl":"x/{queue}","WaitTimeSeconds":1}}"#);
        let received = server.sqs("ReceiveMessage", &input);
        let all = received["Messages"].as_array().cloned().unwrap_or_default();
        bodies.extend(all.iter().map(|it| it["Body"].as_str().unwrap().to_owned()));
    }
    bodies
}

#[test]
fn events_go_to_the_queues_and_the_bus_of_another_server() {
    let there = Server::start(&[]);
    there.sqs("CreateQueue", r#"{"QueueName":"failures"}"#);
    let policy = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"sqs:*\",\"Resource\":\"*\"}}"#;
    let input = format!(r#"{{"QueueName":"jobs","Attributes":{{"Policy":"{policy}"}}}}"#);
    there.sqs("CreateQueue", &input);
    let events = |operation: &str, input: &str| {
        let target = format!("AWSEvents.{operation}");
        there.fine("POST", "/", &[("X-Amz-Target", &target)], input);
    };
    events("PutRule", r#"{"Name":"r","EventPattern":"{\"source\":[\"aws.s3\"]}"}"#);
    let jobs = "arn:aws:sqs:us-east-1:111122223333:jobs";
    let targets = format!(r#"{{"Rule":"r","Targets":[{{"Id":"1","Arn":"{jobs}"}}]}}"#);
    events("PutTargets", &targets);

    let elsewhere = ["--sqs-endpoint", there.endpoint(), "--events-endpoint", there.endpoint()];
    let here = Server::start(&elsewhere);
    here.fine("PUT", "/src", &[], "");
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    here.fine("PUT", "/src?versioning", &[], on);
    let document = "<NotificationConfiguration><QueueConfiguration><Id>f</Id><Queue>arn:aws:sqs:us-east-1:111122223333:failures</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>";
    here.fine("PUT", "/src?notification", &[], document);
    here.fine("PUT", "/src/k", &[], "body");
    here.fine("POST", "/_resilver/clock", &[], r#"{"advance_ms":60000}"#);
    let said = messages(&there, "failures", 2).concat();
    assert!(said.contains("s3:TestEvent") && said.contains("ObjectCreated:Put"), "{said}");
    let told = messages(&there, "jobs", 2).concat();
    assert!(told.contains("PutBucketVersioning") && told.contains("CloudTrail"), "{told}");
}
