//! CloudFormation, as far as one stack goes: a SAM template becomes queues, buckets, roles, buses and
//! functions of a world, is changed, and goes again. It reads text and decides purely: no file is opened
//! here, no time passes, and no function runs.
//!
//! What a template says and what this cannot do is an error that names the place; nothing is passed over. A
//! change that fails stays where it failed: nothing is rolled back. Custom resources need somebody who runs
//! functions: [`Stack::go_on`] says whose answer it waits for, and [`Stack::answer`] takes it.

mod error;
mod fields;
mod order;
mod parameters;
mod resource;
mod scope;
mod template;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::Value;

pub use error::StackError;
pub use resource::Made;
pub use template::{Resource, Template};

use crate::world::{World, lambda};
use error::Done;
use resource::{Answer, Request, Site};
use scope::Scope;

/// Where custom resources are to put their answers.
const ANSWERS: &str = "https://cloudformation.resilver.test";

/// What whoever deploys answers to the template's parameters.
pub type Answers = BTreeMap<String, String>;

/// How far a change is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is done.
    Done,
    /// A custom resource has not answered yet.
    Waiting {
        /// Its logical id.
        id: String,
        /// Where it will put its answer.
        url: String,
    },
}

#[derive(Debug, Clone)]
enum Step {
    /// Make a resource, or make it what it is now to be.
    Put(String),
    /// Remove what the stack does not want any more.
    Remove(String, Made),
}

#[derive(Debug)]
struct Waiting {
    url: String,
    request_id: String,
    request: Request,
    id: String,
    properties: Value,
    old: Option<Made>,
}

/// One stack.
#[derive(Debug)]
pub struct Stack {
    name: String,
    template: Arc<Template>,
    parameters: BTreeMap<String, Value>,
    pseudo: BTreeMap<&'static str, String>,
    made: BTreeMap<String, Made>,
    /// Logical ids in the order in which they were made.
    order: Vec<String>,
    steps: VecDeque<Step>,
    waiting: Option<Waiting>,
    /// Custom resources whose last change failed: the next change asks them again, whatever it says.
    failed: BTreeSet<String>,
    requests: u64,
}

impl Stack {
    /// Begins to deploy a template under a name.
    ///
    /// # Errors
    /// When a parameter will not do, or the resources depend on each other.
    pub fn deploy(
        world: &World,
        name: &str,
        template: Arc<Template>,
        answers: &Answers,
    ) -> Done<Self> {
        let (region, account) = (&world.config.region, &world.config.account);
        let id = format!(
            "arn:aws:cloudformation:{region}:{account}:stack/{name}/{}",
            digest(&[name, account, region], 12).to_lowercase()
        );
        let pseudo = [
            ("AWS::AccountId", account.clone()),
            ("AWS::Region", region.clone()),
            ("AWS::StackName", name.to_owned()),
            ("AWS::StackId", id),
            ("AWS::Partition", "aws".to_owned()),
            ("AWS::URLSuffix", "amazonaws.com".to_owned()),
        ];
        let mut stack = Self {
            name: name.to_owned(),
            template: Arc::clone(&template),
            parameters: BTreeMap::new(),
            pseudo: pseudo.into(),
            made: BTreeMap::new(),
            order: Vec::new(),
            steps: VecDeque::new(),
            waiting: None,
            failed: BTreeSet::new(),
            requests: 0,
        };
        stack.update(template, answers)?;
        Ok(stack)
    }

    /// Begins to change the stack to a template and its parameters, which are all those that do not keep
    /// their defaults.
    ///
    /// # Errors
    /// As [`Self::deploy`]; the stack stays as it is.
    pub fn update(&mut self, template: Arc<Template>, answers: &Answers) -> Done<()> {
        let parameters = parameters::resolve(&template, answers)?;
        let nothing = |_: &str, _: Option<&str>| None;
        let scope = Scope {
            template: &template,
            parameters: &parameters,
            pseudo: &self.pseudo,
            made: &nothing,
        };
        scope.check_rules()?;
        let mut wanted = BTreeSet::new();
        for (id, resource) in &template.resources {
            let holds = |name: &String| scope.holds(name, &format!("{id}.Condition"));
            if resource.condition.as_ref().map_or(Ok(true), holds)? {
                wanted.insert(id.clone());
            }
        }
        let order = order::of(&template, &wanted)?;
        self.steps = order.into_iter().map(Step::Put).collect();
        self.waiting = None;
        (self.template, self.parameters) = (template, parameters);
        let gone = self.order.iter().rev().filter(|id| !wanted.contains(*id));
        let gone = gone.filter_map(|id| Some(Step::Remove(id.clone(), self.made.get(id)?.clone())));
        self.steps.extend(gone);
        Ok(())
    }

