//! S3 Batch Operations jobs through S3 Control.

use aws_sdk_s3control::types::{
    GeneratedManifestEncryption, JobManifest, JobManifestFieldName, JobManifestFormat,
    JobManifestGenerator, JobManifestGeneratorFilter, JobManifestLocation, JobManifestSpec,
    JobOperation, JobReport, JobReportFormat, JobReportScope, KeyNameConstraint, ReplicationStatus,
    RequestedJobStatus, S3JobManifestGenerator, S3ManifestOutputLocation,
    S3ReplicateObjectOperation, Sses3Encryption,
};
use aws_smithy_types::DateTime;
use aws_smithy_types::error::operation::BuildError;
use resilver_heal::plan::{JobRequest, JobSource};

use crate::{AwsError, Clients, Kind};

/// A job, as S3 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its status: one of 13 words.
    pub status: String,
    /// What it was called when it was made.
    pub description: Option<String>,
    /// Tasks in all, succeeded and failed; not exact.
    pub tasks: (u64, u64, u64),
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: u64,
    /// When it ended.
    pub terminated_ms: Option<u64>,
    /// Why the job itself failed: code and sentence.
    pub failure_reasons: Vec<(String, String)>,
    /// Why its status was changed.
    pub status_update_reason: Option<String>,
    /// Its report has only the rows that failed.
    pub reports_failures_only: bool,
    /// ARN and ETag, without quotes, of the manifest that S3 made for it and kept.
    pub generated: Option<(String, String)>,
}

/// Asks for a job; gives its id.
pub async fn create(clients: &Clients, request: &JobRequest) -> Result<String, AwsError> {
    let invalid = |why: BuildError| AwsError::local("CreateJob", &request.description, why);
    let replicate = S3ReplicateObjectOperation::builder().build();
    let mut call = clients
        .s3control
        .create_job()
        .account_id(&request.account)
        .confirmation_required(request.confirm)
        .operation(JobOperation::builder().s3_replicate_object(replicate).build())
        .report(report(request))
        .client_request_token(&request.token)
        .description(&request.description)
        .priority(request.priority)
        .role_arn(&request.role_arn);
    match &request.source {
        JobSource::Manifest { object_arn, etag } => {
            call = call.manifest(manifest(object_arn, etag).map_err(invalid)?);
        }
        JobSource::Generator { .. } => {
            let generator = generator(&request.source).map_err(invalid)?;
            call = call.manifest_generator(generator);
        }
    }
    let output = Box::pin(call.send()).await;
    let output = output.map_err(|error| AwsError::of("CreateJob", &request.description, &error))?;
    let id = output.job_id().map(str::to_owned);
    id.ok_or_else(|| AwsError::local("CreateJob", &request.description, "no job id came back"))
}

fn report(request: &JobRequest) -> JobReport {
    JobReport::builder()
        .enabled(true)
        .bucket(&request.report.bucket_arn)
        .prefix(&request.report.prefix)
        .format(JobReportFormat::ReportCsv20180820)
        .report_scope(JobReportScope::from(request.report.scope.as_str()))
        .set_expected_bucket_owner(request.report.expected_owner.clone())
        .build()
}

fn manifest(object_arn: &str, etag: &str) -> Result<JobManifest, BuildError> {
    let spec = JobManifestSpec::builder()
        .format(JobManifestFormat::S3BatchOperationsCsv20180820)
        .fields(JobManifestFieldName::Bucket)
        .fields(JobManifestFieldName::Key)
        .fields(JobManifestFieldName::VersionId)
        .build()?;
    let location = JobManifestLocation::builder().object_arn(object_arn).e_tag(etag).build()?;
    Ok(JobManifest::builder().spec(spec).location(location).build())
}

