//! Which hosts are the emulator's, and which bucket a host names.
//!
//! An account id before the host name (what SDKs put there for S3 Control) is no bucket.

use std::net::IpAddr;

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The host of the endpoint in process.
pub(crate) const HOST: &str = "aws.resilver.test";

/// The bucket names in hosts, for `s3s`.
pub(super) struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match bucket_of(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

/// The bucket that a host names: `bucket.s3.us-east-1.amazonaws.com`, `bucket.localhost`.
pub(super) fn bucket_of(host: &str) -> Option<&str> {
    let name = name_of(host);
    // Names of hosts are the same in any case; those of buckets are in lower case only.
    let without = |base: &&str| {
        let at = name.len().checked_sub(base.len())?;
        let is_it = name.get(at..)?.eq_ignore_ascii_case(base);
        name.get(..at).filter(|_| is_it)?.strip_suffix('.')
    };
    let bucket = match name.split_once(".s3.").or_else(|| name.split_once(".s3-")) {
        Some((bucket, rest)) if rest.ends_with("amazonaws.com") => bucket,
        _ => [HOST, "localhost"].iter().find_map(without)?,
    };
    let bucket = bucket.strip_suffix(".s3").unwrap_or(bucket);
    (bucket != "s3" && !is_account(bucket)).then_some(bucket)
}

/// Where CloudFormation waits for the answer of a custom resource: a bucket of AWS's own, which no
/// account has (CloudFormation User Guide: custom resources).
const ANSWERS: &str = "cloudformation-custom-resource-response-";

/// Whether requests to this host are for the emulator: its own names, AWS's, and this machine.
pub(super) fn is_ours(host: &str) -> bool {
    let name = name_of(host);
    // S3 Control's account id may stand before an address as well.
    let name = name.split_once('.').filter(|(head, _)| is_account(head)).map_or(name, |it| it.1);
    let under = |base: &str| {
        name.strip_suffix(base).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    };
    if name.starts_with(ANSWERS) {
        return false;
    }
    under(HOST)
        || under("localhost")
        || under("amazonaws.com")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_owners_of_hosts() {
        for (host, bucket, ours) in [
            ("aws.resilver.test", None, true),
            ("111122223333.aws.resilver.test", None, true),
            ("photos.aws.resilver.test", Some("photos"), true),
            ("photos.localhost:9000", Some("photos"), true),
            ("s3.localhost", None, true),
            ("my.photos.s3.eu-west-1.amazonaws.com", Some("my.photos"), true),
            ("111122223333.s3-control.us-east-1.amazonaws.com", None, true),
            ("127.0.0.1:9000", None, true),
            ("111122223333.127.0.0.1:9000", None, true),
            ("[::1]:9000", None, true),
            ("hooks.slack.com", None, false),
            (
                "cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com",
                Some("cloudformation-custom-resource-response-useast1"),
                false,
            ),
            ("notamazonaws.com", None, false),
            ("10.0.0.7", None, false),
        ] {
            assert_eq!(bucket_of(host), bucket, "bucket of {host}");
            assert_eq!(is_ours(host), ours, "{host}");
        }
    }
}
