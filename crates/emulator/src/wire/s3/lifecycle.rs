//! Lifecycle configurations between the wire and the world.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::fields::{millis, timestamp};
use super::plain;
use crate::world::lifecycle::{Expiration, Filter, Noncurrent, Rule, When, of, validate};
use crate::world::ops::bucket::put_lifecycle;
use crate::world::ops::{bucket, bucket_mut};
use crate::world::{Answer, Refusal, World};

pub(super) fn put(
    world: &mut World,
    request: S3Request<dto::PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<dto::PutBucketLifecycleConfigurationOutput>> {
    let input = request.input;
    let rules = input.lifecycle_configuration.map(|config| config.rules).unwrap_or_default();
    let mut rules = rules.into_iter().map(from_dto).collect::<Answer<Vec<_>>>()?;
    for rule in rules.iter_mut().filter(|rule| rule.id.is_empty()) {
        rule.id = world.rng.uuid();
    }
    validate(&rules)?;
    let minimum = input.transition_default_minimum_object_size;
    let varies = match minimum.as_ref().map_or(ALL_CLASSES, |it| it.as_str()) {
        ALL_CLASSES => false,
        BY_CLASS => true,
        _ => return Err(malformed("TransitionDefaultMinimumObjectSize is none of two").into()),
    };
    put_lifecycle(world, &input.bucket, rules)?;
    bucket_mut(world, &input.bucket)?.lifecycle_varies = varies;
    plain(dto::PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(minimum_of(varies)),
    })
}

/// Which objects are too small to be moved: those of less than 128 KiB, or these only where the class is no
/// archive (S3 User Guide: transitioning objects).
const ALL_CLASSES: &str = "all_storage_classes_128K";
const BY_CLASS: &str = "varies_by_storage_class";

fn minimum_of(varies: bool) -> dto::TransitionDefaultMinimumObjectSize {
    let name = if varies { BY_CLASS } else { ALL_CLASSES };
    dto::TransitionDefaultMinimumObjectSize::from_static(name)
}

pub(super) fn get(
    world: &mut World,
    request: S3Request<dto::GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<dto::GetBucketLifecycleConfigurationOutput>> {
    let bucket = bucket(world, &request.input.bucket)?;
    let rules = of(bucket)?.iter().map(to_dto).collect();
    plain(dto::GetBucketLifecycleConfigurationOutput {
        rules: Some(rules),
        transition_default_minimum_object_size: Some(minimum_of(bucket.lifecycle_varies)),
    })
}

pub(super) fn delete(
    world: &mut World,
    request: S3Request<dto::DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<dto::DeleteBucketLifecycleOutput>> {
    put_lifecycle(world, &request.input.bucket, Vec::new())?;
    plain(dto::DeleteBucketLifecycleOutput::default())
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, "MalformedXML", message)
}

fn from_dto(rule: dto::LifecycleRule) -> Answer<Rule> {
    let enabled = match rule.status.as_str() {
        "Enabled" => true,
        "Disabled" => false,
        _ => return Err(malformed("Status must be Enabled or Disabled")),
    };
    let when = |days: Option<i32>, date: Option<dto::Date>| match (days, date) {
        (Some(days), None) => Ok(When::Days(days)),
        (None, Some(date)) => Ok(When::Date(millis(date))),
        _ => Err(malformed("Either Days or Date must be given")),
    };
    let expiration = match rule.expiration {
        None => None,
        Some(it) => match it.expired_object_delete_marker {
            Some(_) if it.days.is_some() || it.date.is_some() => {
                return Err(malformed("ExpiredObjectDeleteMarker excludes Days and Date"));
            }
            Some(on) => Some(Expiration::ExpiredMarkers(on)),
            None => Some(Expiration::When(when(it.days, it.date)?)),
        },
    };
    let transitions = rule.transitions.unwrap_or_default().into_iter();
    let older = rule.noncurrent_version_transitions.unwrap_or_default().into_iter();
    Ok(Rule {
        id: rule.id.unwrap_or_default(),
        enabled,
        filter: filter_from(rule.prefix, rule.filter)?,
        expiration,
        noncurrent: rule.noncurrent_version_expiration.map(|it| Noncurrent {
            days: it.noncurrent_days.unwrap_or_default(),
            keep: it.newer_noncurrent_versions,
        }),
        transitions: transitions
            .map(|it| Ok((when(it.days, it.date)?, class(it.storage_class)?)))
            .collect::<Answer<_>>()?,
        noncurrent_transitions: older
            .map(|it| {
                let days = it.noncurrent_days.unwrap_or_default();
                let noncurrent = Noncurrent { days, keep: it.newer_noncurrent_versions };
                Ok((noncurrent, class(it.storage_class)?))
            })
            .collect::<Answer<_>>()?,
        abort_days: rule
            .abort_incomplete_multipart_upload
            .map(|it| it.days_after_initiation.unwrap_or_default()),
    })
}

fn class(class: Option<dto::TransitionStorageClass>) -> Answer<String> {
    let class = class.ok_or_else(|| malformed("StorageClass must be given"))?;
    Ok(class.as_str().to_owned())
}

fn filter_from(prefix: Option<String>, filter: Option<dto::LifecycleRuleFilter>) -> Answer<Filter> {
    let bytes = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok());
    let tag = |tag: dto::Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    match (prefix, filter) {
        (Some(_), Some(_)) => Err(malformed("Prefix and Filter exclude each other")),
        (Some(prefix), None) => {
            Ok(Filter { is_v1: true, prefix: Some(prefix), ..Filter::default() })
        }
        (None, None) => Err(malformed("A rule needs a Filter")),
        (None, Some(filter)) => Ok(match filter.and {
            Some(and) => Filter {
                is_v1: false,
                prefix: and.prefix,
                tags: and.tags.unwrap_or_default().into_iter().map(tag).collect(),
                larger_than: bytes(and.object_size_greater_than),
                smaller_than: bytes(and.object_size_less_than),
            },
            None => Filter {
                is_v1: false,
                prefix: filter.prefix,
                tags: filter.tag.into_iter().map(tag).collect(),
                larger_than: bytes(filter.object_size_greater_than),
                smaller_than: bytes(filter.object_size_less_than),
            },
        }),
    }
}

