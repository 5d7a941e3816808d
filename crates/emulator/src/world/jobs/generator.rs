//! The manifest that S3 makes itself: every version of the source bucket that the replication
//! configuration wants and the filter lets through (S3 User Guide: replicating existing objects).

use bytes::Bytes;
use csv::WriterBuilder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::{Filter, Generator, bucket_of};
use super::rows::{Layout, Rows};
use super::{Generated, JobFailure, inventory};
use crate::world::bucket::Bucket;
use crate::world::iam::BATCH_SERVICE;
use crate::world::object::{ReplicationStatus, Version};
use crate::world::replication::{Mode, select};
use crate::world::{World, access};

/// What stands in a manifest as it is; the rest is percent-encoded.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The rows that were found, their number, and where the list was kept.
pub(super) fn generate(
    world: &mut World,
    role: &str,
    job: &str,
    generator: &Generator,
) -> Result<(Rows, u64, Option<Generated>), JobFailure> {
    let bucket = source(world, role, generator)?;
    let name = bucket.name.clone();
    let list = csv_of(bucket, &generator.filter)?;
    if list.is_empty() {
        return Err(JobFailure::new(
            "ManifestGenerationFailed",
            "Manifest generation found no keys matching the filter criteria.",
        ));
    }
    let layout = Layout::of(inventory::SCHEMA.split(',').map(str::trim))?;
    let list = Bytes::from(list);
    let (rows, count) = Rows::checked(vec![list.clone()], layout)?;
    let kept = keep(world, role, job, generator, &name, &list)?;
    Ok((rows, count, kept))
}

fn source<'a>(
    world: &'a World,
    role: &str,
    generator: &Generator,
) -> Result<&'a Bucket, JobFailure> {
    let denied = || {
        JobFailure::new(
            "ManifestGenerationFailed",
            "Error occurred when preparing manifest: AccessDenied",
        )
    };
    let name = bucket_of(&generator.bucket).unwrap_or_default();
    let bucket = world.buckets.get(name).ok_or_else(denied)?;
    let may = |action| access::bucket(world, role, action, name, &generator.bucket);
    let owned = generator.expected_owner.as_ref().is_none_or(|owner| *owner == bucket.owner);
    if !world.iam.trusts(role, BATCH_SERVICE)
        || !may("s3:GetReplicationConfiguration")
        || !may("s3:PutInventoryConfiguration")
        || !owned
    {
        return Err(denied());
    }
    if bucket.replication.is_none() {
        return Err(JobFailure::new(
            "ManifestGenerationFailed",
            "The source bucket has no replication configuration",
        ));
    }
    Ok(bucket)
}

fn csv_of(bucket: &Bucket, filter: &Filter) -> Result<Vec<u8>, JobFailure> {
    let mut writer = WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for (key, versions) in &bucket.keys {
        if !wants_key(filter, key) {
            continue;
        }
        for version in versions.iter().filter(|version| wants(bucket, filter, key, version)) {
            let key = utf8_percent_encode(key, PLAIN).to_string();
            writer
                .write_record([bucket.name.as_str(), &key, &version.id])
                .map_err(|_| unwritten())?;
        }
    }
    writer.into_inner().map_err(|_| unwritten())
}

/// A constraint of several kinds is met by any of them.
fn wants_key(filter: &Filter, key: &str) -> bool {
    let free =
        filter.prefixes.is_empty() && filter.suffixes.is_empty() && filter.substrings.is_empty();
    free || filter.prefixes.iter().any(|it| key.starts_with(it))
        || filter.suffixes.iter().any(|it| key.ends_with(it))
        || filter.substrings.iter().any(|it| key.contains(it))
}

fn wants(bucket: &Bucket, filter: &Filter, key: &str, version: &Version) -> bool {
    let status = match version.replication {
        None => "NONE",
        Some(ReplicationStatus::Failed) => "FAILED",
        Some(ReplicationStatus::Completed) => "COMPLETED",
        Some(ReplicationStatus::Replica) => "REPLICA",
        // Cannot be asked for by name.
        Some(ReplicationStatus::Pending) => "PENDING",
    };
    let any = |list: &[String], word: &str| list.is_empty() || list.iter().any(|it| it == word);
    let eligible = || {
        let rules = bucket.replication.as_ref();
        rules.is_some_and(|config| !select(config, key, version, Mode::Batch).is_empty())
    };
    any(&filter.statuses, status)
        && any(&filter.storage_classes, &version.storage_class)
        && filter.created_after.is_none_or(|after| version.modified > after)
        && filter.created_before.is_none_or(|before| version.modified < before)
        && filter.larger_than.is_none_or(|bytes| version.size() > bytes)
        && filter.smaller_than.is_none_or(|bytes| version.size() < bytes)
        && (filter.eligible != Some(true) || eligible())
}

fn keep(
    world: &mut World,
    role: &str,
    job: &str,
    generator: &Generator,
    source: &str,
    list: &Bytes,
) -> Result<Option<Generated>, JobFailure> {
    let Some(output) = generator.output.as_ref().filter(|_| generator.keep) else {
        return Ok(None);
    };
    let bucket = bucket_of(&output.bucket).unwrap_or_default();
    let folder = match &output.prefix {
        Some(prefix) => format!("{}/job-{job}", prefix.trim_end_matches('/')),
        None => format!("job-{job}"),
    };
    let owned = world.buckets.get(bucket).is_some_and(|bucket| {
        output.expected_owner.as_ref().is_none_or(|owner| *owner == bucket.owner)
    });
    if !owned || !access::object(world, role, "s3:PutObject", bucket, &folder) {
        return Err(unwritten());
    }
    inventory::write(world, source, (bucket, &folder), list).map(Some).map_err(|_| unwritten())
}

fn unwritten() -> JobFailure {
    JobFailure::new(
        "ManifestGenerationFailed",
        "Error occurred when preparing manifest: Failed to write manifest",
    )
}
