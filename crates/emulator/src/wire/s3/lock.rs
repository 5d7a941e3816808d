//! Object Lock on the wire.

use http::HeaderMap;
use s3s::{S3Request, S3Response, S3Result, dto};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::{add, argument, millis, timestamp};
use super::plain;
use crate::world::notification::stamp::iso;
use crate::world::object::{Retention, Version};
use crate::world::ops::lock::{self as locks, Asked, DefaultRetention, ObjectLock};
use crate::world::ops::{bucket, get};
use crate::world::{Answer, Millis, Refusal, World};

/// The longest default retention (S3 User Guide: managing Object Lock).
const DAYS_MAX: i32 = 36_500;
const YEARS_MAX: i32 = 100;

/// What the headers of a write say of the lock of the new version.
///
/// # Errors
/// 400 `InvalidArgument` for a mode without a date, a date without a mode, or words that are neither.
pub(super) fn asked(headers: &HeaderMap) -> Answer<Asked> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mode = header("x-amz-object-lock-mode");
    let until = header("x-amz-object-lock-retain-until-date");
    let retention = match (mode, until) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let until = OffsetDateTime::parse(until, &Rfc3339).ok();
            let until =
                until.and_then(|it| Millis::try_from(it.unix_timestamp_nanos() / 1_000_000).ok());
            let until =
                until.ok_or_else(|| argument("The retain until date must be a timestamp"))?;
            Some(Retention { compliance: is_compliance(mode)?, until })
        }
        _ => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(argument(message));
        }
    };
    let legal_hold = match header("x-amz-object-lock-legal-hold") {
        None | Some("OFF") => false,
        Some("ON") => true,
        Some(_) => return Err(argument("Legal hold must be ON or OFF")),
    };
    Ok(Asked { retention, legal_hold })
}

fn is_compliance(mode: &str) -> Answer<bool> {
    match mode {
        "GOVERNANCE" => Ok(false),
        "COMPLIANCE" => Ok(true),
        _ => Err(argument("Unknown wormMode directive.")),
    }
}

/// The mode in a document, where anything else is no document.
fn mode_of(mode: &str) -> Answer<bool> {
    is_compliance(mode).map_err(|_| malformed("Mode must be GOVERNANCE or COMPLIANCE"))
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, "MalformedXML", message)
}

fn mode(compliance: bool) -> &'static str {
    if compliance { "COMPLIANCE" } else { "GOVERNANCE" }
}

/// Adds what an answer says of the lock of a version.
pub(super) fn add_headers(headers: &mut HeaderMap, version: &Version) {
    let Some(extra) = &version.extra else {
        return;
    };
    if let Some(retention) = extra.retention {
        add(headers, "x-amz-object-lock-mode", mode(retention.compliance));
        add(headers, "x-amz-object-lock-retain-until-date", &iso(retention.until));
    }
    if extra.legal_hold {
        add(headers, "x-amz-object-lock-legal-hold", "ON");
    }
}

