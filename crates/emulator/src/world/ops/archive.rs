//! Archives: the classes and tiers whose bytes cannot be read until they are restored (S3 User Guide:
//! restoring an archived object, how S3 Intelligent-Tiering works).
//!
//! Nothing is scheduled: what a restoration has come to, and which tier an object has sunk to, follows
//! from the time at which somebody looks.

use super::{bucket_mut, get, no_such_version};
use crate::world::bucket::Bucket;
use crate::world::object::{Restore, Version};
use crate::world::{Answer, Millis, Refusal, World};

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;

/// How fast a restoration is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Minutes; not for Deep Archive.
    Expedited,
    /// Hours.
    Standard,
    /// Half a day and more, at the lowest price.
    Bulk,
}

/// Where the bytes of a version lie, if they cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// `GLACIER`: S3 Glacier Flexible Retrieval.
    Glacier,
    /// `DEEP_ARCHIVE`: S3 Glacier Deep Archive.
    DeepArchive,
    /// The Archive Access tier of Intelligent-Tiering.
    ArchiveAccess,
    /// Its Deep Archive Access tier.
    DeepArchiveAccess,
}

impl Archive {
    /// Whether it is a tier of Intelligent-Tiering: `x-amz-archive-status`.
    pub fn tier_name(self) -> Option<&'static str> {
        match self {
            Self::ArchiveAccess => Some("ARCHIVE_ACCESS"),
            Self::DeepArchiveAccess => Some("DEEP_ARCHIVE_ACCESS"),
            Self::Glacier | Self::DeepArchive => None,
        }
    }

    /// How long a restoration takes, at most.
    fn delay(self, tier: Tier) -> Millis {
        let deep = matches!(self, Self::DeepArchive | Self::DeepArchiveAccess);
        match (tier, deep) {
            (Tier::Expedited, _) => HOUR / 12,
            (Tier::Standard, false) => 5 * HOUR,
            (Tier::Standard, true) | (Tier::Bulk, false) => 12 * HOUR,
            (Tier::Bulk, true) => 48 * HOUR,
        }
    }
}

/// The days without access after which an Intelligent-Tiering object of a bucket sinks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tiering {
    /// Id of the configuration.
    pub id: String,
    /// Whether it counts.
    pub enabled: bool,
    /// Only keys with this prefix.
    pub prefix: Option<String>,
    /// Days to `ARCHIVE_ACCESS`.
    pub archive_days: Option<u32>,
    /// Days to `DEEP_ARCHIVE_ACCESS`.
    pub deep_days: Option<u32>,
}

/// Where the bytes of a version have sunk to; `None` while they can be read.
pub fn archived(bucket: &Bucket, key: &str, version: &Version, now: Millis) -> Option<Archive> {
    let restored = |restore: &Restore| {
        restore.ready <= now && restore.expires.is_none_or(|expires| now < expires)
    };
    let restore = version.restore();
    let class = match &*version.storage_class {
        "GLACIER" => Archive::Glacier,
        "DEEP_ARCHIVE" => Archive::DeepArchive,
        "INTELLIGENT_TIERING" => {
            let back = restore.map(|restore| restore.ready).filter(|ready| *ready <= now);
            let touched = version.accessed().max(back.unwrap_or_default());
            let idle = now.saturating_sub(touched) / DAY;
            return tier(bucket, key, idle);
        }
        _ => return None,
    };
    restore.is_none_or(|restore| !restored(restore)).then_some(class)
}

fn tier(bucket: &Bucket, key: &str, idle_days: u64) -> Option<Archive> {
    let configs = bucket.tierings.iter().filter(|config| {
        config.enabled && config.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
    });
    let sunk = |days: Option<u32>| days.is_some_and(|days| idle_days >= u64::from(days));
    configs
        .filter_map(|config| match (sunk(config.deep_days), sunk(config.archive_days)) {
            (true, _) => Some(Archive::DeepArchiveAccess),
            (false, true) => Some(Archive::ArchiveAccess),
            (false, false) => None,
        })
        .next_back()
}

/// Remembers that the bytes of an Intelligent-Tiering version were read.
pub fn touch(world: &mut World, bucket: &str, key: &str, version_id: &str) {
    let now = world.now();
    let version = super::bucket_mut(world, bucket)
        .ok()
        .and_then(|bucket| bucket.keys.get_mut(key))
        .and_then(|versions| versions.iter_mut().find(|version| &*version.id == version_id));
    if let Some(version) = version.filter(|it| &*it.storage_class == "INTELLIGENT_TIERING") {
        version.extra().accessed = Some(now);
    }
}

/// What a request for a restoration has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It has begun: 202.
    Begun,
    /// The copy was there, and stays as long as is now asked for: 200.
    Prolonged,
}

