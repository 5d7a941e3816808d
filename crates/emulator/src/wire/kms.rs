//! KMS's wire: AWS JSON 1.1. Keys, their states, policies and aliases; nothing is ever encrypted, so
//! `Encrypt`, `GenerateDataKey` and their kin answer `NotImplemented`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::caller::Caller;
use super::json::{Call, answer, refuse, tags, text, texts};
use crate::world::kms::{Key, KeyState};
use crate::world::{Answer, Refusal, World, access, trail};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What the halves of a tag are called.
const TAG: (&str, &str) = ("TagKey", "TagValue");

/// Answers one request.
pub(super) fn handle(
    world: &mut World,
    request: &http::Request<Bytes>,
    caller: &Caller,
) -> http::Response<Bytes> {
    let call = match Call::read(request, "TrentService.") {
        Ok(call) => call,
        Err(refusal) => return refuse(&refusal, "1.1"),
    };
    match run(world, &call.operation, &call.input, caller) {
        Ok(output) => {
            let key = call.input.get("KeyId").and_then(Value::as_str);
            trail::changed(world, "kms", &call.operation, &[("keyId", key)]);
            answer(&output, "1.1")
        }
        Err(refusal) => refuse(&refusal, "1.1"),
    }
}

fn run(world: &mut World, operation: &str, input: &Value, caller: &Caller) -> Answer<Value> {
    match operation {
        "CreateKey" => create(world, input, caller),
        "DescribeKey" => {
            let (arn, key) = find(world, input, caller)?;
            Ok(json!({ "KeyMetadata": metadata(&arn, key) }))
        }
        "ListKeys" => {
            let ours = |(arn, _): &(&str, &Key)| access::account_of(arn) == caller.account;
            let keys = world.kms.keys().filter(ours);
            let keys = keys.map(|(arn, _)| json!({ "KeyId": id_of(arn), "KeyArn": arn }));
            Ok(json!({ "Keys": keys.collect::<Vec<_>>(), "Truncated": false }))
        }
        "EnableKey" => turn(world, input, caller, KeyState::Enabled),
        "DisableKey" => turn(world, input, caller, KeyState::Disabled),
        "ScheduleKeyDeletion" => schedule_deletion(world, input, caller),
        "CancelKeyDeletion" => {
            let (arn, key) = find(world, input, caller)?;
            if key.state != KeyState::PendingDeletion {
                let message = format!("{arn} is not pending deletion.");
                return Err(Refusal::new(400, "KMSInvalidStateException", message));
            }
            if let Some(key) = world.kms.key_mut(&arn) {
                (key.state, key.deletion) = (KeyState::Disabled, None);
            }
            Ok(json!({ "KeyId": arn }))
        }
        "GetKeyPolicy" => {
            let (arn, key) = find(world, input, caller)?;
            let policy = key.policy.clone().unwrap_or_else(|| default_policy(&arn));
            Ok(json!({ "Policy": policy, "PolicyName": "default" }))
        }
        "PutKeyPolicy" => {
            let (arn, _) = find(world, input, caller)?;
            world.kms.put_policy(&arn, text(input, "Policy")).map_err(malformed)?;
            Ok(json!({}))
        }
        "UpdateKeyDescription" => {
            let key = find_mut(world, input, caller)?;
            text(input, "Description").clone_into(&mut key.description);
            Ok(json!({}))
        }
        "ListKeyPolicies" => {
            find(world, input, caller)?;
            Ok(json!({ "PolicyNames": ["default"], "Truncated": false }))
        }
        "GetKeyRotationStatus" => {
            let (arn, key) = find(world, input, caller)?;
            let mut told = json!({ "KeyId": arn, "KeyRotationEnabled": key.rotates.is_some() });
            if let (Some(days), Some(told)) = (key.rotates, told.as_object_mut()) {
                told.insert("RotationPeriodInDays".to_owned(), days.into());
            }
            Ok(told)
        }
        "EnableKeyRotation" | "DisableKeyRotation" => {
            let days = input.get("RotationPeriodInDays").map_or(Some(365), Value::as_u64);
            let Some(days) = days.filter(|days| (90..=2_560).contains(days)) else {
                let message = "RotationPeriodInDays must be between 90 and 2560";
                return Err(Refusal::new(400, "ValidationException", message));
            };
            let on = operation == "EnableKeyRotation";
            find_mut(world, input, caller)?.rotates = on.then_some(days);
            Ok(json!({}))
        }
        _ => tagging(world, operation, input, caller),
    }
}

