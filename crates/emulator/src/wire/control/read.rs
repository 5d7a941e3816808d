//! A `CreateJobRequest` as the world's request. What the emulator does not do is refused by name, so that
//! nobody takes silence for support.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::operation;
use crate::wire::xml::Element;
use crate::world::jobs::request::{
    EncryptionFilter, Filter, Generator, Manifest, Output, Report, Request, Source,
};
use crate::world::object::Encryption;
use crate::world::{Answer, Millis, Refusal};

/// The request in the body of a `CreateJob`.
///
/// # Errors
/// 400 `BadRequestException` for what cannot be read, 501 `NotImplemented` for what is not emulated.
pub(super) fn create_job(body: &str) -> Answer<Request> {
    let root = Element::parse(body)
        .filter(|root| root.name == "CreateJobRequest")
        .ok_or_else(|| bad("The body is no CreateJobRequest"))?;
    let odd = |it: char| it.is_control() && !matches!(it, '\t' | '\n' | '\r');
    if root.any(&|text| text.contains(odd)) {
        return Err(bad("The request holds control characters"));
    }
    let operation = root.child("Operation").map_or(&[][..], |it| it.children.as_slice());
    let operation = match operation {
        [one] => operation::read(one)?,
        _ => return Err(bad("Exactly one Operation must be given")),
    };
    let source = match (root.child("Manifest"), root.child("ManifestGenerator")) {
        (Some(manifest), None) => Source::Manifest(read_manifest(manifest)?),
        (None, Some(generator)) => Source::Generator(Box::new(read_generator(generator)?)),
        _ => {
            return Err(bad("Exactly one of Manifest and ManifestGenerator must be given"));
        }
    };
    let report = root.child("Report").ok_or_else(|| bad("Report must be given"))?;
    let priority: i64 = number(&root, "Priority")?.ok_or_else(|| bad("Priority must be given"))?;
    Ok(Request {
        operation,
        // Omitted means true: only the CLI and the console ask.
        confirmation_required: flag(&root, "ConfirmationRequired")?.unwrap_or(true),
        report: read_report(report)?,
        token: root.text_of("ClientRequestToken").unwrap_or_default(),
        source,
        description: root.text_of("Description"),
        priority: i32::try_from(priority).map_err(|_| bad("Priority is too large"))?,
        role: root.text_of("RoleArn").unwrap_or_default(),
        tags: read_tags(&root)?,
    })
}

/// The tags in a `Tags` list.
pub(super) fn read_tags(parent: &Element) -> Answer<Vec<(String, String)>> {
    let members = parent.child("Tags").map_or(&[][..], |list| list.children.as_slice());
    let read = |tag: &Element| {
        let halves = tag.text_of("Key").zip(tag.text_of("Value"));
        halves.ok_or_else(|| bad("A tag has a Key and a Value"))
    };
    members.iter().map(read).collect()
}

fn read_report(report: &Element) -> Answer<Report> {
    Ok(Report {
        enabled: flag(report, "Enabled")?.ok_or_else(|| bad("Report.Enabled must be given"))?,
        bucket: report.text_of("Bucket"),
        format: report.text_of("Format"),
        prefix: report.text_of("Prefix"),
        scope: report.text_of("ReportScope"),
        expected_owner: report.text_of("ExpectedBucketOwner"),
    })
}

fn read_manifest(manifest: &Element) -> Answer<Manifest> {
    let spec = manifest.child("Spec").ok_or_else(|| bad("Manifest.Spec must be given"))?;
    let location =
        manifest.child("Location").ok_or_else(|| bad("Manifest.Location must be given"))?;
    Ok(Manifest {
        format: spec.text_of("Format").unwrap_or_default(),
        fields: spec.members_of("Fields"),
        object: location.text_of("ObjectArn").unwrap_or_default(),
        version_id: location.text_of("ObjectVersionId"),
        etag: location.text_of("ETag").unwrap_or_default(),
    })
}

