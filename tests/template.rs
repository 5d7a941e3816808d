//! Template and code agree, and a template with a fault in it is noticed: every setting, every value of a
//! rule, every input of a schedule is spoiled in turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use resilver_emulator::stack::Template;
use resilver_tests::Scene;
use resilver_tests::agreement::{
    Event, FUNCTION, left_over, places, problems, rules, schedules, settings,
};
use resilver_tests::exercise::{NAMED, named};
use resilver_tests::stack::{account, answers, changed, outcome, template};
use serde_json::{Map, Value, json};

/// Every event that came while everything was done, and those that AWS documents.
fn events() -> Vec<Event> {
    let recorded = include_str!("recorded/job-status-changed.json");
    let recorded = serde_json::from_str(recorded).unwrap();
    let mut events = named().events.clone();
    events.push(("default".to_owned(), recorded));
    events
}

#[test]
fn template_and_code_agree() {
    assert_eq!(problems(&template(), &events()), [""; 0]);
}

/// Spoils a text, so that it is one which nothing knows.
fn spoiled(text: &str) -> String {
    format!("{text}X")
}

/// The ids of resources of a type.
fn ids(document: &Value, kind: &str) -> Vec<String> {
    let all = document["Resources"].as_object().unwrap().iter();
    all.filter(|(_, it)| it["Type"] == kind).map(|(id, _)| id.clone()).collect()
}

/// Whether a template is deployed.
async fn deploys(template: Arc<Template>) -> bool {
    Scene::staged(account().await, template, &answers(NAMED)).await.is_ok()
}

/// Where the settings are, as JSON pointers.
fn all_settings() -> Vec<(String, String)> {
    let document = template().document().clone();
    let functions = ids(&document, FUNCTION).into_iter();
    let mut places: Vec<String> =
        functions.map(|id| format!("/Resources/{id}/Properties")).collect();
    places.push("/Globals/Function".to_owned());
    let mut all = Vec::new();
    for place in places {
        let at = format!("{place}/Environment/Variables");
        let names = document.pointer(&at).and_then(Value::as_object).into_iter();
        all.extend(names.flat_map(Map::keys).map(|name| (at.clone(), name.clone())));
    }
    assert!(all.len() > 8, "{all:?}");
    all
}

fn variables<'a>(document: &'a mut Value, at: &str) -> &'a mut Map<String, Value> {
    document.pointer_mut(at).unwrap().as_object_mut().unwrap()
}

#[tokio::test]
async fn a_setting_that_is_misspelt_is_noticed() {
    // Those that have a default, or may be empty: a function starts without them, and only the comparison notices.
    let optional = ["BUCKETS", "BUCKET_TAG", "BUS", "CHATS", "LIMITS"];
    for (at, name) in all_settings() {
        let broken = changed(|document| {
            let variables = variables(document, &at);
            let value = variables.remove(&name).unwrap();
            variables.insert(spoiled(&name), value);
        });
        assert!(settings(&broken).len() >= 2, "{name} is missing, and another is nobody's");
        let optional = optional.iter().any(|it| name == format!("RESILVER_{it}"));
        assert!(optional || !deploys(broken).await, "{at} {name}");
    }
}

#[tokio::test]
async fn a_setting_with_another_value_is_noticed() {
    let (whole, _) = outcome(template()).await;
    for (at, name) in all_settings() {
        let nonsense = |document: &mut Value| {
            variables(document, &at).insert(name.clone(), json!("nonsense"));
        };
        let (said, _) = outcome(changed(nonsense)).await;
        assert_ne!(said, whole, "{at} {name}");
    }
}

#[test]
fn a_value_of_a_rule_that_is_misspelt_is_noticed() {
    let document = template().document().clone();
    let events = events();
    let mut spoilt = 0;
    for id in ids(&document, FUNCTION) {
        let events_of = &document["Resources"][&id]["Properties"]["Events"];
        for (name, event) in events_of.as_object().unwrap() {
            if event["Type"] != "EventBridgeRule" {
                continue;
            }
            let pattern = format!("/Resources/{id}/Properties/Events/{name}/Properties/Pattern");
            for place in places(&event["Properties"]["Pattern"], "") {
                let at = format!("{pattern}{place}");
                let count = document.pointer(&at).unwrap().as_array().unwrap().len();
                for n in 0..count {
                    let broken = changed(|document| {
                        let value = document.pointer_mut(&format!("{at}/{n}")).unwrap();
                        *value = match value.as_str() {
                            Some(text) => json!(spoiled(text)),
                            None => json!({"exists": true}),
                        };
                    });
                    assert!(!rules(&broken, &events).is_empty(), "{at}/{n}");
                    spoilt += 1;
                }
            }
        }
    }
    assert!(spoilt > 20, "{spoilt}");
}