pub(super) fn put_configuration(
    world: &mut World,
    request: S3Request<dto::PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<dto::PutObjectLockConfigurationOutput>> {
    let input = request.input;
    let config = input.object_lock_configuration.ok_or_else(|| malformed("The body is empty"))?;
    if config.object_lock_enabled.as_ref().map(|it| it.as_str()) != Some("Enabled") {
        return Err(malformed("ObjectLockEnabled must be Enabled").into());
    }
    let rule = config.rule;
    let default = rule.and_then(|rule| rule.default_retention);
    let default = match default {
        None => None,
        Some(it) => {
            let compliance = mode_of(it.mode.as_ref().map_or("", |mode| mode.as_str()))?;
            if it.days.is_some() == it.years.is_some() {
                return Err(malformed("Either Days or Years must be given").into());
            }
            if it.days.is_some_and(|days| days > DAYS_MAX)
                || it.years.is_some_and(|years| years > YEARS_MAX)
            {
                let message = "Default retention period is too large.";
                return Err(Refusal::new(400, "InvalidRetentionPeriod", message).into());
            }
            if it.days.or(it.years).unwrap_or_default() < 1 {
                let message = "Default retention period must be a positive integer value.";
                return Err(Refusal::new(400, "InvalidRetentionPeriod", message).into());
            }
            Some(DefaultRetention { compliance, days: it.days, years: it.years })
        }
    };
    locks::configure(world, &input.bucket, ObjectLock { default })?;
    plain(dto::PutObjectLockConfigurationOutput::default())
}

pub(super) fn get_configuration(
    world: &mut World,
    request: S3Request<dto::GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<dto::GetObjectLockConfigurationOutput>> {
    let lock = bucket(world, &request.input.bucket)?.lock.ok_or_else(|| {
        let message = "Object Lock configuration does not exist for this bucket";
        Refusal::new(404, "ObjectLockConfigurationNotFoundError", message)
    })?;
    let rule = lock.default.map(|default| dto::ObjectLockRule {
        default_retention: Some(dto::DefaultRetention {
            days: default.days,
            mode: Some(dto::ObjectLockRetentionMode::from_static(mode(default.compliance))),
            years: default.years,
        }),
    });
    plain(dto::GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(dto::ObjectLockConfiguration {
            object_lock_enabled: Some(dto::ObjectLockEnabled::from_static("Enabled")),
            rule,
        }),
    })
}

pub(super) fn put_retention(
    world: &mut World,
    request: S3Request<dto::PutObjectRetentionInput>,
) -> S3Result<S3Response<dto::PutObjectRetentionOutput>> {
    let input = request.input;
    let asked = input.retention.unwrap_or_default();
    let retention = match (asked.mode, asked.retain_until_date) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            Some(Retention { compliance: mode_of(mode.as_str())?, until: millis(until) })
        }
        _ => return Err(malformed("Mode and RetainUntilDate must both be given").into()),
    };
    let bypass = input.bypass_governance_retention == Some(true);
    let place = (input.bucket.as_str(), input.key.as_str());
    locks::set_retention(world, place, input.version_id.as_deref(), retention, bypass)?;
    plain(dto::PutObjectRetentionOutput::default())
}

pub(super) fn get_retention(
    world: &mut World,
    request: S3Request<dto::GetObjectRetentionInput>,
) -> S3Result<S3Response<dto::GetObjectRetentionOutput>> {
    let input = request.input;
    locks::required(world, &input.bucket)?;
    let version = get::version(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    let retention = version.extra.as_ref().and_then(|extra| extra.retention).ok_or_else(none)?;
    plain(dto::GetObjectRetentionOutput {
        retention: Some(dto::ObjectLockRetention {
            mode: Some(dto::ObjectLockRetentionMode::from_static(mode(retention.compliance))),
            retain_until_date: timestamp(retention.until),
        }),
    })
}

pub(super) fn put_legal_hold(
    world: &mut World,
    request: S3Request<dto::PutObjectLegalHoldInput>,
) -> S3Result<S3Response<dto::PutObjectLegalHoldOutput>> {
    let input = request.input;
    let status = input.legal_hold.and_then(|hold| hold.status);
    let on = match status.as_ref().map(|status| status.as_str()) {
        Some("ON") => true,
        Some("OFF") => false,
        _ => return Err(malformed("Status must be ON or OFF").into()),
    };
    let place = (input.bucket.as_str(), input.key.as_str());
    locks::set_legal_hold(world, place, input.version_id.as_deref(), on)?;
    plain(dto::PutObjectLegalHoldOutput::default())
}

pub(super) fn get_legal_hold(
    world: &mut World,
    request: S3Request<dto::GetObjectLegalHoldInput>,
) -> S3Result<S3Response<dto::GetObjectLegalHoldOutput>> {
    let input = request.input;
    locks::required(world, &input.bucket)?;
    let version = get::version(world, &input.bucket, &input.key, input.version_id.as_deref())?;
    let on = version.extra.as_ref().is_some_and(|extra| extra.legal_hold);
    plain(dto::GetObjectLegalHoldOutput {
        legal_hold: Some(dto::ObjectLockLegalHold {
            status: Some(dto::ObjectLockLegalHoldStatus::from_static(if on {
                "ON"
            } else {
                "OFF"
            })),
        }),
    })
}

fn none() -> Refusal {
    let message = "The specified object does not have a ObjectLock configuration";
    Refusal::new(404, "NoSuchObjectLockConfiguration", message)
}
