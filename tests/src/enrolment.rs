//! What the stories of enrolment need: buckets, what others have in their notification documents, the
//! function with settings of its own, and CloudFormation.

use aws_sdk_s3::types::{
    BucketVersioningStatus, CreateBucketConfiguration, Tag, Tagging, VersioningConfiguration,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use resilver_aws::clients::Place;
use resilver_aws::{Clients, Settings, Woken};
use resilver_emulator::world::notification::{Entry, NotificationConfig, Target, set};
use resilver_emulator::world::queue;
use resilver_enroll::{Ctx, EnrollError, handle};
use resilver_heal::enrolment::Enrolled;
use resilver_heal::state::StateKey;
use resilver_heal::time::Timestamp;
use serde_json::{Value, json};

use crate::{QUEUE, STATE, Scene};

/// The id of our entry.
pub const OURS: &str = "resilver-resilver";
/// The queue of another consumer.
pub const THEIRS: &str = "arn:aws:sqs:us-east-1:111122223333:theirs";
/// Functions that are the story's to wake.
const SILENT: [&str; 2] = ["-enroll", "-backfill"];
const OUR_QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:resilver-failures";
/// Where CloudFormation waits.
const ANSWER: &str = "https://cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com/arn%3Aaws?X-Amz-Signature=secret";

/// An entry of another consumer: its queue hears of uploads under a prefix.
pub fn theirs(id: &str, prefix: &str) -> Entry {
    let filter = Some(vec![("Prefix".to_owned(), prefix.to_owned())]);
    Entry { filter, ..Entry::queue(id, THEIRS, &["s3:ObjectCreated:*"]) }
}

/// An entry of another consumer, of its topic.
pub fn topic(id: &str, event: &str) -> Entry {
    let arn = "arn:aws:sns:us-east-1:111122223333:topic".to_owned();
    Entry { target: Target::Topic, arn, ..Entry::queue(id, "", &[event]) }
}

/// An S3 that names each destination which it cannot send to, as the real one has been seen to do; the
/// embedded one keeps to what is documented, and does not.
#[derive(Debug, Clone)]
struct Naming<T>(T);

impl HttpClient for Naming<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Naming(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Naming<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = answer.await?;
            let body = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
            if body.contains("Unable to validate the following destination") {
                let named = format!("<ArgumentName1>{THEIRS}, null</ArgumentName1></Error>");
                response.headers_mut().remove("content-length");
                *response.body_mut() = body.replace("</Error>", &named).into();
            }
            Ok(response)
        })
    }
}

/// The same function, whose S3 names destinations that it cannot send to.
pub fn naming(ctx: &Ctx) -> Ctx {
    let http = SharedHttpClient::new(Naming(ctx.clients.http.clone()));
    let place = Place {
        endpoint: resilver_emulator::Emulator::ENDPOINT,
        region: "us-east-1",
        account: "111122223333",
        keys: ("AKIARESILVERLOCAL000", "resilver-local-secret"),
    };
    let mut named = ctx.clone();
    named.clients = Clients::at(&place, http);
    named
}

impl Scene {
    /// Makes a bucket, versioned.
    pub async fn bucket(&self, name: &str) {
        self.bare_bucket(name, None).await;
        let versioning =
            VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let call = self.app.clients.s3.put_bucket_versioning().bucket(name);
        call.versioning_configuration(versioning).send().await.unwrap();
    }

    /// Makes a bucket that is not versioned, in another Region if that is said.
    pub async fn bare_bucket(&self, name: &str, region: Option<&str>) {
        let place = region.map(|region| {
            CreateBucketConfiguration::builder().location_constraint(region.into()).build()
        });
        let call = self.app.clients.s3.create_bucket().bucket(name);
        call.set_create_bucket_configuration(place).send().await.unwrap();
    }

    /// Tags a bucket.
    pub async fn tag(&self, bucket: &str, key: &str, value: &str) {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        let tagging = Tagging::builder().tag_set(tag).build().unwrap();
        let call = self.app.clients.s3.put_bucket_tagging().bucket(bucket);
        call.tagging(tagging).send().await.unwrap();
    }