    /// Begins to delete the stack, what was made last first. What is to be kept stays in the world.
    pub fn delete(&mut self) {
        let all = self.order.iter().rev();
        let all = all.filter_map(|id| Some(Step::Remove(id.clone(), self.made.get(id)?.clone())));
        self.steps = all.collect();
        self.waiting = None;
    }

    /// Goes on with what was begun, until it is done or waits for an answer.
    ///
    /// # Errors
    /// When something is not emulated, or the world refuses it.
    pub fn go_on(&mut self, world: &mut World) -> Done<Progress> {
        loop {
            if let Some(waiting) = &self.waiting {
                let (id, url) = (waiting.id.clone(), waiting.url.clone());
                return Ok(Progress::Waiting { id, url });
            }
            match self.steps.pop_front() {
                None => return Ok(Progress::Done),
                Some(Step::Put(id)) => self.put(world, id)?,
                Some(Step::Remove(id, made)) => self.remove(world, id, made)?,
            }
        }
    }

    fn put(&mut self, world: &mut World, id: String) -> Done<()> {
        let template = Arc::clone(&self.template);
        let resource = template.resource(&id)?;
        let properties =
            self.scope(&template, |scope| scope.resolve(&resource.properties, &resource.at))?;
        let old = self.made.get(&id);
        let same = |it: &Made| it.properties == properties && it.kind == resource.kind;
        if !self.failed.contains(&id) && old.is_some_and(same) {
            return Ok(());
        }
        if let Some(old) = old.filter(|old| old.kind != resource.kind) {
            let what = format!("it is of the type {}; give the new one another id", old.kind);
            return Err(StackError::new(format!("{id}.Type"), what));
        }
        if resource.is_custom() {
            let request = if old.is_some() { Request::Update } else { Request::Create };
            let old = old.cloned();
            return self.ask(world, request, (id, resource.kind.clone(), properties), old);
        }
        let site = Site { stack: &self.name, id: &id, resource, old };
        let made = resource::put(world, &site, &properties)?;
        self.keep(id, made);
        Ok(())
    }

    fn remove(&mut self, world: &mut World, id: String, made: Made) -> Done<()> {
        if made.kind.starts_with(CUSTOM) {
            let (kind, properties) = (made.kind.clone(), made.properties.clone());
            return self.ask(world, Request::Delete, (id, kind, properties), Some(made));
        }
        if !made.keep {
            resource::remove(world, &id, &made)?;
        }
        self.forget(&id, &made);
        Ok(())
    }

    /// Asks the function of a custom resource.
    fn ask(
        &mut self,
        world: &mut World,
        request: Request,
        (id, kind, properties): (String, String, Value),
        old: Option<Made>,
    ) -> Done<()> {
        let token = properties.get("ServiceToken").and_then(Value::as_str).unwrap_or_default();
        let function = lambda::function_of(token).to_owned();
        if world.lambda.function(&function).is_none() {
            let at = format!("{id}.Properties.ServiceToken");
            return Err(StackError::new(at, format!("there is no function {token:?}")));
        }
        self.requests += 1;
        let request_id = digest(&[&self.name, &id, &self.requests.to_string()], 32);
        // Whoever has the URL may answer: it is signed, and a secret.
        let signature = digest(&[&self.name, &request_id, "signature"], 32);
        let url = format!("{ANSWERS}/{}/{id}/{request_id}?X-Amz-Signature={signature}", self.name);
        let ids = (self.id(), request_id.as_str(), id.as_str());
        let payload = resource::payload(request, ids, &url, (&kind, &properties), old.as_ref());
        lambda::invoke(world, &function, payload);
        self.waiting = Some(Waiting { url, request_id, request, id, properties, old });
        Ok(())
    }

