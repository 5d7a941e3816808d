//! What a client asks for when it creates a job, as data, and what `CreateJob` refuses at once (S3 API
//! Reference: CreateJob). What it does not refuse at once (an unreadable manifest, a role that is not
//! there, a report bucket that is not there) fails the job minutes later.

use super::operation::Operation;
use crate::world::object::Encryption;
use crate::world::{Answer, Millis, Refusal};

/// The whole of a `CreateJob` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `Operation`.
    pub operation: Operation,
    /// `ConfirmationRequired`: the job waits in Suspended.
    pub confirmation_required: bool,
    /// `Report`.
    pub report: Report,
    /// `ClientRequestToken`.
    pub token: String,
    /// `Manifest` or `ManifestGenerator`.
    pub source: Source,
    /// `Description`.
    pub description: Option<String>,
    /// `Priority`: higher first.
    pub priority: i32,
    /// `RoleArn`.
    pub role: String,
    /// Tags of the job.
    pub tags: Vec<(String, String)>,
}

/// `Report`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether one is written at all.
    pub enabled: bool,
    /// The bucket's ARN.
    pub bucket: Option<String>,
    /// `Report_CSV_20180820`.
    pub format: Option<String>,
    /// Without a slash at its end.
    pub prefix: Option<String>,
    /// `AllTasks` or `FailedTasksOnly`.
    pub scope: Option<String>,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
}

impl Report {
    /// The report bucket's name, where a report is wanted.
    pub fn bucket_name(&self) -> Option<&str> {
        self.bucket.as_deref().filter(|_| self.enabled).and_then(bucket_of)
    }

    /// Whether succeeded tasks are left out.
    pub fn failed_only(&self) -> bool {
        self.scope.as_deref() == Some("FailedTasksOnly")
    }
}

/// Where the rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An object that lists them.
    Manifest(Manifest),
    /// S3 lists them itself.
    Generator(Box<Generator>),
}

/// `Manifest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `S3BatchOperations_CSV_20180820` or `S3InventoryReport_CSV_20161130`.
    pub format: String,
    /// `Fields`, for the first of the two formats.
    pub fields: Vec<String>,
    /// The object's ARN.
    pub object: String,
    /// Its version id.
    pub version_id: Option<String>,
    /// Its ETag, quoted or not.
    pub etag: String,
}

/// `S3JobManifestGenerator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    /// The account that must own the source bucket.
    pub expected_owner: Option<String>,
    /// The source bucket's ARN.
    pub bucket: String,
    /// `ManifestOutputLocation`.
    pub output: Option<Output>,
    /// Which versions.
    pub filter: Filter,
    /// `EnableManifestOutput`: the list is kept.
    pub keep: bool,
}

/// `ManifestOutputLocation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
    /// The bucket's ARN.
    pub bucket: String,
    /// `ManifestPrefix`.
    pub prefix: Option<String>,
    /// `S3InventoryReport_CSV_20211130`.
    pub format: String,
    /// `ManifestEncryption`. The S3 API Reference names no default: `None` is the bucket's.
    pub encryption: Option<Encryption>,
}

/// `Filter` of a generator. An absent member filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what the replication configuration wants.
    pub eligible: Option<bool>,
    /// `NONE`, `FAILED`, `COMPLETED`, `REPLICA`.
    pub statuses: Vec<String>,
    /// Written after this.
    pub created_after: Option<Millis>,
    /// Written before this.
    pub created_before: Option<Millis>,
    /// `KeyNameConstraint.MatchAnyPrefix`.
    pub prefixes: Vec<String>,
    /// `KeyNameConstraint.MatchAnySuffix`.
    pub suffixes: Vec<String>,
    /// `KeyNameConstraint.MatchAnySubstring`.
    pub substrings: Vec<String>,
    /// More bytes than this.
    pub larger_than: Option<u64>,
    /// Fewer bytes than this.
    pub smaller_than: Option<u64>,
    /// `MatchAnyStorageClass`.
    pub storage_classes: Vec<String>,
    /// `MatchAnyObjectEncryption`.
    pub encryptions: Vec<EncryptionFilter>,
}

/// One member of `MatchAnyObjectEncryption`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncryptionFilter {
    /// `SSE-S3`.
    S3,
    /// `SSE-KMS`.
    Kms {
        /// Only under this key.
        key: Option<String>,
        /// Only with, or only without, an S3 Bucket Key.
        bucket_key: Option<bool>,
    },
    /// `DSSE-KMS`.
    DualKms {
        /// Only under this key.
        key: Option<String>,
    },
    /// `SSE-C`.
    Customer,
    /// `NOT-SSE`: what S3 has stored since 2023 is always encrypted.
    None,
}

