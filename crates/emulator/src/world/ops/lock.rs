//! Object Lock: versions that must not be deleted for a while, or at all (S3 User Guide: how S3 Object
//! Lock works).

use super::{bucket, bucket_mut, get, no_such_version};
use crate::world::bucket::Versioning;
use crate::world::object::{Retention, Version};
use crate::world::replication::{self, Trigger};
use crate::world::{Answer, Millis, Refusal, World};

const DAY: Millis = 86_400_000;

/// The lock of a bucket; what is there cannot be switched off again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// What new versions get by default.
    pub default: Option<DefaultRetention>,
}

/// The retention that new versions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRetention {
    /// `COMPLIANCE` instead of `GOVERNANCE`.
    pub compliance: bool,
    /// For so many days.
    pub days: Option<i32>,
    /// Or so many years.
    pub years: Option<i32>,
}

/// What a request says of the lock of a new version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// `x-amz-object-lock-mode` and `-retain-until-date`.
    pub retention: Option<Retention>,
    /// `x-amz-object-lock-legal-hold: ON`.
    pub legal_hold: bool,
}

/// Locks a new version as the request or the bucket says.
///
/// # Errors
/// 400 `InvalidRequest` for a lock in a bucket that has none, 400 `InvalidArgument` for a date that is
/// past.
pub fn apply(world: &World, name: &str, asked: Asked, version: &mut Version) -> Answer<()> {
    let wants = asked.retention.is_some() || asked.legal_hold;
    let Some(lock) = bucket(world, name)?.lock else {
        return if wants { Err(no_lock()) } else { Ok(()) };
    };
    if let Some(retention) = asked.retention {
        check_date(world, retention)?;
    }
    let by_default = lock.default.map(|default| {
        let days = default.days.unwrap_or_default() + 365 * default.years.unwrap_or_default();
        let days = Millis::try_from(days).unwrap_or_default();
        Retention { compliance: default.compliance, until: world.now() + days * DAY }
    });
    let retention = asked.retention.or(by_default);
    if retention.is_some() || asked.legal_hold {
        let extra = version.extra();
        (extra.retention, extra.legal_hold) = (retention, asked.legal_hold);
    }
    Ok(())
}

/// Whether a version may be deleted for good.
///
/// # Errors
/// 403 `AccessDenied` while it is locked; `bypass` passes governance.
pub fn deletable(version: &Version, now: Millis, bypass: bool) -> Answer<()> {
    let Some(extra) = &version.extra else {
        return Ok(());
    };
    let retained = extra.retention.is_some_and(|it| now < it.until && (it.compliance || !bypass));
    if extra.legal_hold || retained {
        let message = "Access Denied because object protected by object lock.";
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    Ok(())
}

/// Sets the lock of a bucket.
///
/// # Errors
/// 404 `NoSuchBucket`; 409 `InvalidBucketState` without versioning.
pub fn configure(world: &mut World, name: &str, lock: ObjectLock) -> Answer<()> {
    let bucket = bucket_mut(world, name)?;
    if bucket.versioning != Versioning::Enabled {
        let message =
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
        return Err(Refusal::new(409, "InvalidBucketState", message));
    }
    bucket.lock = Some(lock);
    Ok(())
}

/// Sets the retention of a version; `None` removes it.
///
/// # Errors
/// 400 `InvalidRequest` in a bucket without a lock; 400 `InvalidArgument` for a date that is past; 403
/// `AccessDenied` for less than there is, unless governance is bypassed.
pub fn set_retention(
    world: &mut World,
    (name, key): (&str, &str),
    version_id: Option<&str>,
    retention: Option<Retention>,
    bypass: bool,
) -> Answer<()> {
    if let Some(retention) = retention {
        check_date(world, retention)?;
    }
    let now = world.now();
    let version = locked(world, (name, key), version_id)?;
    let before = version.extra.as_ref().and_then(|extra| extra.retention);
    // It can be prolonged; neither its mode nor its end can be taken back.
    let weaker = |before: Retention| {
        retention.is_none_or(|it| it.until < before.until || before.compliance != it.compliance)
    };
    let binding = before.filter(|it| now < it.until && weaker(*it));
    if binding.is_some_and(|it| it.compliance || !bypass) {
        let message = "Access Denied because object protected by object lock.";
        return Err(Refusal::new(403, "AccessDenied", message));
    }
    version.extra().retention = retention;
    let id = version.id.clone();
    replication::on_write(world, name, key, &id, Trigger::Metadata);
    Ok(())
}

/// Switches the legal hold of a version.
///
/// # Errors
/// 400 `InvalidRequest` in a bucket without a lock, and those of finding the version.
pub fn set_legal_hold(
    world: &mut World,
    place: (&str, &str),
    version_id: Option<&str>,
    on: bool,
) -> Answer<()> {
    let version = locked(world, place, version_id)?;
    let extra = version.extra();
    (extra.legal_hold, extra.hold_of_source) = (on, false);
    let id = version.id.clone();
    replication::on_write(world, place.0, place.1, &id, Trigger::Metadata);
    Ok(())
}

/// Whether the bucket has a lock at all.
///
/// # Errors
/// 404 `NoSuchBucket`, 400 `InvalidRequest`.
pub fn required(world: &World, name: &str) -> Answer<()> {
    bucket(world, name)?.lock.map(drop).ok_or_else(no_lock)
}

fn locked<'a>(
    world: &'a mut World,
    (name, key): (&str, &str),
    version_id: Option<&str>,
) -> Answer<&'a mut Version> {
    required(world, name)?;
    let version = get::version(world, name, key, version_id)?;
    if version.is_delete_marker() {
        let message = "The specified method is not allowed against this resource.";
        return Err(Refusal::new(405, "MethodNotAllowed", message));
    }
    let id = version.id.clone();
    let versions = bucket_mut(world, name)?.keys.get_mut(key);
    versions
        .and_then(|versions| versions.iter_mut().find(|version| version.id == id))
        .ok_or_else(no_such_version)
}