fn generator(source: &JobSource) -> Result<JobManifestGenerator, BuildError> {
    let JobSource::Generator { bucket_arn, scope, output } = source else {
        return Err(BuildError::other("not a generator"));
    };
    let statuses: Vec<_> =
        scope.statuses.iter().map(|status| ReplicationStatus::from(status.as_str())).collect();
    let before = scope.created_before.map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
    let prefix = scope
        .prefix
        .as_ref()
        .map(|prefix| KeyNameConstraint::builder().match_any_prefix(prefix).build());
    let filter = JobManifestGeneratorFilter::builder()
        .eligible_for_replication(true)
        .set_object_replication_statuses((!statuses.is_empty()).then_some(statuses))
        .set_created_before(before.map(DateTime::from_millis))
        .set_key_name_constraint(prefix)
        .build();
    let mut generator = S3JobManifestGenerator::builder()
        .source_bucket(bucket_arn)
        .filter(filter)
        .enable_manifest_output(output.is_some());
    if let Some((bucket, prefix)) = output {
        let location = S3ManifestOutputLocation::builder()
            .bucket(bucket)
            .manifest_prefix(prefix)
            .manifest_format("S3InventoryReport_CSV_20211130".into())
            // As all of ours, whatever the bucket's default: the job's role may use no key of KMS.
            .manifest_encryption(
                GeneratedManifestEncryption::builder()
                    .sses3(Sses3Encryption::builder().build())
                    .build(),
            )
            .build()?;
        generator = generator.manifest_output_location(location);
    }
    Ok(JobManifestGenerator::S3JobManifestGenerator(generator.build()?))
}

/// Describes a job; `None` if S3 does not know it.
pub async fn describe(clients: &Clients, id: &str) -> Result<Option<Job>, AwsError> {
    let call = clients.s3control.describe_job().account_id(&clients.account).job_id(id);
    let output = match Box::pin(call.send()).await {
        Ok(output) => output,
        Err(error) => {
            let problem = AwsError::of("DescribeJob", id, &error);
            return if problem.kind == Kind::NotFound { Ok(None) } else { Err(problem) };
        }
    };
    let Some(job) = output.job() else {
        return Ok(None);
    };
    let count = |tasks: Option<i64>| tasks.unwrap_or_default().unsigned_abs();
    let tasks = job.progress_summary().map_or((0, 0, 0), |progress| {
        (
            count(progress.total_number_of_tasks()),
            count(progress.number_of_tasks_succeeded()),
            count(progress.number_of_tasks_failed()),
        )
    });
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let reasons = job.failure_reasons().iter();
    Ok(Some(Job {
        status: job.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        description: job.description().map(str::to_owned),
        tasks,
        created_ms: job.creation_time().and_then(millis).unwrap_or_default(),
        terminated_ms: job.termination_date().and_then(millis),
        failure_reasons: reasons
            .map(|reason| (text(reason.failure_code()), text(reason.failure_reason())))
            .collect(),
        status_update_reason: job.status_update_reason().map(str::to_owned),
        reports_failures_only: job.report().and_then(|report| report.report_scope())
            == Some(&JobReportScope::FailedTasksOnly),
        generated: job.generated_manifest_descriptor().and_then(|made| {
            let location = made.location()?;
            let etag = location.e_tag().trim_matches('"').to_owned();
            Some((location.object_arn().to_owned(), etag))
        }),
    }))
}

fn millis(time: &DateTime) -> Option<u64> {
    u64::try_from(time.to_millis().ok()?).ok()
}

/// The jobs of the account with this description, newest first.
pub async fn find_by_description(
    clients: &Clients,
    description: &str,
) -> Result<Vec<String>, AwsError> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let call = clients.s3control.list_jobs().account_id(&clients.account).max_results(1_000);
        let output = call.set_next_token(token).send().await;
        let output = output.map_err(|error| AwsError::of("ListJobs", description, &error))?;
        for job in output.jobs() {
            if job.description() == Some(description) {
                let created = job.creation_time().and_then(millis).unwrap_or_default();
                found.push((created, job.job_id().unwrap_or_default().to_owned()));
            }
        }
        token = output.next_token().map(str::to_owned);
        if token.is_none() {
            found.sort();
            return Ok(found.into_iter().rev().map(|(_, id)| id).collect());
        }
    }
}

/// Confirms a suspended job (`Ready`) or cancels one (`Cancelled`).
pub async fn update_status(
    clients: &Clients,
    id: &str,
    status: &str,
    why: &str,
) -> Result<(), AwsError> {
    let call = clients.s3control.update_job_status().account_id(&clients.account).job_id(id);
    let call = call.requested_job_status(RequestedJobStatus::from(status));
    let sent = call.status_update_reason(why).send().await;
    sent.map(drop).map_err(|error| AwsError::of("UpdateJobStatus", id, &error))
}