/// The storage classes that a job may name (S3 API Reference: S3StorageClass).
const STORAGE_CLASSES: [&str; 7] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "GLACIER",
    "INTELLIGENT_TIERING",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// The name in the ARN of a bucket.
pub(crate) fn bucket_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:s3:::").filter(|name| !name.is_empty() && !name.contains('/'))
}

/// The bucket and the key in the ARN of an object.
pub(crate) fn object_of(arn: &str) -> Option<(&str, &str)> {
    arn.strip_prefix("arn:aws:s3:::")?
        .split_once('/')
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
}

/// Whether S3 takes the request. The limits are those of the S3 API Reference.
///
/// # Errors
/// 400 `BadRequestException` with the first member that is wrong.
pub(super) fn check(request: &Request) -> Answer<()> {
    ensure(is_within(&request.token, 64), "ClientRequestToken must have 1 to 64 characters")?;
    ensure(fits(&request.description, 256), "Description must have 1 to 256 characters")?;
    ensure(request.priority >= 0, "Priority must be a number from 0 to 2147483647")?;
    ensure(is_role(&request.role), "RoleArn must be the ARN of a role")?;
    ensure(request.tags.len() <= 50, "A job has at most 50 tags")?;
    check_tags(&request.tags)?;
    check_operation(&request.operation)?;
    check_report(&request.report)?;
    match &request.source {
        Source::Manifest(manifest) => check_manifest(manifest),
        Source::Generator(generator) => check_generator(generator),
    }
}

/// At least one character, and at most so many.
fn is_within(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count())
}

/// [`is_within`], or not given at all.
fn fits(text: &Option<String>, most: usize) -> bool {
    text.as_ref().is_none_or(|text| is_within(text, most))
}

/// Whether each tag of a job is one, and none has the key of another (S3 API Reference: S3Tag).
///
/// # Errors
/// 400 `BadRequestException`.
pub(super) fn check_tags(tags: &[(String, String)]) -> Answer<()> {
    let plain = |text: &str| {
        text.chars().all(|it| it.is_alphanumeric() || it == ' ' || "_.:/=+-@".contains(it))
    };
    for (at, (key, value)) in tags.iter().enumerate() {
        ensure(is_within(key, 128), "The key of a tag has 1 to 128 characters")?;
        ensure(value.chars().count() <= 256, "The value of a tag has up to 256 characters")?;
        let letters = "A tag has letters, digits, spaces and _.:/=+-@ only";
        ensure(plain(key) && plain(value), letters)?;
        ensure(!key.starts_with("aws:"), "The key of a tag must not begin with aws:")?;
        let others = tags.iter().take(at);
        ensure(others.into_iter().all(|(other, _)| other != key), "A tag is given twice")?;
    }
    Ok(())
}

/// 12 digits, or not given at all.
fn check_owner(owner: &Option<String>) -> Answer<()> {
    let is_account = |id: &String| id.len() == 12 && id.bytes().all(|it| it.is_ascii_digit());
    ensure(owner.as_ref().is_none_or(is_account), "An expected bucket owner has 12 digits")
}

fn check_operation(operation: &Operation) -> Answer<()> {
    match operation {
        Operation::Replicate => Ok(()),
        Operation::Copy(spec) => {
            ensure(
                bucket_of(&spec.target).is_some(),
                "S3PutObjectCopy.TargetResource must be the ARN of a bucket",
            )?;
            let class = spec.storage_class.as_deref().unwrap_or("STANDARD");
            ensure(STORAGE_CLASSES.contains(&class), "S3PutObjectCopy.StorageClass is not known")
        }
        Operation::Restore(spec) => {
            let tier = spec.tier.as_deref().unwrap_or("STANDARD");
            ensure(
                matches!(tier, "STANDARD" | "BULK"),
                "S3InitiateRestoreObject.GlacierJobTier must be STANDARD or BULK",
            )?;
            ensure(
                spec.days.is_none_or(|days| days >= 0),
                "S3InitiateRestoreObject.ExpirationInDays must not be negative",
            )
        }
    }
}

fn check_report(report: &Report) -> Answer<()> {
    check_owner(&report.expected_owner)?;
    ensure(fits(&report.prefix, 512), "Report.Prefix must have 1 to 512 characters")?;
    if !report.enabled {
        return Ok(());
    }
    let bucket = report.bucket.as_deref().and_then(bucket_of);
    ensure(bucket.is_some_and(is_bucket), "Report.Bucket must be the ARN of a bucket")?;
    ensure(
        report.format.as_deref() == Some("Report_CSV_20180820"),
        "Report.Format must be Report_CSV_20180820",
    )?;
    let scope = report.scope.as_deref();
    ensure(
        matches!(scope, Some("AllTasks" | "FailedTasksOnly")),
        "Report.ReportScope must be AllTasks or FailedTasksOnly",
    )
}

