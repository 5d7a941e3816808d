//! A template is read, deployed, changed and deleted; and what cannot be is refused by name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod custom;
mod identity;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::resource::Made;
use super::*;
use crate::world::bus::BusEvent;
use crate::world::{Config, queue};

/// A function under a role of its own.
const FUNCTION: &str = r#"
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: all
          PolicyDocument: {Statement: [{Effect: Allow, Action: ["sqs:*", "logs:*"], Resource: "*"}]}
  Work:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: work}}
    Properties:
      Role: !GetAtt Role.Arn
"#;

fn world() -> World {
    World::new(Config::default())
}

fn answers(pairs: &[(&str, &str)]) -> Answers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn begin(world: &World, text: &str, given: &[(&str, &str)]) -> Done<Stack> {
    Stack::deploy(world, "s", Arc::new(Template::read(text)?), &answers(given))
}

/// A stack that is there, and its world.
fn deployed(text: &str, given: &[(&str, &str)]) -> Done<(World, Stack)> {
    let mut world = world();
    let mut stack = begin(&world, text, given)?;
    assert_eq!(stack.go_on(&mut world)?, Progress::Done);
    Ok((world, stack))
}

#[track_caller]
fn refused(text: &str, given: &[(&str, &str)], at: &str, what: &str) {
    let error = deployed(text, given).unwrap_err();
    assert!(error.at == at && error.what.contains(what), "{error}");
}

/// What an expression is worth: the environment of a function has it.
fn worth(expression: &str) -> Done<String> {
    let text = format!(
        r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Text: {{Type: String, Default: hello}}
  List: {{Type: CommaDelimitedList, Default: "a, b,c"}}
  Number: {{Type: Number, Default: 7}}
Mappings: {{Sizes: {{small: {{rows: 10}}}}}}
Conditions:
  Yes: !Equals [!Ref Text, hello]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Condition Yes, !Condition No]
Resources:
  Queue: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q}}}}
{FUNCTION}
      Environment: {{Variables: {{V: {expression}}}}}
"#
    );
    let (world, _) = deployed(&text, &[])?;
    let function = world.lambda.functions().next().unwrap();
    Ok(function.environment["V"].clone())
}

