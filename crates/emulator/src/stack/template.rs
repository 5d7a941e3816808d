//! A template that was read: its sections, each resource with what CloudFormation itself asks of it, and
//! SAM's `Globals` merged into the functions. What a property means is said in [`super::resource`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::{Done, StackError};
use super::fields::Fields;
use super::parameters::Parameter;
use super::yaml;

/// The transform that makes a template one of SAM.
const SAM: &str = "AWS::Serverless-2016-10-31";
/// The type of a function.
pub(super) const FUNCTION: &str = "AWS::Serverless::Function";

/// The events of a function.
pub(super) const EVENTS: [&str; 3] = [MAPPING, SCHEDULE, RULE];
pub(super) const MAPPING: &str = "SQS";
pub(super) const SCHEDULE: &str = "ScheduleV2";
pub(super) const RULE: &str = "EventBridgeRule";
/// Among the properties of an event: the function that it wakes.
pub(super) const WAKES: &str = "Function";

/// One resource, as the template has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// `AWS::S3::Bucket`.
    pub kind: String,
    /// Its properties, unresolved.
    pub properties: Value,
    /// The condition under which it is made.
    pub condition: Option<String>,
    /// What has to be there before it, besides what its properties name.
    pub depends_on: Vec<String>,
    /// It stays when the stack does not want it any more.
    pub keep: bool,
    /// `Metadata.BuildProperties.Binary`: what a function is built from.
    pub binary: Option<String>,
    /// Where its properties stand.
    pub(super) at: String,
}

/// A template.
#[derive(Debug, Clone)]
pub struct Template {
    document: Value,
    pub(super) parameters: BTreeMap<String, Parameter>,
    pub(super) mappings: Map<String, Value>,
    pub(super) conditions: Map<String, Value>,
    pub(super) rules: Map<String, Value>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) outputs: Map<String, Value>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Names the first thing that is not understood.
    pub fn read(text: &str) -> Done<Self> {
        Self::of(yaml::read(text)?)
    }

    /// The template of a document, in which every function is in its long form.
    ///
    /// # Errors
    /// Names the first thing that is not understood.
    pub fn of(document: Value) -> Done<Self> {
        yaml::check(&document, "")?;
        let mut sections = Fields::of("the template", document.clone())?;
        sections.pass(&["AWSTemplateFormatVersion", "Description", "Metadata"]);
        for transform in sections.texts("Transform")? {
            if transform != SAM {
                let what = format!("the transform {transform} is not emulated; only {SAM} is");
                return Err(sections.wrong("Transform", what));
            }
        }
        let mut section = |name: &str| Fields::of(name, sections.take(name).unwrap_or_default());
        let globals = section("Globals")?;
        let parameters = section("Parameters")?.rest().into_iter();
        let parameters =
            parameters.map(|(name, it)| Ok((name.clone(), Parameter::read(&name, it)?)));
        let parameters = parameters.collect::<Done<_>>()?;
        let (mappings, conditions) = (section("Mappings")?.rest(), section("Conditions")?.rest());
        let (rules, outputs) = (section("Rules")?.rest(), section("Outputs")?.rest());
        let global = function_globals(globals)?;
        let resources = section("Resources")?.rest().into_iter();
        let resources = resources.map(|(id, it)| Ok((id.clone(), resource(&id, it, &global)?)));
        let mut resources = resources.collect::<Done<BTreeMap<_, _>>>()?;
        expand(&mut resources)?;
        sections.finish()?;
        Ok(Self { document, parameters, mappings, conditions, rules, resources, outputs })
    }

    /// The whole document as it was read, every function in its long form.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Gives a resource another property; what a function is woken by is a resource, too, named by the function
    /// and the event. False if there is no such resource.
    pub fn set(&mut self, id: &str, property: &str, value: Value) -> bool {
        let properties = self.resources.get_mut(id).and_then(|it| it.properties.as_object_mut());
        properties.map(|properties| properties.insert(property.to_owned(), value)).is_some()
    }

    /// The resources by logical id.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Resource)> {
        self.resources.iter().map(|(id, resource)| (id.as_str(), resource))
    }

    /// The names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }
}

