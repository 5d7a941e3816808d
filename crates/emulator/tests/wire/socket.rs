//! The server: a client in clear text, absolute form, host style, lost replies, a running clock.

use std::time::Duration;

use resilver_emulator::Emulator;
use resilver_emulator::world::fault::{Rule, Service, Verdict};
use resilver_emulator::world::ops::{bucket, put};
use resilver_emulator::world::{Config, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn open() -> Emulator {
    let emulator = Emulator::new(Config { credentials: None, ..Config::default() });
    emulator.with(|world: &mut World| {
        bucket::create(world, "photos", "111122223333", "us-east-1").unwrap();
        put::store(world, "photos", "a b", "body".into(), "text/plain").unwrap();
    });
    emulator
}

/// Sends a request by hand and returns everything that comes back.
async fn exchange(server: &resilver_emulator::wire::server::Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_form_of_a_request_finds_its_object() {
    let emulator = open();
    let server = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    for (line, host) in [
        ("/photos/a%20b", "127.0.0.1"),
        ("/a%20b", "photos.localhost:1"),
        ("http://photos.s3.us-east-1.amazonaws.com/a%20b", "photos.s3.us-east-1.amazonaws.com"),
        ("http://aws.resilver.test/photos/a%20b", "aws.resilver.test"),
    ] {
        let request = format!("GET {line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{line}: {answer}");
        assert!(answer.ends_with("\r\n\r\nbody"), "{line}: {answer}");
        assert!(answer.contains("x-amz-request-id: "), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_has_a_length_and_no_body() {
    let emulator = open();
    let server = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let head = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = exchange(&server, &head("/photos/a%20b")).await;
    assert!(answer.contains("content-length: 4\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = exchange(&server, &head("/photos/none")).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_lost_reply_closes_the_connection() {
    let emulator = open();
    emulator.with(|world| {
        world.faults.add(Rule::once(Service::S3, "PutObject", Verdict::LoseReply));
    });
    let server = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let put = "PUT /photos/new HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(exchange(&server, put).await, "");
    emulator.with(|world| assert!(world.buckets["photos"].keys.contains_key("new")));
}

#[tokio::test]
async fn the_clock_runs_when_told_to() {
    let emulator = open();
    let server = emulator.serve_running("127.0.0.1:0".parse().unwrap(), 100_000).await.unwrap();
    // A jump of ours, and it goes on from there.
    emulator.advance(365 * 86_400_000);
    let before = emulator.now();
    tokio::time::timeout(Duration::from_secs(5), async {
        while emulator.now() < before + 60_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("a minute of the world passes at once");
    server.stop().await;
    let stopped = emulator.now();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(emulator.now(), stopped, "a stopped server moves no clock");
}

#[tokio::test]
async fn services_without_s3s_check_signatures_too() {
    let emulator = Emulator::new(Config::default());
    let server = emulator.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let request = "GET http://111122223333.aws.resilver.test/v20180820/jobs HTTP/1.1\r\nHost: 111122223333.aws.resilver.test\r\nConnection: close\r\n\r\n";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("<ErrorResponse><Error><Code>AccessDenied</Code>"), "{answer}");
}
