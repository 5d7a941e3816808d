//! Jobs as XML (S3 API Reference: DescribeJob, ListJobs), each element by the name that the SDKs read.

use super::operation;
use crate::wire::xml::Element;
use crate::world::jobs::request::{EncryptionFilter, Filter, Generator, Manifest, Report, Source};
use crate::world::jobs::{Job, Page, Status};
use crate::world::notification::stamp::iso;
use crate::world::object::{Encryption, Tags};

/// `DescribeJobResult`.
pub(super) fn describe(job: &Job) -> Element {
    let mut told = Element::new("Job")
        .text("JobId", &job.id)
        .text("ConfirmationRequired", job.request.confirmation_required)
        .maybe("Description", job.request.description.as_ref())
        .text("JobArn", &job.arn)
        .text("Status", job.status.name());
    told = match &job.request.source {
        Source::Manifest(it) => told.with(manifest(it)),
        Source::Generator(it) => told.with(Element::new("ManifestGenerator").with(generator(it))),
    };
    told = told
        .with(operation::write(&job.request.operation))
        .text("Priority", job.priority)
        .with(progress(job))
        .maybe("StatusUpdateReason", job.status_update_reason.as_ref());
    if !job.failures.is_empty() {
        told = told.with(failures(job));
    }
    told = told
        .with(report(&job.request.report))
        .text("CreationTime", iso(job.created))
        .maybe("TerminationDate", job.terminated.map(iso))
        .text("RoleArn", &job.request.role)
        .maybe("SuspendedDate", job.suspended.map(iso))
        .maybe(
            "SuspendedCause",
            (job.status == Status::Suspended).then_some("AWAITING_CONFIRMATION"),
        );
    if let Some(generated) = &job.generated {
        let location = Element::new("Location")
            .text("ObjectArn", &generated.object)
            .text("ETag", &generated.etag);
        told = told.with(
            Element::new("GeneratedManifestDescriptor")
                .text("Format", "S3InventoryReport_CSV_20211130")
                .with(location),
        );
    }
    Element::new("DescribeJobResult").with(told)
}

/// `ListJobsResult`.
pub(super) fn list(page: &Page<'_>) -> Element {
    let mut jobs = Element::new("Jobs");
    for job in &page.jobs {
        jobs = jobs.with(
            Element::new("member")
                .text("JobId", &job.id)
                .maybe("Description", job.request.description.as_ref())
                .text("Operation", job.request.operation.name())
                .text("Priority", job.priority)
                .text("Status", job.status.name())
                .text("CreationTime", iso(job.created))
                .maybe("TerminationDate", job.terminated.map(iso))
                .with(progress(job)),
        );
    }
    Element::new("ListJobsResult").maybe("NextToken", page.next.as_ref()).with(jobs)
}

/// `GetJobTaggingResult`.
pub(super) fn tags(tags: &Tags) -> Element {
    let list = tags.iter().fold(Element::new("Tags"), |list, (key, value)| {
        list.with(Element::new("member").text("Key", key).text("Value", value))
    });
    Element::new("GetJobTaggingResult").with(list)
}

fn progress(job: &Job) -> Element {
    Element::new("ProgressSummary")
        .text("TotalNumberOfTasks", job.total)
        .text("NumberOfTasksSucceeded", job.succeeded)
        .text("NumberOfTasksFailed", job.failed)
        .with(Element::new("Timers").text("ElapsedTimeInActiveSeconds", job.active_ms / 1_000))
}

fn failures(job: &Job) -> Element {
    job.failures.iter().fold(Element::new("FailureReasons"), |list, failure| {
        list.with(
            Element::new("member")
                .text("FailureCode", failure.code)
                .text("FailureReason", &failure.reason),
        )
    })
}

fn report(report: &Report) -> Element {
    Element::new("Report")
        .maybe("Bucket", report.bucket.as_ref())
        .maybe("Format", report.format.as_ref())
        .text("Enabled", report.enabled)
        .maybe("Prefix", report.prefix.as_ref())
        .maybe("ReportScope", report.scope.as_ref())
        .maybe("ExpectedBucketOwner", report.expected_owner.as_ref())
}

fn manifest(manifest: &Manifest) -> Element {
    let spec =
        Element::new("Spec").text("Format", &manifest.format).list("Fields", &manifest.fields);
    let location = Element::new("Location")
        .text("ObjectArn", &manifest.object)
        .maybe("ObjectVersionId", manifest.version_id.as_ref())
        .text("ETag", &manifest.etag);
    Element::new("Manifest").with(spec).with(location)
}

fn generator(generator: &Generator) -> Element {
    let mut told = Element::new("S3JobManifestGenerator")
        .maybe("ExpectedBucketOwner", generator.expected_owner.as_ref())
        .text("SourceBucket", &generator.bucket);
    if let Some(output) = &generator.output {
        let mut place = Element::new("ManifestOutputLocation")
            .maybe("ExpectedManifestBucketOwner", output.expected_owner.as_ref())
            .text("Bucket", &output.bucket)
            .maybe("ManifestPrefix", output.prefix.as_ref());
        let encryption = output.encryption.as_ref().map(|encryption| match encryption {
            Encryption::Kms { key, .. } => Element::new("SSE-KMS").text("KeyId", key),
            _ => Element::new("SSE-S3"),
        });
        if let Some(encryption) = encryption {
            place = place.with(Element::new("ManifestEncryption").with(encryption));
        }
        told = told.with(place.text("ManifestFormat", &output.format));
    }
    told.with(filter(&generator.filter)).text("EnableManifestOutput", generator.keep)
}

fn filter(filter: &Filter) -> Element {
    let mut told = Element::new("Filter")
        .maybe("EligibleForReplication", filter.eligible)
        .maybe("CreatedAfter", filter.created_after.map(iso))
        .maybe("CreatedBefore", filter.created_before.map(iso))
        .list("ObjectReplicationStatuses", &filter.statuses);
    let names = Element::new("KeyNameConstraint")
        .list("MatchAnyPrefix", &filter.prefixes)
        .list("MatchAnySuffix", &filter.suffixes)
        .list("MatchAnySubstring", &filter.substrings);
    if !names.children.is_empty() {
        told = told.with(names);
    }
    told.maybe("ObjectSizeGreaterThanBytes", filter.larger_than)
        .maybe("ObjectSizeLessThanBytes", filter.smaller_than)
        .list("MatchAnyStorageClass", &filter.storage_classes)
        .all(encryptions(&filter.encryptions))
}

fn encryptions(filters: &[EncryptionFilter]) -> Option<Element> {
    let one = |filter: &EncryptionFilter| match filter {
        EncryptionFilter::S3 => Element::new("SSE-S3"),
        EncryptionFilter::Kms { key, bucket_key } => Element::new("SSE-KMS")
            .maybe("KmsKeyArn", key.as_ref())
            .maybe("BucketKeyEnabled", *bucket_key),
        EncryptionFilter::DualKms { key } => {
            Element::new("DSSE-KMS").maybe("KmsKeyArn", key.as_ref())
        }
        EncryptionFilter::Customer => Element::new("SSE-C"),
        EncryptionFilter::None => Element::new("NOT-SSE"),
    };
    let list = filters.iter().fold(Element::new("MatchAnyObjectEncryption"), |list, filter| {
        list.with(Element::new("ObjectEncryption").with(one(filter)))
    });
    (!filters.is_empty()).then_some(list)
}
