#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aws_credential_types::Credentials;
use aws_sdk_s3control::config::{BehaviorVersion, Region};
use aws_sdk_s3control::error::ProvideErrorMetadata;
use aws_sdk_s3control::types::{
    JobManifest, JobManifestFieldName, JobManifestFormat, JobManifestGenerator,
    JobManifestGeneratorFilter, JobManifestLocation, JobManifestSpec, JobOperation, JobReport,
    JobReportFormat, JobReportScope, JobStatus, KeyNameConstraint, ReplicationStatus,
    RequestedJobStatus, S3JobManifestGenerator, S3ReplicateObjectOperation, S3Tag,
};
use aws_sdk_s3control::{Client, Config as SdkConfig};
use bytes::Bytes;
use http::{Method, Request};

use super::{handle, operation};
use crate::Emulator;
use crate::wire::caller::caller;
use crate::world::iam::Role;
use crate::world::{Config, World, ops};

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/job";

fn emulator() -> (Emulator, Client) {
    let emulator = Emulator::new(Config::default());
    let (key, secret) = Config::default().credentials.unwrap();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(key, secret, None))
        .http_client(emulator.http_client())
        .endpoint_url(Emulator::ENDPOINT)
        .build();
    emulator.with(|world| {
        for name in ["src", "state"] {
            ops::bucket::create(world, name, ACCOUNT, "us-east-1").unwrap();
        }
        world.iam.put(Role::batch(ROLE, "src", "state"));
    });
    (emulator, Client::from_conf(config))
}

fn report() -> JobReport {
    JobReport::builder()
        .bucket("arn:aws:s3:::state")
        .format(JobReportFormat::ReportCsv20180820)
        .enabled(true)
        .prefix("reports & more")
        .report_scope(JobReportScope::AllTasks)
        .build()
}

fn replicate() -> JobOperation {
    JobOperation::builder()
        .s3_replicate_object(S3ReplicateObjectOperation::builder().build())
        .build()
}

async fn create(client: &Client, etag: &str) -> String {
    let spec = JobManifestSpec::builder()
        .format(JobManifestFormat::S3BatchOperationsCsv20180820)
        .fields(JobManifestFieldName::Bucket)
        .fields(JobManifestFieldName::Key)
        .fields(JobManifestFieldName::VersionId)
        .build()
        .unwrap();
    let location = JobManifestLocation::builder()
        .object_arn("arn:aws:s3:::state/manifest.csv")
        .e_tag(etag)
        .build()
        .unwrap();
    let answer = client
        .create_job()
        .account_id(ACCOUNT)
        .operation(replicate())
        .report(report())
        .client_request_token("token")
        .confirmation_required(false)
        .manifest(JobManifest::builder().spec(spec).location(location).build())
        .description("plan <1>")
        .priority(10)
        .role_arn(ROLE)
        .tags(S3Tag::builder().key("app").value("x").build().unwrap())
        .send()
        .await;
    answer.unwrap().job_id.unwrap()
}

#[tokio::test]
async fn a_job_is_what_the_sdk_asked_for() {
    let (emulator, client) = emulator();
    let etag = emulator
        .with(|world| {
            ops::put::store(world, "state", "manifest.csv", "src,k,v\n".into(), "text/csv")
        })
        .unwrap();
    let id = create(&client, &etag).await;
    while emulator.step() {}
    let answer = client.describe_job().account_id(ACCOUNT).job_id(&id).send().await.unwrap();
    let job = answer.job.unwrap();
    assert_eq!(job.status, Some(JobStatus::Complete));
    assert_eq!(job.description.as_deref(), Some("plan <1>"));
    assert_eq!((job.priority, job.confirmation_required), (10, Some(false)));
    assert_eq!(job.report.unwrap(), report());
    let location = job.manifest.unwrap().location.unwrap();
    assert_eq!(
        (location.object_arn.as_str(), location.e_tag.as_str()),
        ("arn:aws:s3:::state/manifest.csv", etag.as_str())
    );
    assert!(job.operation.unwrap().s3_replicate_object.is_some());
    let progress = job.progress_summary.unwrap();
    assert_eq!(
        (progress.total_number_of_tasks, progress.number_of_tasks_failed),
        (Some(1), Some(1))
    );
    assert!(job.termination_date.unwrap() > job.creation_time.unwrap());
    let page = client
        .list_jobs()
        .account_id(ACCOUNT)
        .job_statuses(JobStatus::Complete)
        .job_statuses(JobStatus::Failed)
        .send()
        .await
        .unwrap();
    assert_eq!(page.jobs()[0].job_id.as_deref(), Some(id.as_str()));
    assert_eq!(page.jobs()[0].operation.as_ref().unwrap().as_str(), "S3ReplicateObject");
    assert!(page.next_token.is_none());
}