fn check_date(world: &World, retention: Retention) -> Answer<()> {
    if retention.until > world.now() {
        return Ok(());
    }
    Err(Refusal::new(400, "InvalidArgument", "The retain until date must be in the future!"))
}

fn no_lock() -> Refusal {
    Refusal::new(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::world::Config;
    use crate::world::ops::condition::WriteIf;
    use crate::world::ops::{self, delete};

    #[test]
    fn a_locked_version_stays_until_its_time_is_over() {
        let mut world = World::new(Config::default());
        ops::bucket::create(&mut world, "b", "111122223333", "us-east-1").unwrap();
        let lock = ObjectLock {
            default: Some(DefaultRetention { compliance: false, days: Some(2), years: None }),
        };
        assert_eq!(configure(&mut world, "b", lock).unwrap_err().code, "InvalidBucketState");
        ops::bucket::put_versioning(&mut world, "b", Versioning::Enabled).unwrap();
        configure(&mut world, "b", lock).unwrap();
        ops::put::store(&mut world, "b", "k", "body".into(), "text/plain").unwrap();
        let id = world.buckets["b"].keys["k"][0].id.to_string();
        let any = WriteIf::default();
        let refused = delete::version(&mut world, ("b", "k"), &id, &any, false);
        assert_eq!(refused.unwrap_err().code, "AccessDenied");
        set_legal_hold(&mut world, ("b", "k"), None, true).unwrap();
        assert!(delete::version(&mut world, ("b", "k"), &id, &any, true).is_err(), "on hold");
        set_legal_hold(&mut world, ("b", "k"), None, false).unwrap();
        let past = Retention { compliance: true, until: world.now() };
        let set = set_retention(&mut world, ("b", "k"), None, Some(past), true);
        assert_eq!(set.unwrap_err().code, "InvalidArgument");
        let longer = Retention { compliance: true, until: world.now() + 4 * DAY };
        let set = set_retention(&mut world, ("b", "k"), None, Some(longer), false);
        assert_eq!(set.unwrap_err().code, "AccessDenied", "another mode needs the bypass");
        set_retention(&mut world, ("b", "k"), None, Some(longer), true).unwrap();
        assert!(set_retention(&mut world, ("b", "k"), None, None, true).is_err(), "compliance");
        world.advance_to(world.now() + 4 * DAY);
        assert!(delete::version(&mut world, ("b", "k"), &id, &any, false).is_ok());
    }
}