fn to_dto(rule: &Rule) -> dto::LifecycleRule {
    let when = |when: &When| match when {
        When::Days(days) => (Some(*days), None),
        When::Date(date) => (None, timestamp(*date)),
    };
    let expiration = rule.expiration.as_ref().map(|it| match it {
        Expiration::ExpiredMarkers(on) => dto::LifecycleExpiration {
            expired_object_delete_marker: Some(*on),
            ..Default::default()
        },
        Expiration::When(at) => {
            let (days, date) = when(at);
            dto::LifecycleExpiration { days, date, ..Default::default() }
        }
    });
    let transitions = rule.transitions.iter().map(|(at, class)| {
        let (days, date) = when(at);
        dto::Transition { days, date, storage_class: Some(class.clone().into()) }
    });
    let older =
        rule.noncurrent_transitions.iter().map(|(it, class)| dto::NoncurrentVersionTransition {
            newer_noncurrent_versions: it.keep,
            noncurrent_days: Some(it.days),
            storage_class: Some(class.clone().into()),
        });
    dto::LifecycleRule {
        abort_incomplete_multipart_upload: rule
            .abort_days
            .map(|days| dto::AbortIncompleteMultipartUpload { days_after_initiation: Some(days) }),
        expiration,
        filter: (!rule.filter.is_v1).then(|| filter_to(&rule.filter)),
        id: Some(rule.id.clone()),
        noncurrent_version_expiration: rule.noncurrent.map(|it| dto::NoncurrentVersionExpiration {
            newer_noncurrent_versions: it.keep,
            noncurrent_days: Some(it.days),
        }),
        noncurrent_version_transitions: Some(older.collect::<Vec<_>>()).filter(|it| !it.is_empty()),
        prefix: rule.filter.prefix.clone().filter(|_| rule.filter.is_v1),
        status: dto::ExpirationStatus::from_static(if rule.enabled {
            "Enabled"
        } else {
            "Disabled"
        }),
        transitions: Some(transitions.collect::<Vec<_>>()).filter(|it| !it.is_empty()),
    }
}

fn filter_to(filter: &Filter) -> dto::LifecycleRuleFilter {
    let bytes = |size: Option<u64>| size.and_then(|size| i64::try_from(size).ok());
    let (larger, smaller) = (bytes(filter.larger_than), bytes(filter.smaller_than));
    let mut tags: Vec<dto::Tag> = filter
        .tags
        .iter()
        .map(|(key, value)| dto::Tag { key: Some(key.clone()), value: Some(value.clone()) })
        .collect();
    let predicates = usize::from(filter.prefix.is_some())
        + tags.len()
        + usize::from(larger.is_some())
        + usize::from(smaller.is_some());
    if predicates > 1 {
        let and = dto::LifecycleRuleAndOperator {
            object_size_greater_than: larger,
            object_size_less_than: smaller,
            prefix: filter.prefix.clone(),
            tags: Some(tags),
        };
        return dto::LifecycleRuleFilter { and: Some(and), ..Default::default() };
    }
    dto::LifecycleRuleFilter {
        and: None,
        object_size_greater_than: larger,
        object_size_less_than: smaller,
        prefix: filter.prefix.clone(),
        tag: tags.pop(),
    }
}
