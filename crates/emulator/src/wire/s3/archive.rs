//! Archives on the wire: restorations, the headers that tell of them, and Intelligent-Tiering.

use http::HeaderMap;
use s3s::{S3Request, S3Response, S3Result, dto};
use time::OffsetDateTime;
use time::macros::format_description;

use super::fields::{add, argument};
use super::{plain, with_headers};
use crate::world::object::Version;
use crate::world::ops::archive::{self as archives, Asked, Tier, Tiering};
use crate::world::ops::{bucket, bucket_mut};
use crate::world::{Millis, Refusal, World};

pub(super) fn restore(
    world: &mut World,
    request: S3Request<dto::RestoreObjectInput>,
) -> S3Result<S3Response<dto::RestoreObjectOutput>> {
    let input = request.input;
    let asked = input.restore_request.unwrap_or_default();
    if asked.select_parameters.is_some() || asked.output_location.is_some() {
        return Err(Refusal::new(501, "NotImplemented", "SELECT is not emulated").into());
    }
    let tier = asked.glacier_job_parameters.map(|it| it.tier).or(asked.tier);
    let tier = match tier.as_ref().map(|tier| tier.as_str()) {
        None | Some("Standard") => Tier::Standard,
        Some("Expedited") => Tier::Expedited,
        Some("Bulk") => Tier::Bulk,
        Some(_) => {
            let message = "Tier must be Standard, Expedited or Bulk";
            return Err(Refusal::new(400, "MalformedXML", message).into());
        }
    };
    let place = (input.bucket.as_str(), input.key.as_str());
    let begun = archives::restore(world, place, input.version_id.as_deref(), asked.days, tier)?;
    let mut told = HeaderMap::new();
    if begun == Asked::Begun {
        add(&mut told, super::BEGUN, "yes");
    }
    with_headers(dto::RestoreObjectOutput::default(), told)
}

/// Adds what an answer says of the archive of a version.
pub(super) fn add_headers(
    headers: &mut HeaderMap,
    world: &World,
    (name, key): (&str, &str),
    version: &Version,
) {
    let now = world.now();
    let archive =
        world.buckets.get(name).and_then(|bucket| archives::archived(bucket, key, version, now));
    if let Some(tier) = archive.and_then(archives::Archive::tier_name) {
        add(headers, "x-amz-archive-status", tier);
    }
    let Some(restore) = version.restore() else {
        return;
    };
    match restore.expires {
        _ if now < restore.ready => add(headers, "x-amz-restore", "ongoing-request=\"true\""),
        Some(expires) if now < expires => {
            let told = format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(expires));
            add(headers, "x-amz-restore", &told);
        }
        _ => {}
    }
}

/// The world's time as HTTP spells it.
pub(super) fn http_date(at: Millis) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let seconds = i64::try_from(at / 1_000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

pub(super) fn put_tiering(
    world: &mut World,
    request: S3Request<dto::PutBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<dto::PutBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let config = input.intelligent_tiering_configuration;
    let filter = config.filter.unwrap_or_default();
    if filter.and.is_some() || filter.tag.is_some() {
        let message = "tag filters of Intelligent-Tiering are not emulated";
        return Err(Refusal::new(501, "NotImplemented", message).into());
    }
    let mut tiering = Tiering {
        id: config.id,
        enabled: config.status.as_str() == "Enabled",
        prefix: filter.prefix,
        ..Tiering::default()
    };
    for it in config.tierings {
        let days = u32::try_from(it.days).unwrap_or_default();
        match it.access_tier.as_str() {
            "ARCHIVE_ACCESS" if (90..=730).contains(&days) => tiering.archive_days = Some(days),
            "DEEP_ARCHIVE_ACCESS" if (180..=730).contains(&days) => {
                tiering.deep_days = Some(days);
            }
            _ => {
                return Err(argument(
                    "Days must be 90 (ARCHIVE_ACCESS) or 180 (DEEP_ARCHIVE_ACCESS) to 730",
                )
                .into());
            }
        }
    }
    let tierings = &mut bucket_mut(world, &input.bucket)?.tierings;
    tierings.retain(|old| old.id != tiering.id);
    tierings.push(tiering);
    tierings.sort_by(|one, other| one.id.cmp(&other.id));
    plain(dto::PutBucketIntelligentTieringConfigurationOutput::default())
}

pub(super) fn get_tiering(
    world: &mut World,
    request: S3Request<dto::GetBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let tierings = &bucket(world, &input.bucket)?.tierings;
    let found = tierings.iter().find(|it| it.id == input.id).ok_or_else(|| {
        Refusal::new(404, "NoSuchConfiguration", "The specified configuration does not exist.")
    })?;
    plain(dto::GetBucketIntelligentTieringConfigurationOutput {
        intelligent_tiering_configuration: Some(told(found)),
    })
}

pub(super) fn list_tierings(
    world: &mut World,
    request: S3Request<dto::ListBucketIntelligentTieringConfigurationsInput>,
) -> S3Result<S3Response<dto::ListBucketIntelligentTieringConfigurationsOutput>> {
    let tierings = bucket(world, &request.input.bucket)?.tierings.iter().map(told).collect();
    plain(dto::ListBucketIntelligentTieringConfigurationsOutput {
        intelligent_tiering_configuration_list: Some(tierings),
        is_truncated: Some(false),
        ..Default::default()
    })
}

pub(super) fn delete_tiering(
    world: &mut World,
    request: S3Request<dto::DeleteBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<dto::DeleteBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    bucket_mut(world, &input.bucket)?.tierings.retain(|it| it.id != input.id);
    plain(dto::DeleteBucketIntelligentTieringConfigurationOutput::default())
}

fn told(tiering: &Tiering) -> dto::IntelligentTieringConfiguration {
    let tier = |name: &'static str, days: Option<u32>| {
        days.map(|days| dto::Tiering {
            access_tier: dto::IntelligentTieringAccessTier::from_static(name),
            days: i32::try_from(days).unwrap_or(i32::MAX),
        })
    };
    let tierings = [
        tier("ARCHIVE_ACCESS", tiering.archive_days),
        tier("DEEP_ARCHIVE_ACCESS", tiering.deep_days),
    ];
    dto::IntelligentTieringConfiguration {
        filter: tiering.prefix.clone().map(|prefix| dto::IntelligentTieringFilter {
            prefix: Some(prefix),
            ..Default::default()
        }),
        id: tiering.id.clone(),
        status: dto::IntelligentTieringStatus::from_static(if tiering.enabled {
            "Enabled"
        } else {
            "Disabled"
        }),
        tierings: tierings.into_iter().flatten().collect(),
    }
}