fn function_globals(mut globals: Fields) -> Done<Value> {
    let function = globals.take("Function").unwrap_or_default();
    globals.finish()?;
    Ok(function)
}

fn resource(id: &str, value: Value, global: &Value) -> Done<Resource> {
    let mut fields = Fields::of(id, value)?;
    let kind = fields.required("Type")?;
    if EVENTS.contains(&kind.as_str()) {
        return Err(fields.wrong("Type", "an event belongs to a function"));
    }
    let mut properties = fields.take("Properties").unwrap_or_else(|| Value::Object(Map::new()));
    if kind == FUNCTION {
        properties = merged(global, properties);
    }
    let keep = |policy: &str| matches!(policy, "Retain" | "RetainExceptOnCreate");
    let deletion = fields.text("DeletionPolicy")?.unwrap_or_else(|| "Delete".to_owned());
    if !keep(&deletion) && deletion != "Delete" {
        return Err(
            fields.wrong("DeletionPolicy", format!("{deletion} is not emulated; say Retain"))
        );
    }
    let binary = match fields.object("Metadata")? {
        Some(mut metadata) => match metadata.object("BuildProperties")? {
            Some(mut build) => build.text("Binary")?,
            None => None,
        },
        None => None,
    };
    fields.pass(&["UpdateReplacePolicy"]);
    let resource = Resource {
        kind,
        properties,
        condition: fields.text("Condition")?,
        depends_on: fields.texts("DependsOn")?,
        keep: keep(&deletion),
        binary,
        at: format!("{id}.Properties"),
    };
    fields.finish()?;
    Ok(resource)
}

/// What wakes a function becomes a resource of its own, as it does with SAM, named by the function and the
/// event (SAM Developer Guide: generated CloudFormation resources).
fn expand(resources: &mut BTreeMap<String, Resource>) -> Done<()> {
    let mut all = Vec::new();
    for (id, function) in resources.iter_mut().filter(|(_, it)| it.kind == FUNCTION) {
        let Some(events) = function.properties.as_object_mut().and_then(|it| it.remove("Events"))
        else {
            continue;
        };
        for (name, event) in Fields::of(format!("{id}.Properties.Events"), events)?.rest() {
            let at = format!("{id}.Properties.Events.{name}");
            let mut event = Fields::of(&at, event)?;
            let kind = event.required("Type")?;
            if !EVENTS.contains(&kind.as_str()) {
                let what = format!("{kind} is not emulated; {} are", EVENTS.join(", "));
                return Err(event.wrong("Type", what));
            }
            let mut properties = event.take("Properties").unwrap_or_default();
            event.finish()?;
            if let Some(properties) = properties.as_object_mut() {
                properties.insert(WAKES.to_owned(), json!({ "Fn::GetAtt": [id, "Arn"] }));
            }
            let resource = Resource {
                kind,
                properties,
                condition: function.condition.clone(),
                depends_on: Vec::new(),
                keep: false,
                binary: None,
                at: format!("{at}.Properties"),
            };
            all.push((format!("{id}{name}"), resource));
        }
    }
    for (id, resource) in all {
        if resources.insert(id.clone(), resource).is_some() {
            return Err(StackError::new(id, "SAM gives an event this name; take another one"));
        }
    }
    Ok(())
}

/// What is global, and what is a function's own: mappings are merged, lists are put together, and of
/// anything else its own wins (SAM Developer Guide: globals section).
fn merged(global: &Value, own: Value) -> Value {
    let is_call = |fields: &Map<String, Value>| {
        fields.len() == 1 && fields.keys().all(|name| name == "Ref" || name.starts_with("Fn::"))
    };
    match (global, own) {
        (Value::Object(global), Value::Object(own)) if !is_call(global) && !is_call(&own) => {
            let mut all = global.clone();
            for (name, value) in own {
                let value = match all.get(&name) {
                    Some(global) => merged(global, value),
                    None => value,
                };
                all.insert(name, value);
            }
            Value::Object(all)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().cloned().chain(own).collect(),
        (_, own) => own,
    }
}

impl Template {
    /// A resource by its logical id.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn resource(&self, id: &str) -> Done<&Resource> {
        self.resources.get(id).ok_or_else(|| StackError::new(id, "there is no such resource"))
    }
}
