//! `NotificationConfiguration` between the wire and the world. The three sections become one list of
//! entries and are three sections again when they are read.

use s3s::dto;

use crate::world::notification::{Entry, NotificationConfig, Target};

/// The document that a client sent. An id that was not given is empty.
pub(crate) fn from_dto(config: dto::NotificationConfiguration) -> NotificationConfig {
    let mut entries = Vec::new();
    for it in config.topic_configurations.unwrap_or_default() {
        entries.push(entry(Target::Topic, it.id, it.topic_arn, it.events, it.filter));
    }
    for it in config.queue_configurations.unwrap_or_default() {
        entries.push(entry(Target::Queue, it.id, it.queue_arn, it.events, it.filter));
    }
    for it in config.lambda_function_configurations.unwrap_or_default() {
        entries.push(entry(Target::Function, it.id, it.lambda_function_arn, it.events, it.filter));
    }
    NotificationConfig { entries, event_bridge: config.event_bridge_configuration.is_some() }
}

fn entry(
    target: Target,
    id: Option<String>,
    arn: String,
    events: dto::EventList,
    filter: Option<dto::NotificationConfigurationFilter>,
) -> Entry {
    let rules = filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules);
    let filter = rules.map(|rules| {
        let text = |rule: dto::FilterRule| {
            let name = rule.name.map(|name| name.as_str().to_owned());
            (name.unwrap_or_default(), rule.value.unwrap_or_default())
        };
        rules.into_iter().map(text).collect()
    });
    let events = events.into_iter().map(String::from).collect();
    Entry { id: id.unwrap_or_default(), target, arn, events, filter }
}

/// The document as a client reads it.
pub(crate) fn to_dto(config: &NotificationConfig) -> dto::NotificationConfiguration {
    let of = |target: Target| config.entries.iter().filter(move |entry| entry.target == target);
    let topics: dto::TopicConfigurationList = of(Target::Topic)
        .map(|entry| dto::TopicConfiguration {
            events: events_of(entry),
            filter: filter_of(entry),
            id: Some(entry.id.clone()),
            topic_arn: entry.arn.clone(),
        })
        .collect();
    let queues: dto::QueueConfigurationList = of(Target::Queue)
        .map(|entry| dto::QueueConfiguration {
            events: events_of(entry),
            filter: filter_of(entry),
            id: Some(entry.id.clone()),
            queue_arn: entry.arn.clone(),
        })
        .collect();
    let functions: dto::LambdaFunctionConfigurationList = of(Target::Function)
        .map(|entry| dto::LambdaFunctionConfiguration {
            events: events_of(entry),
            filter: filter_of(entry),
            id: Some(entry.id.clone()),
            lambda_function_arn: entry.arn.clone(),
        })
        .collect();
    dto::NotificationConfiguration {
        event_bridge_configuration: config
            .event_bridge
            .then(dto::EventBridgeConfiguration::default),
        topic_configurations: Some(topics).filter(|list| !list.is_empty()),
        queue_configurations: Some(queues).filter(|list| !list.is_empty()),
        lambda_function_configurations: Some(functions).filter(|list| !list.is_empty()),
    }
}

fn events_of(entry: &Entry) -> dto::EventList {
    entry.events.iter().map(|event| dto::Event::from(event.clone())).collect()
}

fn filter_of(entry: &Entry) -> Option<dto::NotificationConfigurationFilter> {
    let rule = |(name, value): &(String, String)| dto::FilterRule {
        name: Some(dto::FilterRuleName::from(name.clone())),
        value: Some(value.clone()),
    };
    entry.filter.as_ref().map(|rules| dto::NotificationConfigurationFilter {
        key: Some(dto::S3KeyFilter { filter_rules: Some(rules.iter().map(rule).collect()) }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_survives_the_way_there_and_back() {
        let mut queue =
            Entry::queue("q", "arn:aws:sqs:us-east-1:111122223333:q", &["s3:Replication:*"]);
        queue.filter = Some(vec![("Prefix".into(), "a/".into()), ("suffix".into(), ".csv".into())]);
        let topic = Entry { id: "t".into(), target: Target::Topic, ..queue.clone() };
        let function =
            Entry { id: "f".into(), target: Target::Function, filter: None, ..queue.clone() };
        let config =
            NotificationConfig { entries: vec![topic, queue, function], event_bridge: true };
        assert_eq!(from_dto(to_dto(&config)), config);
        let empty = NotificationConfig::default();
        assert_eq!(from_dto(to_dto(&empty)), empty);
    }
}
