//! `ReplicationConfiguration` between the wire and the world. What only the shape of the XML can tell (an
//! unknown status word, two predicates without `And`, an empty element) is refused here; the rest is
//! [`validate`](crate::world::replication::rules::validate)'s to judge.

use s3s::dto;

use crate::world::replication::rules::{Destination, Filter, ReplicationConfig, Rule, Switch};
use crate::world::{Answer, Refusal};

/// The configuration that a client sent.
///
/// # Errors
/// 400 `MalformedXML` for a shape that the schema does not know, 400 `InvalidRequest` for an empty
/// `SourceSelectionCriteria`.
pub(crate) fn from_dto(config: dto::ReplicationConfiguration) -> Answer<ReplicationConfig> {
    let rules: Answer<Vec<_>> =
        config.rules.into_iter().map(|rule| rule_from(rule).map(Into::into)).collect();
    Ok(ReplicationConfig { role: config.role.into(), rules: rules? })
}

fn rule_from(rule: dto::ReplicationRule) -> Answer<Rule> {
    if rule.existing_object_replication.is_some() {
        return Err(malformed("ExistingObjectReplication is not supported"));
    }
    let (sse_kms, replica_modifications) = match rule.source_selection_criteria {
        None => (None, None),
        Some(criteria) => {
            let kms = criteria.sse_kms_encrypted_objects.map(|it| enabled(it.status.as_str()));
            let replicas = criteria.replica_modifications.map(|it| enabled(it.status.as_str()));
            if kms.is_none() && replicas.is_none() {
                let message = "SourceSelectionCriteria must not be empty";
                return Err(Refusal::new(400, "InvalidRequest", message));
            }
            (kms.transpose()?, replicas.transpose()?)
        }
    };
    let delete_markers = match rule.delete_marker_replication {
        None => None,
        Some(block) => {
            let status =
                block.status.ok_or_else(|| malformed("DeleteMarkerReplication needs Status"))?;
            Some(enabled(status.as_str())?)
        }
    };
    Ok(Rule {
        id: rule.id.unwrap_or_default(),
        priority: rule.priority,
        filter: filter_from(rule.prefix, rule.filter)?,
        enabled: enabled(rule.status.as_str())?,
        sse_kms,
        replica_modifications,
        delete_markers,
        destination: destination_from(rule.destination)?,
    })
}

fn filter_from(
    prefix: Option<String>,
    filter: Option<dto::ReplicationRuleFilter>,
) -> Answer<Filter> {
    let Some(filter) = filter else {
        return Ok(prefix.map_or(Filter::Absent, Filter::V1));
    };
    if prefix.is_some() {
        return Err(malformed("Prefix and Filter cannot be used together"));
    }
    match (filter.and, filter.prefix, filter.tag) {
        (None, None, None) => Ok(Filter::All),
        (None, Some(prefix), None) => Ok(Filter::Prefix(prefix)),
        (None, None, Some(one)) => tag(one).map(|(key, value)| Filter::Tag(key, value)),
        (Some(and), None, None) => {
            let tags: Answer<Vec<_>> = and.tags.unwrap_or_default().into_iter().map(tag).collect();
            Ok(Filter::And { prefix: and.prefix, tags: tags? })
        }
        _ => Err(malformed("A filter with several predicates needs And")),
    }
}

fn tag(tag: dto::Tag) -> Answer<(String, String)> {
    match (tag.key, tag.value) {
        (Some(key), Some(value)) => Ok((key, value)),
        _ => Err(malformed("A tag needs Key and Value")),
    }
}

fn destination_from(destination: dto::Destination) -> Answer<Destination> {
    let metrics = match destination.metrics {
        None => None,
        Some(metrics) => Some(Switch {
            enabled: enabled(metrics.status.as_str())?,
            minutes: metrics.event_threshold.and_then(|it| it.minutes),
        }),
    };
    let time_control = match destination.replication_time {
        None => None,
        Some(control) => Some(Switch {
            enabled: enabled(control.status.as_str())?,
            minutes: control.time.minutes,
        }),
    };
    let owner = destination.access_control_translation.map(|it| it.owner);
    if owner.as_ref().is_some_and(|owner| owner.as_str() != dto::OwnerOverride::DESTINATION) {
        return Err(malformed("AccessControlTranslation.Owner must be Destination"));
    }
    Ok(Destination {
        bucket: destination.bucket,
        account: destination.account,
        storage_class: destination.storage_class.map(|class| class.as_str().to_owned()),
        owner_override: owner.is_some(),
        encryption: destination.encryption_configuration.map(|it| it.replica_kms_key_id),
        metrics,
        time_control,
    })
}

fn enabled(status: &str) -> Answer<bool> {
    match status {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(malformed("Status must be Enabled or Disabled")),
    }
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, "MalformedXML", message)
}

/// The configuration as a client reads it: what was sent, in the shape it had.
pub(crate) fn to_dto(config: &ReplicationConfig) -> dto::ReplicationConfiguration {
    dto::ReplicationConfiguration {
        role: config.role.to_string(),
        rules: config.rules.iter().map(|rule| rule_to(rule)).collect(),
    }
}