    /// Deletes a bucket, behind everybody's back.
    pub fn lose(&self, bucket: &str) {
        self.world(|world| world.buckets.remove(bucket));
    }

    /// Makes the queue of another consumer.
    pub fn their_queue(&self) {
        self.world(|world| queue::create(world, "theirs", 30_000, None).map(drop)).unwrap();
    }

    /// Another tool writes the whole document.
    pub fn overwrite(&self, bucket: &str, entries: Vec<Entry>, event_bridge: bool) {
        let config = NotificationConfig { entries, event_bridge };
        self.world(|world| set(world, bucket, config, true)).unwrap();
    }

    /// The notifications of a bucket.
    pub fn notifications(&self, bucket: &str) -> NotificationConfig {
        self.world(|world| world.buckets[bucket].notification.clone())
    }

    /// Whether our entry is in a bucket's document, as it should be.
    pub fn hears(&self, bucket: &str) -> bool {
        let events =
            ["s3:Replication:OperationFailedReplication", "s3:Replication:OperationNotTracked"];
        let ours = Entry::queue(OURS, OUR_QUEUE, &events);
        self.notifications(bucket).entries.contains(&ours)
    }

    /// The function with these settings, that nothing wakes but the story. Every bucket may send to its
    /// queue, and nobody looks at their configuration.
    pub fn enroll(&self, buckets: &str, tag: &str) -> Ctx {
        self.unschedule(&SILENT);
        self.world(|world| {
            world.queues.get_mut(QUEUE).unwrap().policy = None;
            let ours = |it: &str| SILENT.iter().any(|end| it.ends_with(end));
            for rule in world.bus.rules_mut("default").unwrap().values_mut() {
                rule.enabled &= !rule.targets.values().any(|target| ours(&target.arn));
            }
        });
        let mut settings = Settings::of([
            ("RESILVER_STATE_BUCKET", STATE),
            ("RESILVER_QUEUE_ARN", OUR_QUEUE),
            ("RESILVER_STACK", "resilver"),
            ("RESILVER_BUCKETS", buckets),
            ("RESILVER_BUCKET_TAG", tag),
        ]);
        let ctx = Ctx::new(self.app.clients.clone(), &mut settings);
        ctx.whose(settings.finish())
    }

    /// The schedule wakes it.
    pub async fn tick(&self, ctx: &Ctx) -> Result<Value, EnrollError> {
        let now = Timestamp(self.app.emulator.now());
        let event = json!({"time": now.to_string()});
        handle(ctx, &Woken::of(&event, "tick").unwrap(), &event).await
    }

    /// CloudFormation asks something; gives what it is answered.
    pub async fn stack(&self, ctx: &Ctx, request: &str) -> Value {
        let event = json!({
            "RequestType": request, "ResponseURL": ANSWER, "ServiceToken": "arn:aws:lambda:x",
            "StackId": "arn:aws:cloudformation:x", "RequestId": format!("{request}-1"),
            "LogicalResourceId": "Enrolment", "ResourceType": "Custom::ResilverEnrolment",
            "PhysicalResourceId": (request != "Create").then_some("resilver-enrolment-resilver"),
            "ResourceProperties": {},
        });
        let now = Timestamp(self.app.emulator.now());
        let before = self.app.emulator.outbox().len();
        handle(ctx, &resilver_enroll::woken(&event, "stack", now), &event).await.unwrap();
        let posted = self.app.emulator.outbox().split_off(before);
        let [answer] = posted.as_slice() else { panic!("one answer, not {posted:?}") };
        assert_eq!(answer.url, ANSWER);
        assert!(answer.headers.iter().all(|(name, _)| name != "content-type"), "{answer:?}");
        assert!(answer.body.len() <= 4_096);
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["RequestId"], event["RequestId"]);
        assert_eq!(answer["PhysicalResourceId"], "resilver-enrolment-resilver");
        answer
    }

    /// What is remembered of a bucket that is enrolled.
    pub async fn enrolled(&self, bucket: &str) -> Option<Enrolled> {
        let bucket = bucket.to_owned().try_into().unwrap();
        let key = StateKey::Enrolled(&bucket).to_string();
        self.app.store.get_json(&key).await.unwrap().map(|loaded| loaded.value)
    }
}
