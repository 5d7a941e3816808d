//! Custom resources, and the functions that they ask.

use super::*;

const CUSTOM: &str = r#"
Parameters: {Buckets: {Type: CommaDelimitedList, Default: "a"}}
Resources:
  Thing:
    Type: Custom::Thing
    Properties: {ServiceToken: !GetAtt Work.Arn, Buckets: !Ref Buckets, Size: 7, On: true}
"#;

/// What the function of a custom resource is asked, and where its answer is waited for.
fn asked(world: &mut World, stack: &mut Stack) -> Value {
    let Progress::Waiting { id, url } = stack.go_on(world).unwrap() else { panic!("it is done") };
    let payload = world.take_invocation().unwrap().payload;
    assert_eq!((id.as_str(), payload["ResponseURL"].as_str()), ("Thing", Some(url.as_str())));
    payload
}

fn told(asked: &Value, status: &str, physical: &str) -> Vec<u8> {
    let answer = json!({
        "Status": status, "Reason": "because", "PhysicalResourceId": physical,
        "StackId": asked["StackId"], "RequestId": asked["RequestId"],
        "LogicalResourceId": asked["LogicalResourceId"], "Data": {"Answer": "42"},
    });
    answer.to_string().into_bytes()
}

#[test]
fn a_custom_resource_is_made_changed_and_deleted_by_its_function() {
    let text = format!("{CUSTOM}{FUNCTION}\nOutputs: {{Answer: {{Value: !GetAtt Thing.Answer}}}}");
    let mut world = world();
    let mut stack = begin(&world, &text, &[]).unwrap();
    let create = asked(&mut world, &mut stack);
    assert_eq!(create["RequestType"], "Create");
    let properties = &create["ResourceProperties"];
    assert_eq!(
        (&properties["Buckets"], &properties["Size"], &properties["On"]),
        (&json!(["a"]), &json!("7"), &json!("true"))
    );
    stack.answer(&told(&create, "SUCCESS", "one")).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    assert_eq!(stack.outputs().unwrap()["Answer"], "42");

    let same = Arc::clone(stack.template());
    stack.update(Arc::clone(&same), &answers(&[])).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done, "nothing has changed");
    stack.update(same, &answers(&[("Buckets", "a,b")])).unwrap();
    let update = asked(&mut world, &mut stack);
    assert_eq!(
        (&update["RequestType"], &update["PhysicalResourceId"]),
        (&json!("Update"), &json!("one"))
    );
    assert_eq!(update["OldResourceProperties"]["Buckets"], json!(["a"]));
    // Another id: the one before is deleted.
    stack.answer(&told(&update, "SUCCESS", "two")).unwrap();
    let delete = asked(&mut world, &mut stack);
    assert_eq!(
        (&delete["RequestType"], &delete["PhysicalResourceId"]),
        (&json!("Delete"), &json!("one"))
    );
    stack.answer(&told(&delete, "SUCCESS", "one")).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    let physical = |stack: &Stack| stack.resource("Thing").map(|it: &Made| it.physical.clone());
    assert_eq!(physical(&stack).as_deref(), Some("two"));

    stack.delete();
    let delete = asked(&mut world, &mut stack);
    assert_eq!(delete["PhysicalResourceId"], "two");
    assert!(world.lambda.functions().next().is_some(), "it goes before its function");
    stack.answer(&told(&delete, "SUCCESS", "two")).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    assert_eq!((stack.made().count(), world.lambda.functions().count()), (0, 0));
}

#[test]
fn a_custom_resource_that_fails_fails_the_stack_with_its_reason() {
    let text = format!("{CUSTOM}{FUNCTION}");
    for (change, what) in [
        ("", "the function failed: because"),
        ("StackId", "another StackId"),
        ("PhysicalResourceId", "no PhysicalResourceId"),
        ("Status", "the status"),
    ] {
        let mut world = world();
        let mut stack = begin(&world, &text, &[]).unwrap();
        let create = asked(&mut world, &mut stack);
        let status = if change.is_empty() { "FAILED" } else { "SUCCESS" };
        let mut answer: Value = serde_json::from_slice(&told(&create, status, "one")).unwrap();
        if !change.is_empty() {
            answer[change] = json!("");
        }
        let error = stack.answer(answer.to_string().as_bytes()).unwrap_err();
        assert!(error.at == "Thing" && error.what.contains(what), "{error}");
    }
    let mut world = world();
    let mut stack = begin(&world, &text, &[]).unwrap();
    asked(&mut world, &mut stack);
    assert!(stack.give_up().what.contains("did not answer"));
}

#[test]
fn a_change_that_failed_is_asked_for_again_and_undone_from_where_it_stopped() {
    let text = format!("{CUSTOM}{FUNCTION}");
    let mut world = world();
    let mut stack = begin(&world, &text, &[]).unwrap();
    let create = asked(&mut world, &mut stack);
    stack.answer(&told(&create, "SUCCESS", "one")).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    let same = Arc::clone(stack.template());
    stack.update(Arc::clone(&same), &answers(&[("Buckets", "a,b")])).unwrap();
    let update = asked(&mut world, &mut stack);
    stack.answer(&told(&update, "FAILED", "one")).unwrap_err();
    stack.update(Arc::clone(&same), &answers(&[])).unwrap();
    let undo = asked(&mut world, &mut stack);
    assert_eq!(undo["ResourceProperties"]["Buckets"], json!(["a"]));
    assert_eq!(undo["OldResourceProperties"]["Buckets"], json!(["a", "b"]));
    stack.answer(&told(&undo, "SUCCESS", "one")).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    stack.update(same, &answers(&[])).unwrap();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done, "nothing has changed");
}