fn read_generator(generator: &Element) -> Answer<Generator> {
    let generator = generator
        .child("S3JobManifestGenerator")
        .ok_or_else(|| bad("S3JobManifestGenerator must be given"))?;
    let filter = generator.child("Filter").map(read_filter).transpose()?;
    Ok(Generator {
        expected_owner: generator.text_of("ExpectedBucketOwner"),
        bucket: generator.text_of("SourceBucket").unwrap_or_default(),
        output: generator.child("ManifestOutputLocation").map(read_output).transpose()?,
        filter: filter.unwrap_or_default(),
        keep: flag(generator, "EnableManifestOutput")?
            .ok_or_else(|| bad("EnableManifestOutput must be given"))?,
    })
}

fn read_output(output: &Element) -> Answer<Output> {
    let encryption = output.child("ManifestEncryption").map(|asked| {
        let Some(kms) = asked.child("SSE-KMS") else { return Ok(Encryption::S3) };
        let key = kms.text_of("KeyId").ok_or_else(|| bad("SSE-KMS needs KeyId"))?;
        Ok(Encryption::Kms { key, dual: false, bucket_key: false })
    });
    Ok(Output {
        encryption: encryption.transpose()?,
        expected_owner: output.text_of("ExpectedManifestBucketOwner"),
        bucket: output.text_of("Bucket").unwrap_or_default(),
        prefix: output.text_of("ManifestPrefix"),
        format: output.text_of("ManifestFormat").unwrap_or_default(),
    })
}

fn read_filter(filter: &Element) -> Answer<Filter> {
    let encryptions = filter.child("MatchAnyObjectEncryption");
    if encryptions.is_some_and(|list| list.children.is_empty()) {
        return Err(bad("MatchAnyObjectEncryption has one member"));
    }
    let encryptions = encryptions.map_or(&[][..], |list| list.children.as_slice());
    let empty = Element::default();
    let names = filter.child("KeyNameConstraint").unwrap_or(&empty);
    Ok(Filter {
        eligible: flag(filter, "EligibleForReplication")?,
        statuses: filter.members_of("ObjectReplicationStatuses"),
        created_after: moment(filter, "CreatedAfter")?,
        created_before: moment(filter, "CreatedBefore")?,
        prefixes: names.members_of("MatchAnyPrefix"),
        suffixes: names.members_of("MatchAnySuffix"),
        substrings: names.members_of("MatchAnySubstring"),
        larger_than: number(filter, "ObjectSizeGreaterThanBytes")?,
        smaller_than: number(filter, "ObjectSizeLessThanBytes")?,
        storage_classes: filter.members_of("MatchAnyStorageClass"),
        encryptions: encryptions.iter().map(read_encryption).collect::<Answer<_>>()?,
    })
}

fn read_encryption(member: &Element) -> Answer<EncryptionFilter> {
    let one = member.children.first().ok_or_else(|| bad("An encryption filter is empty"))?;
    Ok(match one.name.as_str() {
        "SSE-S3" => EncryptionFilter::S3,
        "SSE-KMS" => EncryptionFilter::Kms {
            key: one.text_of("KmsKeyArn"),
            bucket_key: flag(one, "BucketKeyEnabled")?,
        },
        "DSSE-KMS" => EncryptionFilter::DualKms { key: one.text_of("KmsKeyArn") },
        "SSE-C" => EncryptionFilter::Customer,
        "NOT-SSE" => EncryptionFilter::None,
        other => return Err(bad(&format!("{other} is no encryption to filter by"))),
    })
}

pub(super) fn flag(parent: &Element, name: &str) -> Answer<Option<bool>> {
    match parent.text_of(name).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(bad(&format!("{name} must be true or false"))),
    }
}

pub(super) fn number<T: std::str::FromStr>(parent: &Element, name: &str) -> Answer<Option<T>> {
    let text = parent.text_of(name);
    text.map(|text| text.parse().map_err(|_| bad(&format!("{name} must be a number")))).transpose()
}

pub(super) fn moment(parent: &Element, name: &str) -> Answer<Option<Millis>> {
    let read = |text: String| {
        let at = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
        Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
    };
    let wrong = || bad(&format!("{name} must be a timestamp"));
    parent.text_of(name).map(|text| read(text).ok_or_else(wrong)).transpose()
}

pub(super) fn bad(message: &str) -> Refusal {
    Refusal::new(400, "BadRequestException", message)
}

pub(super) fn missing(what: &str) -> Refusal {
    Refusal::new(501, "NotImplemented", format!("this emulator does not do {what}"))
}
