//! Requests that nobody means well with, by the thousand and from a seed: good ones of every service, broken in
//! a few places. Whatever comes gets an answer in the form of its service, nothing panics, nothing hangs, and
//! what was there is there still. `SEEDS=5000..9000` runs others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod good;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};

use self::good::{GOOD, NOTIFICATION, REPLICATION};
use super::operation::{self, Asked};
use crate::Emulator;
use crate::world::bucket::Versioning;
use crate::world::fault::{Faults, Service};
use crate::world::iam::Role;
use crate::world::ops::{self, put};
use crate::world::rng::Rng;
use crate::world::{Config, World};

/// What a mutation puts in: ends of ranges, ends of syntax.
const NASTY: [&str; 40] = [
    "-1",
    "0",
    "1",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    "[[[[[[[[",
    "\"",
    "'",
    "<",
    ">",
    "&",
    "&x;",
    "]]>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "<a>",
    "</Rule>",
    "%00",
    "%ff",
    "%2e%2e/",
    "../",
    "//",
    "\u{0}",
    "\u{fffe}",
    "ü",
    "\r\n",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "arn:aws:s3:::",
    "*",
    "a,b;c=d",
];

/// Breaks a text in one place.
fn broken(text: &str, rng: &mut Rng) -> String {
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    ends.push(text.len());
    let pick = |rng: &mut Rng| ends[rng.below(ends.len() as u64) as usize];
    let (one, other) = (pick(rng), pick(rng));
    let (from, to) = (one.min(other), one.max(other));
    let nasty = NASTY[rng.below(NASTY.len() as u64) as usize];
    match rng.below(6) {
        0 => format!("{}{nasty}{}", &text[..from], &text[from..]),
        1 => format!("{}{}", &text[..from], &text[to..]),
        2 => format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
        3 => text[..from].to_owned(),
        4 => with_number(text, nasty),
        _ => format!("{}{nasty}{}", &text[..from], &text[to..]),
    }
}

/// The text with its last number replaced.
fn with_number(text: &str, nasty: &str) -> String {
    let digit = |it: char| it.is_ascii_digit();
    let Some(end) = text.rfind(digit) else {
        return text.to_owned();
    };
    let start = text[..=end].rfind(|it| !digit(it)).map_or(0, |at| at + 1);
    // What is before a number may be a letter of more than one byte.
    let start = (start..=end).find(|at| text.is_char_boundary(*at)).unwrap_or(end);
    format!("{}{nasty}{}", &text[..start], &text[end + 1..])
}