#[tokio::test]
async fn tags_status_and_priority_are_changed_through_the_sdk() {
    let (_emulator, client) = emulator();
    let id = create(&client, &"0".repeat(32)).await;
    let tagging = || client.get_job_tagging().account_id(ACCOUNT).job_id(&id).send();
    assert_eq!(tagging().await.unwrap().tags()[0].value, "x");
    let tag = S3Tag::builder().key("b").value("ä :/=+-@").build().unwrap();
    client
        .put_job_tagging()
        .account_id(ACCOUNT)
        .job_id(&id)
        .tags(tag.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(tagging().await.unwrap().tags(), [tag]);
    client.delete_job_tagging().account_id(ACCOUNT).job_id(&id).send().await.unwrap();
    assert!(tagging().await.unwrap().tags().is_empty());
    let changed =
        client.update_job_priority().account_id(ACCOUNT).job_id(&id).priority(3).send().await;
    assert_eq!(changed.unwrap().priority, 3);
    let cancel = |reason: &'static str| {
        let call = client.update_job_status().account_id(ACCOUNT).job_id(&id);
        call.requested_job_status(RequestedJobStatus::Cancelled).status_update_reason(reason).send()
    };
    let answer = cancel("a b+c").await.unwrap();
    assert_eq!(
        (answer.status, answer.status_update_reason.as_deref()),
        (Some(JobStatus::Cancelling), Some("a b+c"))
    );
    let refused = cancel("again").await.unwrap_err().into_service_error();
    assert!(refused.is_job_status_exception(), "{refused:?}");
    let unknown = client.describe_job().account_id(ACCOUNT).job_id("unknown").send().await;
    assert!(unknown.unwrap_err().into_service_error().is_not_found_exception());
    let foreign = client.list_jobs().account_id("999999999999").send().await;
    assert_eq!(foreign.unwrap_err().into_service_error().code(), Some("AccessDenied"));
}

#[tokio::test]
async fn a_generator_and_its_failure_are_told_to_the_sdk() {
    let (emulator, client) = emulator();
    let filter = JobManifestGeneratorFilter::builder()
        .eligible_for_replication(true)
        .object_replication_statuses(ReplicationStatus::Failed)
        .created_before(aws_smithy_types::DateTime::from_secs(1_767_225_600))
        .key_name_constraint(KeyNameConstraint::builder().match_any_prefix("a&b/").build())
        .object_size_greater_than_bytes(1)
        .build();
    let generator = S3JobManifestGenerator::builder()
        .source_bucket("arn:aws:s3:::src")
        .enable_manifest_output(false)
        .filter(filter.clone())
        .build()
        .unwrap();
    let answer = client
        .create_job()
        .account_id(ACCOUNT)
        .operation(replicate())
        .report(report())
        .manifest_generator(JobManifestGenerator::S3JobManifestGenerator(generator))
        .priority(1)
        .role_arn(ROLE)
        .send()
        .await;
    let id = answer.unwrap().job_id.unwrap();
    while emulator.step() {}
    let answer = client.describe_job().account_id(ACCOUNT).job_id(&id).send().await.unwrap();
    let job = answer.job.unwrap();
    assert_eq!((job.status, job.confirmation_required), (Some(JobStatus::Failed), Some(true)));
    let reasons = job.failure_reasons.unwrap();
    assert!(reasons[0].failure_reason.as_deref().unwrap().contains("no replication configuration"));
    let Some(JobManifestGenerator::S3JobManifestGenerator(told)) = job.manifest_generator else {
        return assert!(emulator.now() == 0, "the generator is not told");
    };
    assert_eq!(told.filter, Some(filter));
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let mut world = World::new(Config::default());
    let mut ask = |method: Method, path: &str, body: &str| {
        let body = Bytes::from(body.to_owned());
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let caller = caller(&world, None);
        let answer = handle(&mut world, &request, &caller);
        (answer.status().as_u16(), String::from_utf8(answer.into_body().to_vec()).unwrap())
    };
    let (status, text) = ask(Method::PUT, "/v20180820/accesspoint/x", "");
    assert_eq!(status, 501);
    assert!(
        text.contains("<ErrorResponse") && text.contains("<Code>NotImplemented</Code>"),
        "{text}"
    );
    let tag = "<CreateJobRequest><Operation><S3PutObjectTagging/></Operation></CreateJobRequest>";
    let (status, text) = ask(Method::POST, "/v20180820/jobs", tag);
    assert!(status == 501 && text.contains("S3PutObjectTagging"), "{text}");
    let grant = "<CreateJobRequest><Operation><S3PutObjectCopy><CannedAccessControlList>public-read</CannedAccessControlList></S3PutObjectCopy></Operation></CreateJobRequest>";
    let (status, text) = ask(Method::POST, "/v20180820/jobs", grant);
    assert!(status == 501 && text.contains("CannedAccessControlList"), "{text}");
    let (status, text) = ask(Method::POST, "/v20180820/jobs", "<a");
    assert!(status == 400 && text.contains("BadRequestException"), "{text}");
}

#[test]
fn operations_have_the_names_of_the_api() {
    let check = |method: Method, path: &str, expected: Option<&str>| {
        assert_eq!(operation(&method, path), expected, "{method} {path}");
    };
    check(Method::POST, "/v20180820/jobs", Some("CreateJob"));
    check(Method::GET, "/v20180820/jobs/", Some("ListJobs"));
    check(Method::GET, "/v20180820/jobs/1", Some("DescribeJob"));
    check(Method::POST, "/v20180820/jobs/1/status", Some("UpdateJobStatus"));
    check(Method::DELETE, "/v20180820/jobs/1/tagging", Some("DeleteJobTagging"));
    check(Method::GET, "/v20180820/accesspoint", None);
}