fn tagging(world: &mut World, operation: &str, input: &Value, caller: &Caller) -> Answer<Value> {
    match operation {
        "TagResource" => {
            let tags = tags(input, TAG);
            find_mut(world, input, caller)?.tags.extend(tags);
            Ok(json!({}))
        }
        "UntagResource" => {
            let names = texts(input, "TagKeys");
            let key = find_mut(world, input, caller)?;
            key.tags.retain(|name, _| !names.contains(&name.as_str()));
            Ok(json!({}))
        }
        "ListResourceTags" => {
            let tags = find(world, input, caller)?.1.tags.iter();
            let tags = tags.map(|(name, value)| json!({ "TagKey": name, "TagValue": value }));
            Ok(json!({ "Tags": tags.collect::<Vec<_>>(), "Truncated": false }))
        }
        _ => aliases(world, operation, input, caller),
    }
}

fn aliases(world: &mut World, operation: &str, input: &Value, caller: &Caller) -> Answer<Value> {
    match operation {
        "CreateAlias" => create_alias(world, input, caller),
        "UpdateAlias" => {
            let alias = arn_of(world, text(input, "AliasName"), &caller.account);
            let key = arn_of(world, text(input, "TargetKeyId"), &caller.account);
            if world.kms.key(&key).is_none() || access::account_of(&key) != caller.account {
                return Err(not_found(&key));
            }
            if world.kms.realias(&alias, &key) { Ok(json!({})) } else { Err(not_found(&alias)) }
        }
        "DeleteAlias" => {
            let alias = arn_of(world, text(input, "AliasName"), &caller.account);
            let ours = access::account_of(&alias) == caller.account;
            if ours && world.kms.unalias(&alias) { Ok(json!({})) } else { Err(not_found(&alias)) }
        }
        "ListAliases" => {
            let told = |(alias, key): (&str, &str)| {
                let name = alias.rsplit_once(":").map_or(alias, |(_, name)| name);
                json!({ "AliasName": name, "AliasArn": alias, "TargetKeyId": id_of(key) })
            };
            let of = input.get("KeyId").and_then(Value::as_str);
            let of = of.map(|key| arn_of(world, key, &caller.account));
            let ours = |(alias, key): &(&str, &str)| {
                access::account_of(alias) == caller.account
                    && of.as_ref().is_none_or(|of| of == key)
            };
            let aliases: Vec<Value> = world.kms.aliases().filter(ours).map(told).collect();
            Ok(json!({ "Aliases": aliases, "Truncated": false }))
        }
        other => {
            let message = format!("this emulator does not do {other}");
            Err(Refusal::new(501, "NotImplemented", message))
        }
    }
}

/// What a key is here; one that is asked for as another is refused by name.
const KINDS: [(&str, &str); 4] = [
    ("KeySpec", "SYMMETRIC_DEFAULT"),
    ("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"),
    ("KeyUsage", "ENCRYPT_DECRYPT"),
    ("Origin", "AWS_KMS"),
];

fn create(world: &mut World, input: &Value, caller: &Caller) -> Answer<Value> {
    let other = |(name, only): &&(&str, &str)| {
        let asked = text(input, name);
        !asked.is_empty() && asked != *only
    };
    let many = input.get("MultiRegion") == Some(&Value::Bool(true));
    let odd = KINDS.iter().find(other).map(|(name, _)| *name);
    if let Some(name) = odd.or(many.then_some("MultiRegion")) {
        let message = format!("this emulator does not do keys of this {name}");
        return Err(Refusal::new(501, "NotImplemented", message));
    }
    let arn =
        format!("arn:aws:kms:{}:{}:key/{}", world.config.region, caller.account, world.rng.uuid());
    let now = world.now();
    world.kms.create(&arn);
    if let Some(key) = world.kms.key_mut(&arn) {
        key.created = now;
        text(input, "Description").clone_into(&mut key.description);
        key.tags = tags(input, TAG);
    }
    let policy = text(input, "Policy");
    if !policy.is_empty()
        && let Err(refusal) = world.kms.put_policy(&arn, policy)
    {
        world.kms.delete(&arn);
        return Err(malformed(refusal));
    }
    let key = world.kms.key(&arn).ok_or_else(|| not_found(&arn))?;
    Ok(json!({ "KeyMetadata": metadata(&arn, key) }))
}

fn turn(world: &mut World, input: &Value, caller: &Caller, state: KeyState) -> Answer<Value> {
    let (arn, key) = find(world, input, caller)?;
    if key.state == KeyState::PendingDeletion {
        let message = format!("{arn} is pending deletion.");
        return Err(Refusal::new(400, "KMSInvalidStateException", message));
    }
    if let Some(key) = world.kms.key_mut(&arn) {
        key.state = state;
    }
    Ok(json!({}))
}

