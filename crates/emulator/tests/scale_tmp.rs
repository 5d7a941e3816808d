#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]
use resilver_emulator::Emulator;
use resilver_emulator::world::bucket::Versioning;
use resilver_emulator::world::iam::*;
use resilver_emulator::world::object::*;
use resilver_emulator::world::ops::{bucket, condition::WriteIf, list, put, versions};
use resilver_emulator::world::replication::rules::{ReplicationConfig, Rule};
use resilver_emulator::world::{Config, World};
use std::collections::BTreeMap;
use std::sync::Arc;

fn rss() -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmRSS"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
#[test]
fn scale() {
    let mut w = World::new(Config::default());
    for b in ["src", "dst"] {
        bucket::create(&mut w, b, "111122223333", "us-east-1").unwrap();
        bucket::put_versioning(&mut w, b, Versioning::Enabled).unwrap();
    }
    println!("role fns?");
    let config = ReplicationConfig {
        role: "arn:aws:iam::111122223333:role/rep".into(),
        rules: vec![Arc::new(Rule::to_bucket("r", 1, "dst"))],
    };
    bucket::put_replication(&mut w, "src", Some(config)).unwrap();
    w.iam.put(Role::replication(
        "arn:aws:iam::111122223333:role/rep",
        "src",
        &["dst"],
    ));
    let t = std::time::Instant::now();
    for n in 0..200_000u32 {
        let body: Vec<u8> = (0..1024u32)
            .map(|i| (i.wrapping_mul(n + 1) >> 3) as u8)
            .collect();
        let content = Content {
            etag: put::md5_hex(&body),
            body: bytes::Bytes::from(body).into(),
            headers: FromIterator::from_iter([(
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            )]),
            metadata: Default::default(),
            checksums: FromIterator::from_iter([("CRC32".to_owned(), "AAAAAA==".to_owned())]),
        };
        put::object(
            &mut w,
            "src",
            &format!("dir{:03}/object-{n:07}", n % 500),
            put::Draft::new(content),
            &WriteIf::default(),
            "ObjectCreated:Put",
        )
        .unwrap();
    }
    println!("put {:?} rss {} MiB", t.elapsed(), rss());
    let t = std::time::Instant::now();
    while let Some(d) = w.next_due() {
        w.advance_to(d);
    }
    println!(
        "replicate {:?} rss {} MiB; dst {}",
        t.elapsed(),
        rss(),
        w.buckets["dst"].keys.len()
    );
    let st: Vec<_> = w.buckets["src"]
        .keys
        .values()
        .map(|v| v[0].replication)
        .collect();
    println!(
        "completed {}",
        st.iter()
            .filter(|s| **s == Some(ReplicationStatus::Completed))
            .count()
    );
    let t = std::time::Instant::now();
    let mut r = list::Request {
        max: 1000,
        ..Default::default()
    };
    let mut n = 0;
    loop {
        let p = list::current(&w, "src", &r).unwrap();
        n += p.keys.len();
        match p.next {
            Some(a) => r.after = a,
            None => break,
        }
    }
    println!("list {n} {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let mut r = list::Request {
        max: 1000,
        delimiter: Some("/".into()),
        ..Default::default()
    };
    let mut n = 0;
    loop {
        let p = list::current(&w, "src", &r).unwrap();
        n += p.common_prefixes.len();
        match p.next {
            Some(a) => r.after = a,
            None => break,
        }
    }
    println!("prefixes {n} {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let mut r = list::Request {
        max: 1000,
        ..Default::default()
    };
    let mut m: Option<String> = None;
    let mut n = 0;
    loop {
        let p = versions::page(&w, "src", &r, m.as_deref()).unwrap();
        n += p.lines.len();
        match p.next {
            Some((k, v)) => {
                r.after = list::After::Key(k);
                m = v;
            }
            None => break,
        }
    }
    println!("versions {n} {:?}", t.elapsed());
}
#[tokio::test]
async fn puts_through_sdk() {
    let e = Emulator::new(Config::default());
    let c = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            "AKIARESILVERLOCAL000",
            "resilver-local-secret",
            None,
            None,
            "t",
        ))
        .endpoint_url(Emulator::ENDPOINT)
        .force_path_style(true)
        .http_client(e.http_client())
        .build();
    let c = aws_sdk_s3::Client::from_conf(c);
    c.create_bucket().bucket("src").send().await.unwrap();
    let t = std::time::Instant::now();
    for n in 0..3000 {
        c.put_object()
            .bucket("src")
            .key(format!("k{n}"))
            .body(vec![7u8; 1024].into())
            .send()
            .await
            .unwrap();
    }
    println!("3000 sdk puts {:?}", t.elapsed());
}