fn rule_to(rule: &Rule) -> dto::ReplicationRule {
    let criteria = (rule.sse_kms.is_some() || rule.replica_modifications.is_some()).then(|| {
        dto::SourceSelectionCriteria {
            sse_kms_encrypted_objects: rule.sse_kms.map(|on| dto::SseKmsEncryptedObjects {
                status: dto::SseKmsEncryptedObjectsStatus::from_static(word(on)),
            }),
            replica_modifications: rule.replica_modifications.map(|on| dto::ReplicaModifications {
                status: dto::ReplicaModificationsStatus::from_static(word(on)),
            }),
        }
    });
    let (prefix, filter) = filter_to(&rule.filter);
    dto::ReplicationRule {
        delete_marker_replication: rule.delete_markers.map(|on| dto::DeleteMarkerReplication {
            status: Some(dto::DeleteMarkerReplicationStatus::from_static(word(on))),
        }),
        destination: destination_to(&rule.destination),
        existing_object_replication: None,
        filter,
        id: Some(rule.id.clone()),
        prefix,
        priority: rule.priority,
        source_selection_criteria: criteria,
        status: dto::ReplicationRuleStatus::from_static(word(rule.enabled)),
    }
}

fn filter_to(filter: &Filter) -> (Option<String>, Option<dto::ReplicationRuleFilter>) {
    let tag = |key: &String, value: &String| dto::Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    let mut block = dto::ReplicationRuleFilter { and: None, prefix: None, tag: None };
    match filter {
        Filter::Absent => return (None, None),
        Filter::V1(prefix) => return (Some(prefix.clone()), None),
        Filter::All => {}
        Filter::Prefix(prefix) => block.prefix = Some(prefix.clone()),
        Filter::Tag(key, value) => block.tag = Some(tag(key, value)),
        Filter::And { prefix, tags } => {
            block.and = Some(dto::ReplicationRuleAndOperator {
                prefix: prefix.clone(),
                tags: Some(tags.iter().map(|(key, value)| tag(key, value)).collect()),
            });
        }
    }
    (None, Some(block))
}

fn destination_to(destination: &Destination) -> dto::Destination {
    let value = |minutes| dto::ReplicationTimeValue { minutes: Some(minutes) };
    dto::Destination {
        access_control_translation: destination.owner_override.then(|| {
            dto::AccessControlTranslation {
                owner: dto::OwnerOverride::from_static(dto::OwnerOverride::DESTINATION),
            }
        }),
        account: destination.account.clone(),
        bucket: destination.bucket.clone(),
        encryption_configuration: destination
            .encryption
            .clone()
            .map(|key| dto::EncryptionConfiguration { replica_kms_key_id: key }),
        metrics: destination.metrics.map(|metrics| dto::Metrics {
            event_threshold: metrics.minutes.map(value),
            status: dto::MetricsStatus::from_static(word(metrics.enabled)),
        }),
        replication_time: destination.time_control.map(|control| dto::ReplicationTime {
            status: dto::ReplicationTimeStatus::from_static(word(control.enabled)),
            time: dto::ReplicationTimeValue { minutes: control.minutes },
        }),
        storage_class: destination.storage_class.clone().map(dto::StorageClass::from),
    }
}

fn word(enabled: bool) -> &'static str {
    if enabled { "Enabled" } else { "Disabled" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rule(filter: Filter) -> Rule {
        let mut rule = Rule::to_bucket("r", 1, "dst");
        rule.filter = filter;
        rule.sse_kms = Some(true);
        rule.destination.owner_override = true;
        rule.destination.account = Some("444455556666".into());
        rule.destination.storage_class = Some("STANDARD_IA".into());
        rule.destination.encryption = Some(Some("arn:aws:kms:us-east-1:111122223333:key/k".into()));
        rule.destination.time_control = Some(Switch { enabled: true, minutes: Some(15) });
        rule
    }

    #[test]
    fn what_was_put_is_what_is_got() {
        let tag = || ("k".to_owned(), "v".to_owned());
        let filters = [
            Filter::Absent,
            Filter::V1("a/".into()),
            Filter::All,
            Filter::Prefix("a/".into()),
            Filter::Tag("k".into(), "v".into()),
            Filter::And { prefix: None, tags: vec![tag(), tag()] },
        ];
        for filter in filters {
            let config = ReplicationConfig {
                role: "arn:aws:iam::111122223333:role/rep".into(),
                rules: vec![rule(filter).into()],
            };
            assert_eq!(from_dto(to_dto(&config)).unwrap(), config);
        }
    }

    #[test]
    fn shapes_outside_the_schema_are_malformed() {
        let check = |what: &str, code: &str, spoil: fn(&mut dto::ReplicationRule)| {
            let mut broken = rule_to(&rule(Filter::Prefix("a".into())));
            spoil(&mut broken);
            assert_eq!(rule_from(broken).unwrap_err().code, code, "{what}");
        };
        check("prefix beside filter", "MalformedXML", |it| it.prefix = Some("p".into()));
        check("lower-case status", "MalformedXML", |it| {
            it.status = dto::ReplicationRuleStatus::from_static("enabled");
        });
        check("empty marker block", "MalformedXML", |it| {
            it.delete_marker_replication = Some(dto::DeleteMarkerReplication { status: None });
        });
        check("prefix and tag", "MalformedXML", |it| {
            let tag = dto::Tag { key: Some("k".into()), value: Some("v".into()) };
            it.filter.as_mut().unwrap().tag = Some(tag);
        });
        check("empty criteria", "InvalidRequest", |it| {
            it.source_selection_criteria = Some(dto::SourceSelectionCriteria {
                replica_modifications: None,
                sse_kms_encrypted_objects: None,
            });
        });
    }
}
