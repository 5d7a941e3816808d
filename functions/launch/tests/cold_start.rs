//! The binary that Lambda starts, on the wire from end to end: a Runtime API that hands it one event,
//! settings from the environment, and the AWS SDK over a socket to an endpoint that is set as for any
//! AWS tool. S3 Control is among what it calls, whose host names no loopback address survives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::{Command, Stdio};
use std::time::Duration;

use resilver_emulator::Emulator;
use resilver_emulator::world::ops::{bucket, put};
use resilver_emulator::world::{Config, World};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const STATE: &str = "resilver-state";

fn binary(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resilver-launch"));
    command.env_clear().envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_function_that_cannot_start_names_every_setting_that_it_misses() {
    let output = binary(&[("RESILVER_LIMITS", "{\"day_jobs\": 1}")]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    let missing = ["RESILVER_ACCOUNT", "RESILVER_STATE_BUCKET", "RESILVER_JOB_ROLE_ARN"];
    for name in missing {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
    assert!(said.contains("RESILVER_LIMITS cannot be read"), "{said}");
}

#[tokio::test]
async fn it_answers_the_runtime_and_starts_a_job() {
    let emulator = Emulator::new(Config::default());
    emulator.with(failed);
    let aws = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let runtime = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, endpoint) = (runtime.local_addr().unwrap().to_string(), aws.endpoint());
    let (id, secret) = Config::default().credentials.unwrap();
    let mut function = binary(&[
        ("AWS_LAMBDA_RUNTIME_API", &at),
        ("AWS_LAMBDA_FUNCTION_NAME", "launch"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        ("AWS_LAMBDA_LOG_GROUP_NAME", ""),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", &id),
        ("AWS_SECRET_ACCESS_KEY", &secret),
        ("RESILVER_ACCOUNT", "111122223333"),
        ("RESILVER_STATE_BUCKET", STATE),
        ("RESILVER_JOB_ROLE_ARN", "arn:aws:iam::111122223333:role/resilver-batch"),
    ])
    .spawn()
    .unwrap();
    let event = json!({"time": "2026-01-01T01:00:00Z"});
    let answer = tokio::time::timeout(Duration::from_secs(60), invoke(&runtime, &event)).await;
    function.kill().unwrap();
    let output = function.wait_with_output().unwrap();
    let (log, answer) = (String::from_utf8_lossy(&output.stdout), answer.expect("an answer"));
    assert_eq!(answer["launched"][0]["outcome"], "started", "{answer} {log}");
    emulator.with(|world| {
        let job = world.jobs.iter().next().expect("a job");
        assert!(job.request.description.as_deref().unwrap().starts_with("resilver/photos/"));
        assert!(world.buckets[STATE].keys.contains_key("ledger/photos/head.json"));
    });
    aws.stop().await;
}

/// A bucket one of whose versions failed, of something that nobody knows: it is tried again.
fn failed(world: &mut World) {
    for name in [STATE, "photos"] {
        bucket::create(world, name, "111122223333", "us-east-1").unwrap();
    }
    let row = "a%20b,v1,failed,2026-01-01T00:00:00.000Z,BrandNew,\n";
    put::store(world, STATE, "failures/photos/1.csv", row.into(), "text/csv").unwrap();
}

/// Lambda's Runtime API, as far as one invocation goes; gives the function's answer.
async fn invoke(runtime: &TcpListener, event: &Value) -> Value {
    let (asked, mut answers) = tokio::sync::mpsc::unbounded_channel();
    loop {
        tokio::select! {
            answer = answers.recv() => return answer.unwrap(),
            connection = runtime.accept() => {
                let (event, asked) = (event.to_string(), asked.clone());
                tokio::spawn(async move { serve(connection.unwrap().0, event, asked).await });
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    event: String,
    answers: tokio::sync::mpsc::UnboundedSender<Value>,
) {
    let mut stream = BufReader::new(stream);
    while let Some((line, body)) = request(&mut stream).await {
        if line.starts_with("GET") && line.contains("/invocation/next") {
            let head = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\n\
                Lambda-Runtime-Deadline-Ms: 9999999999999\r\nContent-Type: application/json\r\n\
                Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:111122223333:function:launch\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{event}", event.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            continue;
        }
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let end = if line.contains("/r-1/response") { answer } else { json!({"failed": answer}) };
        // Whoever asked may have its answer already.
        let _ = answers.send(end);
        let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(accepted.as_bytes()).await.unwrap();
    }
}

/// A request's first line and its body; `None` when the connection ends.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if first.is_empty() {
            first = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first, body))
}