#[test]
fn every_function_gives_what_cloudformation_gives() {
    for (expression, expected) in [
        ("!Ref Text", "hello"),
        ("{Ref: Text}", "hello"),
        ("!Ref AWS::AccountId", "111122223333"),
        ("!Ref AWS::StackName", "s"),
        ("!Ref Queue", "https://sqs.us-east-1.amazonaws.com/111122223333/q"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:111122223333:q"),
        ("{Fn::GetAtt: [Queue, QueueName]}", "q"),
        (
            "!Sub '${Text}-${AWS::Region}-${Queue.Arn}'",
            "hello-us-east-1-arn:aws:sqs:us-east-1:111122223333:q",
        ),
        ("!Sub ['${A}${Text}${!Text}', {A: !Ref Number}]", "7hello${Text}"),
        ("!Join ['-', [a, !Ref Text, 3]]", "a-hello-3"),
        ("!Join [',', !Ref List]", "a,b,c"),
        ("!Select [1, !Ref List]", "b"),
        ("!Select ['2', !Split ['|', 'x|y|z']]", "z"),
        ("!FindInMap [Sizes, small, rows]", "10"),
        ("!If [Yes, 1, 2]", "1"),
        ("!If [No, 1, 2]", "2"),
        ("!If [Both, 1, !If [Either, 3, 4]]", "3"),
    ] {
        assert_eq!(worth(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_stands_for_nothing_is_refused_where_it_stands() {
    let place = "Work.Properties.Environment.Variables.V";
    for (expression, what) in [
        ("!Ref Nobody", "Nobody is neither a parameter nor a resource"),
        ("!Ref AWS::NotificationARNs", "no pseudo parameter"),
        ("!GetAtt Queue.Colour", "Queue has no attribute Colour"),
        ("!Sub '${Nobody}'", "Nobody is neither"),
        ("!Sub '${Text'", "not closed"),
        ("!Sub '${List}'", "List is no text"),
        ("!Select [9, !Ref List]", "no such element"),
        ("!FindInMap [Sizes, large, rows]", "no large"),
        ("!If [Maybe, 1, 2]", "no condition Maybe"),
        ("!ImportValue other", "no other stacks"),
        ("!Base64 x", "the function Fn::Base64 is not emulated"),
        ("!GetAZs ''", "the function Fn::GetAZs is not emulated"),
    ] {
        let error = worth(expression).unwrap_err();
        assert!(error.at.ends_with(place) && error.what.contains(what), "{expression}: {error}");
    }
}

#[test]
fn nothing_is_the_value_that_takes_its_place_away() {
    let text = format!(
        r#"
Conditions: {{Never: !Equals [a, b]}}
Resources:
{FUNCTION}
      Environment: {{Variables: {{A: !If [Never, x, !Ref AWS::NoValue], B: b}}}}
  Gone: {{Type: AWS::SQS::Queue, Condition: Never}}
Outputs:
  Name: {{Value: !Ref Work}}
  Gone: {{Condition: Never, Value: !Ref Gone}}
"#
    );
    let (world, stack) = deployed(&text, &[]).unwrap();
    let function = world.lambda.functions().next().unwrap();
    assert_eq!(function.environment, [("B".to_owned(), "b".to_owned())].into());
    assert_eq!(stack.outputs().unwrap(), [("Name".to_owned(), function.name.clone())].into());
    assert!(function.name.starts_with("s-Work-"), "{}", function.name);
    assert!(world.queues.names().next().is_none());
    let named = text.replace("B: b", "B: !Ref Gone");
    refused(&named, &[], "Work.Properties.Environment.Variables.B", "not made under its condition");
}

const ASKED: &str = r#"
Parameters:
  Name: {Type: String, AllowedPattern: "[a-z]{2,4}", ConstraintDescription: Name takes 2 to 4 letters.}
  Size: {Type: Number, Default: 3, MinValue: 1, MaxValue: 6}
  Kind: {Type: String, Default: one, AllowedValues: [one, two]}
  Long: {Type: String, Default: abc, MinLength: 2, MaxLength: 5}
  List: {Type: CommaDelimitedList, Default: "", AllowedPattern: "^(|[a-z]+)$"}
Rules:
  Together:
    RuleCondition: !Equals [!Ref Kind, two]
    Assertions:
      - Assert: !Not ["Fn::EachMemberEquals": [!Ref List, ""]]
        AssertDescription: Kind two needs a List.
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
"#;

#[test]
fn a_parameter_that_will_not_do_is_refused_in_the_templates_own_words() {
    let fine = ("Name", "abc");
    deployed(ASKED, &[fine]).unwrap();
    deployed(ASKED, &[fine, ("Kind", "two"), ("List", "a,b"), ("Size", "6")]).unwrap();
    refused(ASKED, &[], "Parameters.Name", "no default");
    refused(ASKED, &[("Name", "x")], "Parameters.Name", "Name takes 2 to 4 letters.");
    refused(ASKED, &[fine, ("Size", "0")], "Parameters.Size", "1 or more");
    refused(ASKED, &[fine, ("Size", "7")], "Parameters.Size", "6 or less");
    refused(ASKED, &[fine, ("Size", "many")], "Parameters.Size", "a number");
    refused(ASKED, &[fine, ("Kind", "three")], "Parameters.Kind", "one of one, two");
    refused(ASKED, &[fine, ("Long", "a")], "Parameters.Long", "2 characters or more");
    refused(ASKED, &[fine, ("Long", "abcdef")], "Parameters.Long", "5 characters or fewer");
    refused(ASKED, &[fine, ("List", "a,B")], "Parameters.List", "must match");
    refused(ASKED, &[fine, ("Other", "x")], "Parameters.Other", "it has Kind, List");
    refused(ASKED, &[fine, ("Kind", "two")], "Rules.Together", "Kind two needs a List.");
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let with = |resource: &str| format!("Resources:\n{FUNCTION}{resource}");
    for (resource, at, what) in [
        ("  X: {Type: AWS::SNS::Topic}", "X.Type", "AWS::SNS::Topic is not emulated"),
        (
            "  X: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}",
            "X.Properties.FifoQueue",
            "not emulated",
        ),
        ("  X: {Type: AWS::SQS::Queue, CreationPolicy: {}}", "X.CreationPolicy", "not emulated"),
        ("  X: {Type: AWS::SQS::Queue, DependsOn: Y}", "X.DependsOn", "no resource Y"),
        (
            "  X: {Type: AWS::SQS::Queue, DeletionPolicy: Snapshot}",
            "X.DeletionPolicy",
            "say Retain",
        ),
        (
            "  X: {Type: AWS::S3::Bucket, Properties: {BucketName: b, WebsiteConfiguration: {}}}",
            "X.Properties.WebsiteConfiguration",
            "not emulated",
        ),
        ("      Layers: [x]", "Work.Properties.Layers", "not emulated"),
        ("      Events: {E: {Type: Api}}", "Work.Properties.Events.E.Type", "Api is not emulated"),
        (
            "      Events: {E: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 hour), FlexibleTimeWindow: {Mode: FLEXIBLE}}}}",
            "Work.Properties.Events.E.Properties.FlexibleTimeWindow.Mode",
            "FLEXIBLE",
        ),
        (
            "      Events: {E: {Type: ScheduleV2, Properties: {ScheduleExpression: cron(0)}}}",
            "WorkE",
            "cron(0) is not rate",
        ),
        (
            "      Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {a: [b]}, InputTransformer: {}}}}",
            "Work.Properties.Events.E.Properties.InputTransformer",
            "not emulated",
        ),
        (
            "      Events: {E: {Type: SQS, Properties: {Queue: arn:x}}}",
            "Work.Properties.Events.E.Properties.Queue",
            "no queue arn:x",
        ),
        (
            "  X: {Type: 'Custom::Thing', Properties: {ServiceToken: nobody}}",
            "X.Properties.ServiceToken",
            "no function",
        ),
    ] {
        let error = deployed(&with(resource), &[]).unwrap_err();
        assert!(error.at == at && error.what.contains(what), "{resource}: {error}");
    }
    refused(
        "Transform: Other\nResources: {}",
        &[],
        "the template.Transform",
        "Other is not emulated",
    );
    refused("Hooks: {}\nResources: {}", &[], "the template.Hooks", "not emulated");
    refused("Parameters: {P: {Type: List<Number>}}", &[], "Parameters.P.Type", "List<Number>");
    refused("a: [", &[], "the template", "no YAML");
    let circle = "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}, B: {Type: AWS::SQS::Queue, DependsOn: A}}";
    refused(circle, &[], "A, B", "depend on each other");
}

#[test]
fn a_bucket_and_its_policy_are_as_the_template_says() {
    let text = r#"
Resources:
  State:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties:
      VersioningConfiguration: {Status: Enabled}
      PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true}
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - ServerSideEncryptionByDefault: {SSEAlgorithm: "aws:kms", KMSMasterKeyID: "arn:aws:kms:us-east-1:111122223333:key/k"}
      LifecycleConfiguration:
        Rules:
          - {Id: old, Status: Enabled, Prefix: plans/, ExpirationInDays: 9}
          - {Id: gone, Status: Enabled, NoncurrentVersionExpiration: {NoncurrentDays: 1}, ExpiredObjectDeleteMarker: true}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref State
      PolicyDocument: {Statement: [{Effect: Deny, Principal: "*", Action: "s3:*", Resource: !GetAtt State.Arn}]}
"#;
    let (mut world, mut stack) = deployed(text, &[]).unwrap();
    let name = stack.resource("State").unwrap().physical.clone();
    assert!(name.starts_with("s-state-") && name == name.to_lowercase(), "{name}");
    let bucket = &world.buckets[&name];
    assert_eq!(bucket.versioning, crate::world::bucket::Versioning::Enabled);
    assert_eq!(bucket.default_kms_key.as_deref(), Some("arn:aws:kms:us-east-1:111122223333:key/k"));
    assert_eq!(bucket.public_access_block, Some([true, false, true, false]));
    assert_eq!(bucket.lifecycle.len(), 2);
    assert!(bucket.policy.is_some());
    stack.delete();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    assert!(world.buckets[&name].policy.is_none(), "the policy went, the bucket is kept");
    assert_eq!(stack.made().count(), 0);
    // It is still there when the stack comes again, which would take it over.
    let mut again = begin(&world, text, &[]).unwrap();
    assert!(again.go_on(&mut world).unwrap_err().what.contains("exists already"));
}

#[test]
fn a_queue_wakes_its_function_and_lets_in_whom_its_policy_names() {
    let text = format!(
        r#"
Resources:
  Dead: {{Type: AWS::SQS::Queue, Properties: {{MessageRetentionPeriod: 60}}}}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 100
      RedrivePolicy: {{deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}}
{FUNCTION}
      Timeout: 60
      Events:
        Mail: {{Type: SQS, Properties: {{Queue: !GetAtt Queue.Arn, BatchSize: 100, MaximumBatchingWindowInSeconds: 20}}}}
"#
    );
    let (mut world, stack) = deployed(&text, &[]).unwrap();
    let arn = |stack: &Stack| {
        stack.resource("Queue").unwrap().attributes["Arn"].as_str().unwrap().to_owned()
    };
    let arn = arn(&stack);
    assert!(
        !queue::admits(&world, &arn, "s3.amazonaws.com", "arn:aws:s3:::b"),
        "no policy, nobody"
    );
    assert_eq!(world.queues.get(&arn).unwrap().redrive.as_ref().unwrap().1, 3);
    queue::send(&mut world, &arn, "hello".into()).unwrap();
    let at = world.now();
    world.advance_to(at + 19_999);
    assert!(world.take_invocation().is_none());
    world.advance_to(at + 20_000);
    let offered = world.take_invocation().unwrap();
    assert_eq!(
        (offered.payload["Records"][0]["body"].as_str(), offered.function.starts_with("s-Work-")),
        (Some("hello"), true)
    );
    let slow = text.replace("Timeout: 60", "Timeout: 101");
    refused(&slow, &[], "Work.Properties.Events.Mail.Properties", "less than Function timeout");
    let blind = text.replace("sqs:*", "sqs:DeleteMessage");
    refused(&blind, &[], "WorkMail", "permissions to call ReceiveMessage on SQS");
    let unwindowed = text.replace("MaximumBatchingWindowInSeconds: 20", "Enabled: true");
    refused(&unwindowed, &[], "Work.Properties.Events.Mail.Properties.BatchSize", "need");
}

#[test]
fn a_rule_on_a_bus_of_its_own_wakes_its_function_and_nobody_elses() {
    let text = format!(
        r#"
Resources:
  Bus: {{Type: AWS::Events::EventBus, Properties: {{Name: mine}}}}
  Dead: {{Type: AWS::SQS::Queue}}
  DeadPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Dead]
      PolicyDocument:
        Statement:
          - {{Effect: Allow, Principal: {{Service: events.amazonaws.com}}, Action: "sqs:SendMessage", Resource: "*",
             Condition: {{ArnEquals: {{"aws:SourceArn": !GetAtt WorkTold.Arn}}}}}}
{FUNCTION}
      Events:
        Told:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Bus
            Pattern: {{source: [me]}}
            DeadLetterConfig: {{Arn: !GetAtt Dead.Arn}}
"#
    );
    let (mut world, stack) = deployed(&text, &[]).unwrap();
    let put = |world: &mut World, bus: &str| {
        let event = BusEvent {
            bus: bus.to_owned(),
            id: "1".into(),
            source: "me".into(),
            detail_type: "t".into(),
            account: "111122223333".into(),
            region: "us-east-1".into(),
            time: world.now(),
            detail: json!({}),
            resources: Vec::new(),
        };
        crate::world::bus::put(world, event);
        let due = world.now() + 1_000;
        world.advance_to(due);
        std::iter::from_fn(|| world.take_invocation()).count()
    };
    assert_eq!((put(&mut world, "default"), put(&mut world, "mine")), (0, 1));
    // The function is gone behind the stack's back, another is there: the event goes aside.
    let name = stack.resource("Work").unwrap().name.clone();
    let mut other = world.lambda.function(&name).unwrap().clone();
    other.name = "other".into();
    lambda::put(&mut world, other);
    lambda::delete(&mut world, &name);
    assert_eq!(put(&mut world, "mine"), 0);
    let dead = &stack.resource("Dead").unwrap().name;
    assert_eq!(world.queues.get(dead).unwrap().depth(), (1, 0));
}

#[test]
fn what_changes_is_changed_and_what_is_no_longer_wanted_goes() {
    let text = "Resources: {A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 5}}, B: {Type: AWS::SQS::Queue}}";
    let (mut world, mut stack) = deployed(text, &[]).unwrap();
    let name = stack.resource("A").unwrap().name.clone();
    let update = |world: &mut World, stack: &mut Stack, text: &str| {
        stack.update(Arc::new(Template::read(text)?), &answers(&[]))?;
        stack.go_on(world)
    };
    let less = "Resources: {A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 9}}}";
    assert_eq!(update(&mut world, &mut stack, less), Ok(Progress::Done));
    assert_eq!(world.queues.names().collect::<Vec<_>>(), [&name]);
    assert_eq!(world.queues.get(&name).unwrap().visibility, 9_000);
    let renamed = "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: other}}}";
    let error = update(&mut world, &mut stack, renamed).unwrap_err();
    assert_eq!(error.at, "A.Properties.QueueName");
}

#[test]
fn what_is_global_is_every_functions_and_its_own_wins() {
    let text = format!(
        r#"
Globals: {{Function: {{Timeout: 9, Environment: {{Variables: {{A: a, B: b}}}}}}}}
Resources:
{FUNCTION}
      Environment: {{Variables: {{B: c}}}}
"#
    );
    let (world, _) = deployed(&text, &[]).unwrap();
    let function = world.lambda.functions().next().unwrap();
    let expected: BTreeMap<_, _> =
        [("A", "a"), ("B", "c")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    assert_eq!((function.timeout, &function.environment), (9_000, &expected));
}
