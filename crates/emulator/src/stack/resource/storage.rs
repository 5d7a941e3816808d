//! Buckets and queues, and their policies.

use serde_json::Value;

use super::{Made, Site};
use crate::stack::error::{Done, StackError};
use crate::stack::fields::Fields;
use crate::world::bucket::{Policy, Versioning};
use crate::world::lifecycle::{Expiration, Filter, Noncurrent, Rule, When};
use crate::world::ops::{self, encryption};
use crate::world::{Refusal, World, policy, queue};

/// Unless a queue says otherwise: seconds hidden, and seconds kept (SQS: CreateQueue).
const VISIBILITY_S: u64 = 30;
const RETENTION_S: u64 = 345_600;

pub(super) fn bucket(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    // Bucket names are in lower case.
    let name = site.physical(fields, "BucketName", 63)?.to_lowercase();
    let refused = |refusal: Refusal| site.refused(&refusal);
    let (account, region) = (world.config.account.clone(), world.config.region.clone());
    if site.old.is_none() {
        if world.buckets.contains_key(&name) {
            return Err(StackError::new(site.id, format!("the bucket {name} exists already")));
        }
        ops::bucket::create(world, &name, &account, &region).map_err(refused)?;
    }
    if let Some(mut versioning) = fields.object("VersioningConfiguration")? {
        let status = match versioning.required("Status")?.as_str() {
            "Enabled" => Versioning::Enabled,
            "Suspended" => Versioning::Suspended,
            other => return Err(versioning.wrong("Status", format!("{other} is no status"))),
        };
        versioning.finish()?;
        ops::bucket::put_versioning(world, &name, status).map_err(refused)?;
    }
    let key = default_key(fields)?.map(|key| encryption::key_arn(world, Some(&key)));
    ops::bucket::put_encryption(world, &name, key).map_err(refused)?;
    let lifecycle = lifecycle_rules(fields)?;
    ops::bucket::put_lifecycle(world, &name, lifecycle).map_err(refused)?;
    let block = match fields.object("PublicAccessBlockConfiguration")? {
        Some(block) => Some(public_access(block)?),
        None => None,
    };
    let ownership = ownership(fields)?;
    fields.pass(&["Tags"]);
    end(fields)?;
    if let Some(bucket) = world.buckets.get_mut(&name) {
        bucket.public_access_block = block;
        bucket.ownership = ownership;
    }
    let domain = format!("{name}.s3.{region}.amazonaws.com");
    Ok(Made::named(&name).with("Arn", format!("arn:aws:s3:::{name}")).with("DomainName", domain))
}

/// The key of the default encryption; none is a key of S3's.
fn default_key(fields: &mut Fields) -> Done<Option<String>> {
    let Some(mut encryption) = fields.object("BucketEncryption")? else { return Ok(None) };
    let mut key = None;
    for mut rule in encryption.objects("ServerSideEncryptionConfiguration")? {
        rule.pass(&["BucketKeyEnabled"]);
        if let Some(mut default) = rule.object("ServerSideEncryptionByDefault")? {
            match default.required("SSEAlgorithm")?.as_str() {
                "AES256" => {}
                "aws:kms" => key = Some(default.required("KMSMasterKeyID")?),
                other => {
                    return Err(default.wrong("SSEAlgorithm", format!("{other} is not emulated")));
                }
            }
            default.finish()?;
        }
        rule.finish()?;
    }
    encryption.finish()?;
    Ok(key)
}

fn public_access(mut block: Fields) -> Done<[bool; 4]> {
    let mut flags = [false; 4];
    let names =
        ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    for (flag, name) in flags.iter_mut().zip(names) {
        *flag = block.flag(name)?.unwrap_or(false);
    }
    block.finish()?;
    Ok(flags)
}

fn ownership(fields: &mut Fields) -> Done<Option<String>> {
    let Some(mut controls) = fields.object("OwnershipControls")? else { return Ok(None) };
    let mut ownership = None;
    for mut rule in controls.objects("Rules")? {
        ownership = rule.text("ObjectOwnership")?;
        rule.finish()?;
    }
    controls.finish()?;
    Ok(ownership)
}

fn lifecycle_rules(fields: &mut Fields) -> Done<Vec<Rule>> {
    let Some(mut configuration) = fields.object("LifecycleConfiguration")? else {
        return Ok(Vec::new());
    };
    let rules = configuration.objects("Rules")?.into_iter().enumerate();
    let rules = rules.map(|(n, rule)| lifecycle_rule(n, rule)).collect();
    configuration.finish()?;
    rules
}

fn days(fields: &mut Fields, name: &str) -> Done<Option<i32>> {
    let days = fields.number(name)?.map(i32::try_from).transpose();
    days.map_err(|_| fields.wrong(name, "so many days there are not"))
}