/// Whether this can be the name of a bucket (S3 User Guide: bucket naming rules, those of old included).
fn is_bucket(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(fits)
}

fn check_manifest(manifest: &Manifest) -> Answer<()> {
    let fields = manifest.fields.iter();
    match manifest.format.as_str() {
        "S3BatchOperations_CSV_20180820" => {
            let named = ["Bucket", "Key", "VersionId"];
            ensure(
                fields.clone().all(|it| named.contains(&it.as_str()) || it == "Ignore"),
                "Manifest.Spec.Fields may be Bucket, Key, VersionId and Ignore",
            )?;
            let once = |name: &&str| fields.clone().filter(|it| it == name).count() <= 1;
            ensure(named.iter().all(once), "Manifest.Spec.Fields names a field twice")?;
        }
        "S3InventoryReport_CSV_20161130" => {
            ensure(
                manifest.fields.is_empty(),
                "Manifest.Spec.Fields must not be given with an inventory report",
            )?;
        }
        _ => return ensure(false, "Manifest.Spec.Format is not supported"),
    }
    ensure(
        object_of(&manifest.object).is_some(),
        "Manifest.Location.ObjectArn must be the ARN of an object",
    )?;
    ensure(is_within(&manifest.object, 2_000), "Manifest.Location.ObjectArn is too long")?;
    ensure(
        fits(&manifest.version_id, 2_000),
        "Manifest.Location.ObjectVersionId must have 1 to 2000 characters",
    )?;
    ensure(is_within(&manifest.etag, 1_024), "Manifest.Location.ETag must be given")
}

fn check_generator(generator: &Generator) -> Answer<()> {
    ensure(bucket_of(&generator.bucket).is_some(), "SourceBucket must be the ARN of a bucket")?;
    let filter = &generator.filter;
    check_owner(&generator.expected_owner)?;
    for list in [&filter.prefixes, &filter.suffixes, &filter.substrings] {
        ensure(list.len() <= 1, "A list of KeyNameConstraint has one member")?;
        let short = list.iter().all(|it| is_within(it, 1_024));
        ensure(short, "A member of KeyNameConstraint must have 1 to 1024 characters")?;
    }
    let known =
        |status: &String| ["NONE", "FAILED", "COMPLETED", "REPLICA"].contains(&status.as_str());
    ensure(
        filter.statuses.iter().all(known),
        "ObjectReplicationStatuses may be NONE, FAILED, COMPLETED and REPLICA",
    )?;
    ensure(
        filter.storage_classes.iter().all(|class| STORAGE_CLASSES.contains(&class.as_str())),
        "MatchAnyStorageClass names a storage class that is not known",
    )?;
    ensure(filter.encryptions.len() <= 1, "MatchAnyObjectEncryption has one member")?;
    for encryption in &filter.encryptions {
        let (EncryptionFilter::Kms { key: Some(key), .. }
        | EncryptionFilter::DualKms { key: Some(key) }) = encryption
        else {
            continue;
        };
        let is_key = key.starts_with("arn:aws") && key.contains(":kms:") && key.contains(":key/");
        ensure(is_key, "KmsKeyArn must be the ARN of a key, and no alias")?;
    }
    match &generator.output {
        Some(output) => {
            check_owner(&output.expected_owner)?;
            ensure(
                bucket_of(&output.bucket).is_some(),
                "ManifestOutputLocation.Bucket must be the ARN of a bucket",
            )?;
            ensure(
                output.format == "S3InventoryReport_CSV_20211130",
                "ManifestFormat must be S3InventoryReport_CSV_20211130",
            )?;
            let fits = output.prefix.as_ref().is_none_or(|it| (1..=512).contains(&it.len()));
            ensure(fits, "ManifestPrefix must have 1 to 512 characters")
        }
        None => ensure(
            !generator.keep,
            "ManifestOutputLocation must be given with EnableManifestOutput",
        ),
    }
}

/// `arn:aws[^:]*:iam::\d{12}:role/.*`
pub(crate) fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    arn.len() <= 2_048
        && next() == "arn"
        && next().starts_with("aws")
        && next() == "iam"
        && next().is_empty()
        && matches!(next(), account if account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit()))
        && next().strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

fn ensure(fits: bool, message: &str) -> Answer<()> {
    if fits { Ok(()) } else { Err(Refusal::new(400, "BadRequestException", message)) }
}
