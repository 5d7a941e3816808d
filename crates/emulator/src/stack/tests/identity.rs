//! Policies that are resources of their own, beside those of the role.

use super::*;
use crate::world::policy::{Decision, Question};

const ROLES: &str = r#"
Parameters: {Size: {Type: String, Default: small}, Extra: {Type: String, Default: "yes"}}
Conditions: {More: !Equals [!Ref Extra, "yes"]}
Resources:
  One:
    Type: AWS::IAM::Role
    Properties:
      RoleName: one
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: own
          PolicyDocument: {Statement: [{Effect: Allow, Action: s3:GetObject, Resource: !Sub "arn:aws:s3:::${Size}/*"}]}
  Two:
    Type: AWS::IAM::Role
    Properties:
      RoleName: two
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
"#;

fn more(roles: &str, size: &str) -> String {
    format!(
        r#"{ROLES}
  More:
    Type: AWS::IAM::Policy
    Condition: More
    Properties:
      PolicyName: more
      Roles: {roles}
      PolicyDocument: {{Statement: [{{Effect: Allow, Action: s3:PutObject, Resource: "arn:aws:s3:::{size}/*"}}]}}
"#
    )
}

/// Whether a role may read or write an object of a bucket.
fn may(world: &World, role: &str, action: &str, bucket: &str) -> bool {
    let principal = format!("arn:aws:iam::111122223333:role/{role}");
    let resource = format!("arn:aws:s3:::{bucket}/k");
    let question = Question { principal: &principal, action, resource: &resource, context: &[] };
    world.iam.decide(&question) == Decision::Allowed
}

fn change(world: &mut World, stack: &mut Stack, text: &str, given: &[(&str, &str)]) {
    stack.update(Arc::new(Template::read(text).unwrap()), &answers(given)).unwrap();
    assert_eq!(stack.go_on(world).unwrap(), Progress::Done);
}

#[test]
fn a_policy_is_made_changed_and_removed_and_a_changed_role_keeps_it() {
    let text = more("[!Ref One, !Ref Two]", "small");
    let (mut world, mut stack) = deployed(&text, &[]).unwrap();
    let writes = |world: &World| ["one", "two"].map(|it| may(world, it, "s3:PutObject", "small"));
    assert_eq!(writes(&world), [true, true]);
    // The role changes, and the policy does not.
    change(&mut world, &mut stack, &text, &[("Size", "large")]);
    assert!(may(&world, "one", "s3:GetObject", "large"));
    assert!(!may(&world, "one", "s3:GetObject", "small"), "what it had is replaced");
    assert_eq!(writes(&world), [true, true]);
    // The policy changes, and loses a role.
    change(&mut world, &mut stack, &more("[!Ref Two]", "large"), &[("Size", "large")]);
    assert_eq!(writes(&world), [false, false]);
    assert_eq!(["one", "two"].map(|it| may(&world, it, "s3:PutObject", "large")), [false, true]);
    // The policy goes, and the role stays as it is.
    change(
        &mut world,
        &mut stack,
        &more("[!Ref Two]", "large"),
        &[("Size", "large"), ("Extra", "no")],
    );
    assert!(!may(&world, "two", "s3:PutObject", "large"));
    assert!(may(&world, "one", "s3:GetObject", "large"));
    stack.delete();
    assert_eq!(stack.go_on(&mut world).unwrap(), Progress::Done);
    assert_eq!(world.iam.roles().count(), 0);
}

#[test]
fn a_policy_of_no_role_or_of_one_that_is_not_there_is_refused() {
    refused(&more("[]", "small"), &[], "More.Properties.Roles", "name them");
    refused(&more("[three]", "small"), &[], "More", "cannot be found");
}