/// A good request, broken in one to three places; `None` where that is no HTTP any more.
fn request(rng: &mut Rng) -> Option<Request<Bytes>> {
    let (method, uri, headers, body) = GOOD[rng.below(GOOD.len() as u64) as usize];
    let (mut uri, mut body) = (uri.to_owned(), body.to_owned());
    let mut headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for _ in 0..=rng.below(3) {
        match rng.below(4) {
            0 => uri = broken(&uri, rng),
            1 if !headers.is_empty() => {
                let at = rng.below(headers.len() as u64) as usize;
                headers[at].1 = broken(&headers[at].1, rng);
            }
            _ => body = broken(&body, rng),
        }
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse().ok()?;
    request.headers_mut().insert("host", HeaderValue::from_static("127.0.0.1:9000"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().insert(name, HeaderValue::from_str(&value).ok()?);
    }
    Some(request)
}

fn prepare(world: &mut World) {
    for name in ["src", "dst", "keep"] {
        ops::bucket::create(world, name, "111122223333", "us-east-1").unwrap();
        ops::bucket::put_versioning(world, name, Versioning::Enabled).unwrap();
    }
    world.iam.put(Role::batch("arn:aws:iam::111122223333:role/job", "src", "dst"));
    crate::world::queue::create(world, "q", 30_000, None).unwrap();
    put::store(world, "src", "k", "body".into(), "text/plain").unwrap();
    put::store(world, "keep", "safe", "and sound".into(), "text/plain").unwrap();
}

/// Whether an error has the form of its service.
fn is_told(asked: &Asked, response: &Response<Bytes>) -> bool {
    let text = String::from_utf8_lossy(response.body());
    if text.contains(|it: char| it < ' ' && !"\t\n\r".contains(it)) {
        return false;
    }
    match asked.service {
        Service::Sqs if asked.is_form => text.contains("<ErrorResponse") && text.contains("<Code>"),
        Service::S3 => text.contains("<Error>") && text.contains("<Code>"),
        Service::Control | Service::Iam | Service::Sts => {
            text.contains("<ErrorResponse") && text.contains("<Code>")
        }
        Service::Sqs | Service::Events | Service::Kms => text.contains("__type"),
    }
}

async fn check(emulator: &Emulator, seed: u64) {
    let Some(request) = request(&mut Rng::new(seed)) else {
        return;
    };
    let told = format!("seed {seed}: {request:?}");
    let (asked, head) = (operation::name(&request), request.method() == Method::HEAD);
    let admin = request.uri().path().starts_with("/_resilver/");
    let handled = emulator.shared.handle(request);
    let answered = tokio::time::timeout(Duration::from_secs(20), handled).await;
    let outcome = answered.unwrap_or_else(|_| panic!("no answer to {told}"));
    // A request before this one has asked for a fault: one is enough.
    if outcome.under_faults {
        emulator.with(|world| world.faults = Faults::default());
        return;
    }
    let response = outcome.response.unwrap_or_else(|| panic!("the connection broke at {told}"));
    let status = response.status().as_u16();
    let bodiless = head || matches!(status, 204 | 304);
    assert!(status < 500 || status == 501, "{status} {:?} to {told}", response.body());
    let fine = status < 400 || bodiless || admin || is_told(&asked, &response);
    assert!(fine, "{status} {:?} to {told}", response.body());
    // What it has set off may go wrong later.
    emulator.advance(600_000);
    emulator.with(|world| {
        let kept = ops::get::current(world, "keep", "safe").map(|version| version.size());
        assert_eq!(kept, Ok(9), "lost by {told}");
    });
}

/// Everything that a world is, but for how its server was told to run.
fn shown(emulator: &Emulator) -> String {
    emulator.with(|world| {
        let (buckets, queues, iam, kms) = (&world.buckets, &world.queues, &world.iam, &world.kms);
        let (bus, jobs, faults) = (&world.bus, &world.jobs, &world.faults);
        let agenda: Vec<_> = world.agenda.iter().collect();
        format!(
            "{} {} {buckets:#?} {queues:#?} {iam:#?} {kms:#?} {bus:#?} {jobs:#?} {faults:#?} {agenda:#?}",
            world.now(),
            world.chance(),
        )
    })
}

/// The journal of a storm, read again, makes the same world: what was refused and what was not.
#[tokio::test]
async fn the_past_comes_out_the_same_when_it_is_done_again() {
    for round in 0..6u64 {
        let dir =
            std::env::temp_dir().join(format!("resilver-past-{}-{round}", std::process::id()));
        // A run before this one may have left it.
        let _ = std::fs::remove_dir_all(&dir);
        let config = Config { credentials: None, ..Config::default() };
        let emulator = Emulator::open(&dir, config.clone()).await.unwrap();
        for body in [
            ("PUT", "/src", ""),
            ("PUT", "/dst", ""),
            (
                "PUT",
                "/src?versioning",
                "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            ),
            (
                "PUT",
                "/dst?versioning",
                "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            ),
            ("PUT", "/src?replication", REPLICATION),
            ("PUT", "/src/a/k", "body"),
            (
                "POST",
                "/_resilver/faults",
                r#"{"rules":[{"service":"s3","operation":"PutObject","verdict":"lose_reply","skip":20,"times":2}],"duplicate_per_mille":300,"reorder_per_mille":300}"#,
            ),
        ] {
            let request =
                Request::builder().method(body.0).uri(body.1).header("host", "127.0.0.1:1");
            let request = request.body(Bytes::from(body.2)).unwrap();
            emulator.shared.handle(request).await;
        }
        for seed in round * 1_000..round * 1_000 + 400 {
            if let Some(request) = request(&mut Rng::new(seed)) {
                emulator.shared.handle(request).await;
            }
            // Sometimes no time passes at all, and sometimes much.
            emulator.shared.follow(|| [0, 0, 20, 3_000, 600_000][(seed % 5) as usize]).await;
        }
        comes_back(emulator, &dir, config).await;
    }
}

/// Ends an emulator, opens it again, and gives what it was, which it has to be again.
async fn comes_back(emulator: Emulator, dir: &Path, config: Config) -> String {
    emulator.close().await;
    let before = shown(&emulator);
    drop(emulator);
    let again = Emulator::open(dir, config).await.unwrap();
    let after = shown(&again);
    let odd = before.lines().zip(after.lines()).find(|(one, other)| one != other);
    assert!(before == after, "{}: {odd:?}", dir.display());
    std::fs::remove_dir_all(dir).unwrap();
    before
}

/// An empty poll draws on chance and is not written down: what falls due after it must not notice.
#[tokio::test]
async fn what_is_not_written_down_uses_up_no_chance() {
    let dir = std::env::temp_dir().join(format!("resilver-chance-{}", std::process::id()));
    // A run before this one may have left it.
    let _ = std::fs::remove_dir_all(&dir);
    let config = Config { credentials: None, ..Config::default() };
    let emulator = Emulator::open(&dir, config.clone()).await.unwrap();
    let open = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}}"#;
    let make = |name: &str, policy: &str| {
        let attributes = serde_json::json!({ "Policy": policy });
        serde_json::json!({ "QueueName": name, "Attributes": attributes }).to_string()
    };
    let notification = NOTIFICATION.replace("s3:Replication:*", "s3:ObjectCreated:*");
    for (method, uri, target, body) in [
        ("POST", "/", "AmazonSQS.CreateQueue", make("q", open)),
        ("POST", "/", "AmazonSQS.CreateQueue", make("empty", "")),
        ("PUT", "/src", "", String::new()),
        ("PUT", "/src?notification", "", notification),
        ("PUT", "/src/a", "", "body".to_owned()),
        ("POST", "/", "AmazonSQS.ReceiveMessage", r#"{"QueueUrl":"x/empty"}"#.to_owned()),
    ] {
        let request = Request::builder().method(method).uri(uri).header("host", "127.0.0.1:1");
        let request = request.header("x-amz-target", target).body(Bytes::from(body)).unwrap();
        let outcome = emulator.shared.handle(request).await;
        assert_eq!(outcome.status(), 200, "{uri} {target}");
    }
    // The event comes, and its message has an id.
    emulator.shared.follow(|| 600_000).await;
    let was = comes_back(emulator, &dir, config).await;
    assert!(was.contains("ObjectCreated:Put"));
}

#[tokio::test]
async fn whatever_comes_is_answered_and_nothing_is_lost() {
    let seeds = std::env::var("SEEDS").unwrap_or_else(|_| "0..6000".to_owned());
    let (from, to) = seeds.split_once("..").unwrap();
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    for chunk in (from..to).step_by(500) {
        let emulator = Emulator::new(Config { credentials: None, ..Config::default() });
        emulator.with(prepare);
        for seed in chunk..(chunk + 500).min(to) {
            check(&emulator, seed).await;
        }
    }
}