fn lifecycle_rule(n: usize, mut rule: Fields) -> Done<Rule> {
    let enabled = match rule.required("Status")?.as_str() {
        "Enabled" => true,
        "Disabled" => false,
        other => return Err(rule.wrong("Status", format!("{other} is no status"))),
    };
    let expires = days(&mut rule, "ExpirationInDays")?.map(|it| Expiration::When(When::Days(it)));
    let markers = rule.flag("ExpiredObjectDeleteMarker")?.map(Expiration::ExpiredMarkers);
    let noncurrent = match rule.object("NoncurrentVersionExpiration")? {
        None => None,
        Some(mut noncurrent) => {
            let (of, keep) = (
                days(&mut noncurrent, "NoncurrentDays")?,
                days(&mut noncurrent, "NewerNoncurrentVersions")?,
            );
            let days = of.ok_or_else(|| noncurrent.wrong("NoncurrentDays", "it is missing"))?;
            noncurrent.finish()?;
            Some(Noncurrent { days, keep })
        }
    };
    let abort_days = match rule.object("AbortIncompleteMultipartUpload")? {
        None => None,
        Some(mut abort) => {
            let days = days(&mut abort, "DaysAfterInitiation")?;
            abort.finish()?;
            days
        }
    };
    let made = Rule {
        id: rule.text("Id")?.unwrap_or_else(|| format!("rule-{n}")),
        enabled,
        filter: Filter { is_v1: true, prefix: rule.text("Prefix")?, ..Filter::default() },
        expiration: expires.or(markers),
        noncurrent,
        transitions: Vec::new(),
        noncurrent_transitions: Vec::new(),
        abort_days,
    };
    rule.finish()?;
    Ok(made)
}

pub(super) fn remove_bucket(world: &mut World, id: &str, made: &Made) -> Done<()> {
    if !world.buckets.contains_key(&made.name) {
        return Ok(());
    }
    let deleted = ops::bucket::delete(world, &made.name);
    deleted.map_err(|refusal| StackError::refused(id, &refusal))
}

pub(super) fn bucket_policy(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let bucket = fields.required("Bucket")?;
    let document = fields.take("PolicyDocument").unwrap_or_default().to_string();
    end(fields)?;
    let put = ops::bucket::put_policy(world, &bucket, Some(document));
    put.map_err(|refusal| site.refused(&refusal))?;
    Ok(Made::named(&bucket))
}

pub(super) fn remove_bucket_policy(world: &mut World, id: &str, made: &Made) -> Done<()> {
    if !world.buckets.contains_key(&made.name) {
        return Ok(());
    }
    let put = ops::bucket::put_policy(world, &made.name, None);
    put.map_err(|refusal| StackError::refused(id, &refusal))
}

pub(super) fn queue(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = site.physical(fields, "QueueName", 80)?;
    let refused = |refusal: Refusal| site.refused(&refusal);
    let visibility = fields.number("VisibilityTimeout")?.unwrap_or(VISIBILITY_S) * 1_000;
    let retention = fields.number("MessageRetentionPeriod")?.unwrap_or(RETENTION_S) * 1_000;
    let redrive = match fields.object("RedrivePolicy")? {
        None => None,
        Some(mut redrive) => {
            let dead = redrive.required("deadLetterTargetArn")?;
            let most = redrive.number("maxReceiveCount")?.and_then(|it| u32::try_from(it).ok());
            let most = most.ok_or_else(|| redrive.wrong("maxReceiveCount", "it is missing"))?;
            redrive.finish()?;
            Some((dead, most))
        }
    };
    fields.pass(&["SqsManagedSseEnabled", "ReceiveMessageWaitTimeSeconds", "Tags"]);
    end(fields)?;
    if site.old.is_none() && world.queues.get(&name).is_some() {
        return Err(StackError::new(site.id, format!("the queue {name} exists already")));
    }
    let arn = queue::create(world, &name, visibility, redrive.clone()).map_err(refused)?;
    queue::check_redrive(world, &name, redrive.as_ref()).map_err(refused)?;
    if let Some(queue) = world.queues.get_mut(&name) {
        (queue.visibility, queue.retention, queue.redrive) = (visibility, retention, redrive);
        // A queue without a policy lets nobody in but its account.
        queue.policy = Some(queue.policy.take().unwrap_or_default());
    }
    let (region, account) = (&world.config.region, &world.config.account);
    let url = format!("https://sqs.{region}.amazonaws.com/{account}/{name}");
    let made = Made { physical: url.clone(), ..Made::named(&name) };
    Ok(made.with("Arn", arn).with("QueueName", name).with("QueueUrl", url))
}

pub(super) fn remove_queue(world: &mut World, made: &Made) -> Done<()> {
    // One that is gone is as good as deleted.
    let _ = queue::delete(world, &made.name);
    Ok(())
}

pub(super) fn queue_policy(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let document = fields.take("PolicyDocument").unwrap_or_default().to_string();
    let queues = fields.texts("Queues")?;
    end(fields)?;
    let statements = policy::parse(&document, site.id).map_err(|it| site.refused(&it))?;
    for queue in &queues {
        let Some(queue) = world.queues.get_mut(queue) else {
            return Err(StackError::new(site.id, format!("there is no queue {queue}")));
        };
        queue.policy = Some(Policy { text: document.clone(), statements: statements.clone() });
    }
    Ok(Made::named(&queues.join(",")))
}

pub(super) fn remove_queue_policy(world: &mut World, made: &Made) -> Done<()> {
    for name in made.name.split(',') {
        if let Some(queue) = world.queues.get_mut(name) {
            queue.policy = Some(Policy::default());
        }
    }
    Ok(())
}

/// Nothing may be left of the properties.
pub(super) fn end(fields: &mut Fields) -> Done<()> {
    std::mem::replace(fields, Fields::of("", Value::Null)?).finish()
}
