//! The manifest that S3 makes itself: every version of the source bucket that the replication
//! configuration wants and the filter lets through (S3 User Guide: replicating existing objects).

use bytes::Bytes;
use csv::WriterBuilder;
use percent_encoding::utf8_percent_encode;

use super::request::{EncryptionFilter, Filter, Generator, bucket_of};
use super::rows::{Layout, Rows};
use super::{Generated, JobFailure, inventory};
use crate::world::bucket::Bucket;
use crate::world::iam::BATCH_SERVICE;
use crate::world::object::{Encryption, ReplicationStatus, Version};
use crate::world::ops::archive::archived;
use crate::world::ops::encryption::{choose, key_arn};
use crate::world::replication::{Mode, select};
use crate::world::{Millis, PATH, World, access};

/// The rows that were found, their number, and where the list was kept.
pub(super) fn generate(
    world: &mut World,
    role: &str,
    job: &str,
    generator: &Generator,
) -> Result<(Rows, u64, Option<Generated>), JobFailure> {
    let bucket = source(world, role, generator)?;
    let name = bucket.name.clone();
    let list = csv_of(bucket, &generator.filter, world.now())?;
    if list.is_empty() {
        return Err(JobFailure::new(
            "ManifestGenerationFailed",
            "Manifest generation found no keys matching the filter criteria.",
        ));
    }
    let layout = Layout::of_inventory(inventory::SCHEMA)?;
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
    let eligible = generator.filter.eligible == Some(true);
    if !world.iam.trusts(role, BATCH_SERVICE)
        || (eligible && !may("s3:GetReplicationConfiguration"))
        || !may("s3:PutInventoryConfiguration")
        || !owned
    {
        return Err(denied());
    }
    if bucket.region != world.config.region {
        return Err(JobFailure::new(
            "ManifestGenerationFailed",
            "The source bucket is not in the Region of the job",
        ));
    }
    if eligible && bucket.replication.is_none() {
        return Err(JobFailure::new(
            "ManifestGenerationFailed",
            "The source bucket has no replication configuration",
        ));
    }
    Ok(bucket)
}

fn csv_of(bucket: &Bucket, filter: &Filter, now: Millis) -> Result<Vec<u8>, JobFailure> {
    let mut writer = WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for (key, versions) in &bucket.keys {
        if !wants_key(filter, key) {
            continue;
        }
        for version in versions.iter().filter(|version| wants(bucket, filter, now, key, version)) {
            // A space is a plus, as in any inventory.
            let key = utf8_percent_encode(key, PATH).to_string().replace("%20", "+");
            writer
                .write_record([bucket.name.as_str(), &key, &version.id])
                .map_err(|_| unwritten())?;
        }
    }
    writer.into_inner().map_err(|_| unwritten())
}

/// A constraint of several kinds is met by what meets each of them.
fn wants_key(filter: &Filter, key: &str) -> bool {
    let any = |list: &[String], fits: &dyn Fn(&str) -> bool| {
        list.is_empty() || list.iter().any(|it| fits(it))
    };
    any(&filter.prefixes, &|it| key.starts_with(it))
        && any(&filter.suffixes, &|it| key.ends_with(it))
        && any(&filter.substrings, &|it| key.contains(it))
}

fn wants_encryption(filter: &Filter, encryption: &Encryption) -> bool {
    let same = |wanted: &Option<String>, key: &String| wanted.as_ref().is_none_or(|it| it == key);
    let fits = |wanted: &EncryptionFilter| match (wanted, encryption) {
        (EncryptionFilter::S3, Encryption::S3) => true,
        (EncryptionFilter::Customer, Encryption::Customer { .. }) => true,
        (
            EncryptionFilter::Kms { key: wanted, bucket_key: asked },
            Encryption::Kms { key, dual: false, bucket_key },
        ) => same(wanted, key) && asked.is_none_or(|asked| asked == *bucket_key),
        (EncryptionFilter::DualKms { key: wanted }, Encryption::Kms { key, dual: true, .. }) => {
            same(wanted, key)
        }
        _ => false,
    };
    filter.encryptions.is_empty() || filter.encryptions.iter().any(fits)
}

/// Whether a filter is about what a delete marker has not: a class, an encryption, a size.
fn asks_for_content(filter: &Filter) -> bool {
    !filter.storage_classes.is_empty()
        || !filter.encryptions.is_empty()
        || filter.larger_than.is_some()
        || filter.smaller_than.is_some()
}

fn wants(bucket: &Bucket, filter: &Filter, now: Millis, key: &str, version: &Version) -> bool {
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
            && archived(bucket, key, version, now).is_none()
    };
    any(&filter.statuses, status)
        && (!version.is_delete_marker() || !asks_for_content(filter))
        && any(&filter.storage_classes, &version.storage_class)
        && wants_encryption(filter, &version.encryption)
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
    let Some(target) = world.buckets.get(bucket) else { return Err(unwritten()) };
    let fits = output.expected_owner.as_ref().is_none_or(|owner| *owner == target.owner)
        && target.region == world.config.region;
    let mut encryption = choose(target, output.encryption.clone());
    if let Encryption::Kms { key, .. } = &mut encryption {
        *key = key_arn(world, Some(key));
        let usable = access::is_usable(world, key);
        let list = access::encrypted(bucket, &folder, false);
        if !usable || !access::key(world, role, "kms:GenerateDataKey", key, &list) {
            return Err(unwritten());
        }
    }
    if !fits || !access::object(world, role, "s3:PutObject", bucket, &folder) {
        return Err(unwritten());
    }
    let place = (bucket, folder.as_str());
    inventory::write(world, source, place, &encryption, list).map(Some).map_err(|_| unwritten())
}

fn unwritten() -> JobFailure {
    JobFailure::new(
        "ManifestGenerationFailed",
        "Error occurred when preparing manifest: Failed to write manifest",
    )
}