#[test]
fn what_s3_has_refused_wakes_nobody() {
    let at = "/Resources/BackfillFunction/Properties/Events/ReplicationChanged/Properties/Pattern/detail";
    let all = changed(|document| {
        document.pointer_mut(at).unwrap().as_object_mut().unwrap().remove("errorCode");
    });
    let problems = rules(&all, &events());
    assert!(problems[0].contains("PutBucketReplication\" wakes"), "{problems:?}");
}

#[test]
fn an_input_of_a_schedule_that_is_misspelt_is_noticed() {
    let document = template().document().clone();
    for id in ids(&document, FUNCTION) {
        let at = format!("/Resources/{id}/Properties/Events/Tick/Properties/Input");
        let Some(input) = document.pointer(&at).and_then(Value::as_str) else {
            assert!(["CollectFunction", "NotifyFunction"].contains(&id.as_str()), "{id}");
            continue;
        };
        for broken in [
            input.replace("\"time\"", "\"tme\""),
            input.replace("scheduled-time", "schedule-time"),
            "{}".to_owned(),
        ] {
            let broken = changed(|document| *document.pointer_mut(&at).unwrap() = json!(broken));
            assert_eq!(schedules(&broken).len(), 1, "{id}");
        }
    }
}

#[tokio::test]
async fn a_binary_that_is_misspelt_is_noticed() {
    let document = template().document().clone();
    for id in ids(&document, FUNCTION) {
        let broken = changed(|document| {
            let binary = &mut document["Resources"][&id]["Metadata"]["BuildProperties"]["Binary"];
            *binary = json!(spoiled(binary.as_str().unwrap()));
        });
        assert!(!settings(&broken).is_empty(), "{id}");
        assert!(!deploys(broken).await, "{id}");
    }
}

#[test]
fn what_nothing_uses_is_noticed() {
    for (section, name, what) in [
        ("Parameters", "Spare", json!({"Type": "String", "Default": ""})),
        ("Conditions", "Spare", json!({"Fn::Equals": ["a", "b"]})),
        ("Resources", "Spare", json!({"Type": "AWS::SQS::Queue"})),
        ("Resources", "Spare", json!({"Type": "AWS::Logs::LogGroup"})),
        ("Resources", "Spare", json!({"Type": "AWS::IAM::Role"})),
        ("Outputs", "Spare", json!({"Value": {"Ref": "AWS::Region"}})),
    ] {
        let broken = changed(|document| {
            document[section].as_object_mut().unwrap().insert(name.to_owned(), what.clone());
        });
        assert!(!left_over(&broken).is_empty(), "{section} {what}");
    }
    let unread = changed(|document| {
        document["Globals"]["Function"]["Environment"]["Variables"]["RESILVER_SPARE"] = json!("x");
    });
    assert_eq!(settings(&unread).len(), 6, "no function asks for it");
}

#[tokio::test]
async fn the_outputs_name_what_is_there() {
    let scene = Scene::staged(account().await, template(), &answers(NAMED)).await.unwrap();
    let outputs = scene.app.with_stack(|stack| stack.outputs()).unwrap();
    let document = template().document().clone();
    assert_eq!(outputs.len(), document["Outputs"].as_object().unwrap().len());
    scene.world(|world| {
        for (name, value) in &outputs {
            let there = match name.as_str() {
                "StateBucket" => world.buckets.contains_key(value),
                "Bus" => world.bus.names().any(|bus| bus == value),
                "JobRole" => world.iam.role(value).is_some(),
                "Redrive" => value.ends_with(":resilver-dead-letters"),
                _ if name.ends_with("Function") => world.lambda.function(value).is_some(),
                _ => world.queues.get(value).is_some(),
            };
            assert!(there, "{name}: {value}");
        }
    });
}
