//! The stack itself: a scene whose buckets are there before it, as in an account; templates with a fault
//! in them; and what roles have been seen to need. A scene of this kind leaves nothing out: its limits, its
//! windows and its schedules are those of the template.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use resilver::app::{App, AppError, Options, STACK};
use resilver_emulator::Emulator;
use resilver_emulator::stack::{Answers, Template};
use resilver_emulator::world::audit::Ground;
use resilver_emulator::world::{Config, World};
use resilver_heal::key::Bucket;
use resilver_heal::limits::Limits;
use resilver_heal::time::minutes;
use serde_json::Value;

use crate::exercise::NAMED;
use crate::{SOURCE, Scene, Trouble, setup};

/// Another source bucket, which nothing replicates.
pub const PHOTOS: &str = "photos";

/// The bus of notices, as the template names it.
pub const BUS: &str = "resilver";

/// What whoever deploys answers.
pub fn answers<const N: usize>(pairs: [(&str, &str); N]) -> Answers {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The template of this repository.
pub fn template() -> Arc<Template> {
    resilver::app::template().unwrap()
}

/// The template with something changed.
pub fn changed(change: impl FnOnce(&mut Value)) -> Arc<Template> {
    let mut document = template().document().clone();
    change(&mut document);
    Arc::new(Template::of(document).unwrap())
}

/// An account with the buckets that replicate, and another source; the audit is on, and there is no stack.
pub async fn account() -> Emulator {
    let emulator = Emulator::new(Config { seed: 1, trail: true, ..Config::default() });
    emulator.with(|world| world.audit.switch(true));
    let clients = App::clients(&emulator);
    setup::buckets(&clients, &emulator, 2).await;
    setup::versioned(&clients, PHOTOS).await;
    emulator
}

impl Scene {
    /// A stack of this template with these answers, in an account.
    ///
    /// # Errors
    /// When it is not deployed.
    pub async fn staged(
        emulator: Emulator,
        template: Arc<Template>,
        answers: &Answers,
    ) -> Result<Self, AppError> {
        let app = App::install(emulator, template, STACK, answers).await?;
        let bucket = Bucket::try_from(SOURCE.to_owned()).unwrap();
        let options = Options { limits: limits(&app), ..Options::default() };
        Ok(Self { app, bucket, replicas: 2, options, stormy: true, before: 0 })
    }

    /// The roles of the stack: their ARNs and their logical ids.
    pub fn roles(&self) -> BTreeMap<String, String> {
        self.app.with_stack(|stack| {
            let roles = stack.made().filter(|(_, made)| made.kind == "AWS::IAM::Role");
            let arn = |made: &Value| made.as_str().unwrap().to_owned();
            roles.map(|(id, made)| (arn(&made.attributes["Arn"]), id.to_owned())).collect()
        })
    }

    /// Everything that the policies of the stack's roles allow.
    pub fn permitted(&self) -> BTreeSet<Ground> {
        let roles = self.roles();
        self.world(|world| {
            let of = |arn: &String| Ground::all(arn, &world.iam.role(arn).unwrap().statements);
            roles.keys().flat_map(of).collect()
        })
    }
}

/// The limits that launch is given.
fn limits(app: &App) -> Limits {
    let given = |world: &mut World| {
        let mut functions = world.lambda.functions();
        functions.find_map(|it| it.environment.get("RESILVER_LIMITS").cloned())
    };
    serde_json::from_str(&app.emulator.with(given).unwrap()).unwrap()
}

/// What an hour with a failure comes to under a template: what was healed, heard, let go and said, or why
/// nothing was deployed; and what was denied to the stack's roles.
pub async fn outcome(template: Arc<Template>) -> (String, BTreeSet<(String, String)>) {
    let emulator = account().await;
    // No sweep, which would heal what nothing else does.
    let mut given = answers(NAMED);
    given.insert("SweepDays".into(), "0".into());
    let said = match Scene::staged(emulator.clone(), template, &given).await {
        Err(why) => why.to_string(),
        Ok(scene) => hour(&scene).await,
    };
    let denied = emulator.with(|world| {
        let denied = world.audit.uses().into_iter().filter(|it| !it.allowed);
        let ours = denied.filter(|it| it.role.contains("/resilver-"));
        ours.map(|it| (it.role.split("resilver-").nth(1).unwrap().to_owned(), it.action)).collect()
    });
    (said, denied)
}

async fn hour(scene: &Scene) -> String {
    scene.make(Trouble::Denied(0), true);
    scene.put_many(3).await;
    scene.app.run_for(minutes(12)).await;
    scene.make(Trouble::Denied(0), false);
    scene.app.run_for(minutes(60)).await;
    let heard = scene.hears(SOURCE);
    let one = |answers: &mut Answers| drop(answers.insert("Buckets".into(), SOURCE.into()));
    let left = scene.app.reconfigure(one).await.map(|()| !scene.hears(PHOTOS));
    let head = scene.app.head(&scene.bucket).await.unwrap();
    let healed = head.map(|head| head.totals.healed);
    format!("healed {healed:?}, heard {heard}, left {left:?}, said {:?}", scene.said())
}