    /// Takes the answer of the custom resource that is waited for.
    ///
    /// # Errors
    /// With the function's own reason where it failed.
    pub fn answer(&mut self, body: &[u8]) -> Done<()> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        let Waiting { request_id, request, id, properties, old, .. } = waiting;
        let answer = match Answer::read(body, (self.id(), &request_id, &id)) {
            Ok(answer) => answer,
            Err(why) => {
                // It may be half changed: that is what it is changed back from.
                self.made
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|made| made.properties = properties.clone());
                self.failed.insert(id);
                return Err(why);
            }
        };
        self.failed.remove(&id);
        if request == Request::Delete {
            old.iter().for_each(|old| self.forget(&id, old));
            return Ok(());
        }
        // Another id is another resource, and the one before is deleted at the end (CloudFormation User
        // Guide: custom resource response objects).
        if let Some(old) = old.filter(|old| old.physical != answer.physical) {
            self.steps.push_back(Step::Remove(id.clone(), old));
        }
        let resource = self.template.resource(&id)?;
        let made = Made {
            kind: resource.kind.clone(),
            name: id.clone(),
            physical: answer.physical,
            attributes: answer.data.into_iter().collect(),
            properties,
            keep: false,
        };
        self.keep(id, made);
        Ok(())
    }

    /// Gives the waiting up: the function did not answer.
    pub fn give_up(&mut self) -> StackError {
        let id = self.waiting.take().map_or_else(|| self.name.clone(), |waiting| waiting.id);
        StackError::new(id, "the function did not answer in time; look at what it logs")
    }

    fn keep(&mut self, id: String, made: Made) {
        if self.made.insert(id.clone(), made).is_none() {
            self.order.push(id);
        }
    }

    /// Forgets a resource, unless another one has its id by now.
    fn forget(&mut self, id: &str, made: &Made) {
        if self.made.get(id).is_some_and(|it| it.physical == made.physical) {
            self.made.remove(id);
            self.order.retain(|it| it != id);
        }
    }

    fn scope<R>(&self, template: &Template, act: impl FnOnce(&Scope<'_>) -> R) -> R {
        let made = |id: &str, attribute: Option<&str>| {
            let made = self.made.get(id)?;
            match attribute {
                None => Some(Value::from(made.physical.as_str())),
                Some(attribute) => made.attributes.get(attribute).cloned(),
            }
        };
        let (parameters, pseudo) = (&self.parameters, &self.pseudo);
        act(&Scope { template, parameters, pseudo, made: &made })
    }

    /// The ARN of the stack.
    pub fn id(&self) -> &str {
        self.pseudo.get("AWS::StackId").map_or("", String::as_str)
    }

    /// Its template.
    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// What is there, by logical id.
    pub fn made(&self) -> impl Iterator<Item = (&str, &Made)> {
        self.made.iter().map(|(id, made)| (id.as_str(), made))
    }

    /// The resource of a logical id, if it is there.
    pub fn resource(&self, id: &str) -> Option<&Made> {
        self.made.get(id)
    }

    /// The outputs.
    ///
    /// # Errors
    /// When one names what is not there.
    pub fn outputs(&self) -> Done<BTreeMap<String, String>> {
        let mut outputs = BTreeMap::new();
        for (name, output) in &self.template.outputs {
            let at = format!("Outputs.{name}");
            let condition = output.get("Condition").and_then(Value::as_str);
            let value = self.scope(&self.template, |scope| {
                if !condition.map_or(Ok(true), |name| scope.holds(name, &at))? {
                    return Ok(None);
                }
                scope.resolve(output.get("Value").unwrap_or(&Value::Null), &at).map(Some)
            })?;
            let text = value.as_ref().and_then(fields::text_of);
            outputs.extend(text.map(|text| (name.clone(), text)));
        }
        Ok(outputs)
    }
}

/// What the types of custom resources begin with.
const CUSTOM: &str = "Custom::";

impl Resource {
    fn is_custom(&self) -> bool {
        self.kind.starts_with(CUSTOM)
    }
}

/// So many characters that follow from texts, and from no others: a physical id is not chance here.
fn digest(texts: &[&str], length: usize) -> String {
    let mut digest = Md5::new();
    for text in texts {
        digest.update(text.as_bytes());
        digest.update([0]);
    }
    let hex = hex::encode_upper(digest.finalize());
    hex.chars().take(length).collect()
}
