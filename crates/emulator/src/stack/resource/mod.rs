//! What each type of resource is in the world, and how it is made, changed and removed. Every property that
//! is read changes the world or is known to change nothing that is emulated; every other one is refused by
//! name, and so is a type that is not here.

mod custom;
mod event;
mod function;
mod identity;
mod storage;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{Done, StackError};
use super::fields::Fields;
use super::template::{self, Resource};
use crate::world::World;

pub(super) use custom::{Answer, Request, payload};

/// A resource that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its type.
    pub kind: String,
    /// Its name in the world.
    pub name: String,
    /// What `Ref` gives: the name, mostly.
    pub physical: String,
    /// What `Fn::GetAtt` gives.
    pub attributes: BTreeMap<String, Value>,
    /// The properties that it was made with, resolved.
    pub properties: Value,
    /// It stays when the stack does not want it any more.
    pub keep: bool,
}

impl Made {
    /// Something that is known by a name, without attributes.
    fn named(name: &str) -> Self {
        Self {
            kind: String::new(),
            name: name.to_owned(),
            physical: name.to_owned(),
            attributes: BTreeMap::new(),
            properties: Value::Null,
            keep: false,
        }
    }

    fn with(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }
}

/// What there is to know where a resource is made.
pub(super) struct Site<'a> {
    /// The name of the stack.
    pub(super) stack: &'a str,
    /// The logical id.
    pub(super) id: &'a str,
    /// The resource, as the template has it.
    pub(super) resource: &'a Resource,
    /// The resource as it is, if it is there.
    pub(super) old: Option<&'a Made>,
}

impl Site<'_> {
    /// A name for what has none: of stack and logical id, with an end that no other has (CloudFormation User
    /// Guide: name type). The end is no chance here, so that the same stack has the same names.
    pub(super) fn name(&self, most: usize) -> String {
        let end = super::digest(&[self.stack, self.id], 12);
        let whole = format!("{}-{}", self.stack, self.id);
        let begin: String = whole.chars().take(most.saturating_sub(end.len() + 1)).collect();
        format!("{begin}-{end}")
    }

    /// The name that a property gives, or one of its own; it cannot change.
    fn physical(&self, fields: &mut Fields, property: &str, most: usize) -> Done<String> {
        let name = fields.text(property)?.unwrap_or_else(|| self.name(most));
        match self.old {
            Some(old) if !old.name.eq_ignore_ascii_case(&name) => {
                let what = "another name makes another resource, which is not emulated; delete the stack first";
                Err(fields.wrong(property, what))
            }
            _ => Ok(name),
        }
    }

    /// The world did not do as it was told.
    fn refused(&self, refusal: &crate::world::Refusal) -> StackError {
        StackError::refused(self.id, refusal)
    }
}

/// Makes a resource, or makes it what it is now to be.
///
/// # Errors
/// When its type or one of its properties is not emulated, or the world refuses it.
pub(super) fn put(world: &mut World, site: &Site<'_>, properties: &Value) -> Done<Made> {
    let mut fields = Fields::of(&site.resource.at, properties.clone())?;
    let made = match site.resource.kind.as_str() {
        "AWS::S3::Bucket" => storage::bucket(world, site, &mut fields)?,
        "AWS::S3::BucketPolicy" => storage::bucket_policy(world, site, &mut fields)?,
        "AWS::SQS::Queue" => storage::queue(world, site, &mut fields)?,
        "AWS::SQS::QueuePolicy" => storage::queue_policy(world, site, &mut fields)?,
        "AWS::IAM::Role" => identity::role(world, site, &mut fields)?,
        "AWS::IAM::Policy" => identity::policy(world, site, &mut fields)?,
        "AWS::Events::EventBus" => event::bus(world, site, &mut fields)?,
        "AWS::Logs::LogGroup" => watch::log_group(world, site, &mut fields)?,
        kind if kind.starts_with("AWS::CloudWatch::") => watch::alarm(world, site, fields)?,
        template::FUNCTION => function::put(world, site, &mut fields)?,
        template::MAPPING => event::mapping(world, site, &mut fields)?,
        template::SCHEDULE => event::schedule(world, site, &mut fields)?,
        template::RULE => event::rule(world, site, &mut fields)?,
        kind => {
            let what = format!("{kind} is not emulated; leave the resource out");
            return Err(StackError::new(format!("{}.Type", site.id), what));
        }
    };
    Ok(Made {
        kind: site.resource.kind.clone(),
        properties: properties.clone(),
        keep: site.resource.keep,
        ..made
    })
}

/// Removes a resource. What is gone already is as good as removed.
///
/// # Errors
/// When the world refuses it: a bucket is not empty.
pub(super) fn remove(world: &mut World, id: &str, made: &Made) -> Done<()> {
    match made.kind.as_str() {
        "AWS::S3::Bucket" => storage::remove_bucket(world, id, made),
        "AWS::S3::BucketPolicy" => storage::remove_bucket_policy(world, id, made),
        "AWS::SQS::Queue" => storage::remove_queue(world, made),
        "AWS::SQS::QueuePolicy" => storage::remove_queue_policy(world, made),
        "AWS::IAM::Role" => identity::remove_role(world, made),
        "AWS::IAM::Policy" => identity::remove_policy(world, made),
        "AWS::Events::EventBus" => event::remove_bus(world, id, made),
        template::FUNCTION => function::remove(world, made),
        template::MAPPING | template::SCHEDULE | template::RULE => event::remove(world, made),
        _ => Ok(()),
    }
}