/// Asks for a version to be brought back from its archive.
///
/// # Errors
/// 404 for a version that is not there; 403 `InvalidObjectState` for one that is not archived; 409
/// `RestoreAlreadyInProgress`; 400 `MalformedXML` for days that are missing or must not be given; 503
/// `GlacierExpeditedRetrievalNotAvailable` for a fast way out of a deep archive.
pub fn restore(
    world: &mut World,
    (bucket, key): (&str, &str),
    version_id: Option<&str>,
    days: Option<i32>,
    tier: Tier,
) -> Answer<Asked> {
    let now = world.now();
    let version = get::version(world, bucket, key, version_id)?;
    let archive = archived(super::bucket(world, bucket)?, key, version, now);
    let sunk = archive.is_some();
    let (id, before) = (version.id.clone(), version.restore().copied());
    if before.is_some_and(|restore| now < restore.ready) {
        let message = "Object restore is already in progress";
        return Err(Refusal::new(409, "RestoreAlreadyInProgress", message));
    }
    let class = matches!(&*version.storage_class, "GLACIER" | "DEEP_ARCHIVE");
    let Some(archive) = archive.or(before.filter(|_| class).map(|_| Archive::Glacier)) else {
        let message = "Restore is not allowed for the object's current storage class";
        return Err(Refusal::new(403, "InvalidObjectState", message));
    };
    let days = check_days(class, days)?;
    let deep = matches!(archive, Archive::DeepArchive | Archive::DeepArchiveAccess);
    if tier == Tier::Expedited && deep {
        let message = "Expedited retrievals are not available for this storage class";
        return Err(Refusal::new(400, "InvalidRequest", message));
    }
    // A version that has sunk again has nothing to be prolonged.
    let still_there = before.filter(|_| !sunk);
    let ready = still_there.map_or(now + archive.delay(tier), |restore| restore.ready);
    // The day on which it goes is over at midnight.
    let expires = days.map(|days| (ready.max(now) + days * DAY).div_ceil(DAY) * DAY);
    let version = bucket_mut(world, bucket)?
        .keys
        .get_mut(key)
        .and_then(|versions| versions.iter_mut().find(|version| version.id == id))
        .ok_or_else(no_such_version)?;
    version.extra().restore = Some(Restore { ready, expires });
    Ok(if still_there.is_some() { Asked::Prolonged } else { Asked::Begun })
}

fn check_days(class: bool, days: Option<i32>) -> Answer<Option<Millis>> {
    match (class, days) {
        (true, Some(days)) if days >= 1 => Ok(Some(days as Millis)),
        (false, None) => Ok(None),
        (true, _) => Err(Refusal::new(400, "MalformedXML", "Days must be 1 or greater")),
        (false, Some(_)) => {
            let message = "Days must not be given for objects in Intelligent-Tiering";
            Err(Refusal::new(400, "MalformedXML", message))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::sync::Arc;

    use super::*;
    use crate::world::Config;
    use crate::world::ops;

    fn world(class: &str) -> World {
        let mut world = World::new(Config::default());
        ops::bucket::create(&mut world, "b", "111122223333", "us-east-1").unwrap();
        ops::put::store(&mut world, "b", "k", "body".into(), "text/plain").unwrap();
        world.buckets.get_mut("b").unwrap().keys.get_mut("k").unwrap()[0].storage_class =
            Arc::from(class);
        world
    }

    fn now(world: &World) -> Option<Archive> {
        let bucket = &world.buckets["b"];
        archived(bucket, "k", &bucket.keys["k"][0], world.now())
    }

    #[test]
    fn a_glacier_object_comes_back_for_days_and_sinks_again() {
        let mut world = world("GLACIER");
        assert_eq!(now(&world), Some(Archive::Glacier));
        let mut ask = |days| restore(&mut world, ("b", "k"), None, days, Tier::Standard);
        assert_eq!(ask(None).unwrap_err().code, "MalformedXML");
        assert_eq!(ask(Some(2)), Ok(Asked::Begun));
        assert_eq!(ask(Some(2)).unwrap_err().code, "RestoreAlreadyInProgress");
        world.advance_to(world.now() + 5 * HOUR);
        assert_eq!(now(&world), None);
        let again = restore(&mut world, ("b", "k"), None, Some(3), Tier::Bulk);
        assert_eq!((again, now(&world)), (Ok(Asked::Prolonged), None));
        world.advance_to(world.now() + 4 * DAY);
        assert_eq!(now(&world), Some(Archive::Glacier));
    }

    #[test]
    fn an_idle_object_sinks_through_the_tiers_and_rises_when_it_is_restored() {
        let mut world = world("INTELLIGENT_TIERING");
        world.buckets.get_mut("b").unwrap().tierings.push(Tiering {
            id: "t".into(),
            enabled: true,
            prefix: None,
            archive_days: Some(90),
            deep_days: Some(180),
        });
        let mut ask = |days| restore(&mut world, ("b", "k"), None, days, Tier::Standard);
        assert_eq!(ask(None).unwrap_err().code, "InvalidObjectState", "not archived yet");
        world.advance_to(world.now() + 89 * DAY);
        assert_eq!(now(&world), None);
        touch(&mut world, "b", "k", "null");
        world.advance_to(world.now() + 90 * DAY);
        assert_eq!(now(&world), Some(Archive::ArchiveAccess));
        world.advance_to(world.now() + 90 * DAY);
        assert_eq!(now(&world), Some(Archive::DeepArchiveAccess));
        let refused = restore(&mut world, ("b", "k"), None, Some(1), Tier::Standard);
        assert_eq!(refused.unwrap_err().code, "MalformedXML");
        restore(&mut world, ("b", "k"), None, None, Tier::Standard).unwrap();
        world.advance_to(world.now() + 12 * HOUR);
        assert_eq!(now(&world), None);
        world.advance_to(world.now() + 200 * DAY);
        assert_eq!(now(&world), Some(Archive::DeepArchiveAccess), "and sinks once more");
        let again = restore(&mut world, ("b", "k"), None, None, Tier::Bulk);
        assert_eq!(again, Ok(Asked::Begun));
        world.advance_to(world.now() + 2 * DAY);
        assert_eq!(now(&world), None);
    }
}