fn schedule_deletion(world: &mut World, input: &Value, caller: &Caller) -> Answer<Value> {
    let (arn, key) = find(world, input, caller)?;
    if key.state == KeyState::PendingDeletion {
        let message = format!("{arn} is pending deletion.");
        return Err(Refusal::new(400, "KMSInvalidStateException", message));
    }
    let given = input.get("PendingWindowInDays");
    let days = given.map_or(Some(30), Value::as_u64).filter(|days| (7..=30).contains(days));
    let Some(days) = days else {
        let message = "PendingWindowInDays must be between 7 and 30";
        return Err(Refusal::new(400, "ValidationException", message));
    };
    let at = world.now() + days * DAY_MS;
    if let Some(key) = world.kms.key_mut(&arn) {
        (key.state, key.deletion) = (KeyState::PendingDeletion, Some(at));
    }
    Ok(json!({
        "KeyId": arn, "DeletionDate": at as f64 / 1_000.0, "KeyState": "PendingDeletion",
        "PendingWindowInDays": days,
    }))
}

fn create_alias(world: &mut World, input: &Value, caller: &Caller) -> Answer<Value> {
    let name = text(input, "AliasName");
    if !name.starts_with("alias/") || name.starts_with("alias/aws/") {
        let message = "AliasName must begin with alias/ and not with alias/aws/";
        return Err(Refusal::new(400, "InvalidAliasNameException", message));
    }
    let key = arn_of(world, text(input, "TargetKeyId"), &caller.account);
    if world.kms.key(&key).is_none() || access::account_of(&key) != caller.account {
        return Err(not_found(&key));
    }
    let alias = arn_of(world, name, &caller.account);
    if world.kms.alias(&alias, &key) {
        return Ok(json!({}));
    }
    let message = format!("An alias with the name {alias} already exists");
    Err(Refusal::new(400, "AlreadyExistsException", message))
}

/// The ARN of a key or alias of an account that is named by ARN, id or name.
pub(super) fn arn_of(world: &World, name: &str, account: &str) -> String {
    let arn = |rest: &str| format!("arn:aws:kms:{}:{account}:{rest}", world.config.region);
    match name {
        name if name.starts_with("arn:") => name.to_owned(),
        name if name.starts_with("alias/") => arn(name),
        name => arn(&format!("key/{name}")),
    }
}

fn find<'a>(world: &'a World, input: &Value, caller: &Caller) -> Answer<(String, &'a Key)> {
    let arn = arn_of(world, text(input, "KeyId"), &caller.account);
    let arn = world.kms.resolve(&arn).to_owned();
    if access::account_of(&arn) != caller.account {
        let message = format!("{} may not manage {arn}", caller.account);
        return Err(Refusal::new(400, "AccessDeniedException", message));
    }
    let key = world.kms.key(&arn).ok_or_else(|| not_found(&arn))?;
    Ok((arn, key))
}

fn find_mut<'a>(world: &'a mut World, input: &Value, caller: &Caller) -> Answer<&'a mut Key> {
    let (arn, _) = find(world, input, caller)?;
    world.kms.key_mut(&arn).ok_or_else(|| not_found(&arn))
}

fn metadata(arn: &str, key: &Key) -> Value {
    let mut told = json!({
        "AWSAccountId": arn.split(':').nth(4).unwrap_or_default(),
        "KeyId": id_of(arn),
        "Arn": arn,
        "CreationDate": key.created as f64 / 1_000.0,
        "Enabled": key.state == KeyState::Enabled,
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state.name(),
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    });
    if let (Some(at), Some(told)) = (key.deletion, told.as_object_mut()) {
        told.insert("DeletionDate".to_owned(), json!(at as f64 / 1_000.0));
    }
    told
}

fn id_of(arn: &str) -> &str {
    arn.rsplit_once("key/").map_or(arn, |(_, id)| id)
}

/// The policy of a key that was made without one (AWS KMS Developer Guide: default key policy).
fn default_policy(arn: &str) -> String {
    let account = arn.split(':').nth(4).unwrap_or_default();
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

fn not_found(arn: &str) -> Refusal {
    Refusal::new(400, "NotFoundException", format!("Key '{arn}' does not exist"))
}

fn malformed(refusal: Refusal) -> Refusal {
    Refusal::new(400, "MalformedPolicyDocumentException", refusal.message)
}
