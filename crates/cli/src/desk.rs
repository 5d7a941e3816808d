//! The operator's desk: the stack as its state bucket shows it, from an account's usual environment, and
//! the one way in which a person changes a ledger's head: the whole of it, if nobody else has meanwhile.

use std::collections::BTreeSet;

use resilver_aws::store::Loaded;
use resilver_aws::{AwsError, Clients, LineReader, Settings, Store, Swapped, buckets, wall_clock};
use resilver_heal::enrolment::{ENROLLED_FORMAT, Enrolled, Installed};
use resilver_heal::entry::Entry;
use resilver_heal::key::Bucket;
use resilver_heal::ledger::{HEAD_FORMAT, Head, RunRef};
use resilver_heal::run::decode_page;
use resilver_heal::state::{StateKey, StatePrefix, bucket_of};
use resilver_heal::time::Timestamp;

use crate::app::{AppError, STACK};
use crate::args::PlaceArgs;
use crate::error::{CliError, Exit};
use crate::words;

/// Who wrote a head, where it was a person. No launch has such an id.
const WRITER: &str = "person";
/// How often a swap that was lost to a launch is tried again.
const TRIES: usize = 10;

/// A stack, and whoever looks at it.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Clients of its account and Region.
    pub clients: Clients,
    /// Its state bucket.
    pub store: Store,
    /// Its name.
    pub stack: String,
    /// When this is.
    pub now: Timestamp,
}

impl Desk {
    /// The desk of a stack.
    pub fn new(clients: &Clients, stack: &str, now: Timestamp) -> Self {
        let state = state_bucket(stack, &clients.account, &buckets::own_region(clients));
        let store = Store::new(clients.clone(), state);
        Self { clients: clients.clone(), store, stack: stack.to_owned(), now }
    }

    /// Finds the stack that the arguments and the environment name.
    ///
    /// # Errors
    /// Nobody says who calls, or in which Region.
    pub async fn find(place: &PlaceArgs) -> Result<Self, CliError> {
        let mut settings = Settings::from_env();
        let clients = match settings.optional("RESILVER_ACCOUNT") {
            Some(account) => Clients::from_env(account).await,
            None => Clients::of_caller().await?,
        };
        if buckets::own_region(&clients).is_empty() {
            let next = "set AWS_REGION to the stack's Region";
            return Err(CliError::usage("no Region is set", next));
        }
        let stack = place.stack.clone().or_else(|| settings.optional("RESILVER_STACK"));
        let stack = stack.unwrap_or_else(|| STACK.to_owned());
        let mut desk = Self::new(&clients, &stack, wall_clock());
        let named = place.state_bucket.as_ref().map(|bucket| bucket.as_str().to_owned());
        if let Some(named) = named.or_else(|| settings.optional("RESILVER_STATE_BUCKET")) {
            desk.store.bucket = named;
        }
        Ok(desk)
    }

    /// Finds the stack, and sees that its state bucket answers.
    ///
    /// # Errors
    /// There is no such stack, or it may not be read.
    pub async fn open(place: &PlaceArgs) -> Result<Self, CliError> {
        let desk = Self::find(place).await?;
        desk.answers().await?;
        Ok(desk)
    }

    /// Whether the state bucket is there and may be listed.
    ///
    /// # Errors
    /// It is not.
    pub async fn answers(&self) -> Result<(), CliError> {
        let listed = self.store.list(&StatePrefix::AllEnrolled.to_string(), 1).await;
        listed.map(drop).map_err(|problem| match problem.code.as_deref() {
            Some("NoSuchBucket") => {
                let message = format!("there is no state bucket {}", self.store.bucket);
                let next = format!(
                    "deploy the stack {}, or give its name by --stack or its bucket by --state-bucket, and see that account and Region are the stack's",
                    self.stack
                );
                CliError::missing("no-stack", message, next)
            }
            _ => problem.into(),
        })
    }

    /// When the stack was deleted, if it was and is not deployed again.
    ///
    /// # Errors
    /// The state bucket does not answer.
    pub async fn deleted(&self) -> Result<Option<Timestamp>, AwsError> {
        let key = StateKey::Enrolment.to_string();
        let found = self.store.get_json::<Installed>(&key).await?;
        Ok(found.filter(|found| !found.value.installed).map(|found| found.value.at))
    }

    /// Whether anything runs that would take notice.
    pub(crate) async fn runs(&self) -> Result<(), CliError> {
        let Some(at) = self.deleted().await? else { return Ok(()) };
        let message = format!(
            "the stack {} was deleted {}: nothing runs any more",
            self.stack,
            words::at(at)
        );
        Err(CliError::found("deleted", message, "deploy it again"))
    }

    /// The buckets that the stack knows: enrolled, to be enrolled, or with a ledger.
    ///
    /// # Errors
    /// The state bucket does not answer.
    pub async fn known(&self) -> Result<BTreeSet<Bucket>, AwsError> {
        let ledgers = self.store.list_prefixes(&StatePrefix::AllLedgers.to_string()).await?;
        let mut known: BTreeSet<Bucket> = ledgers.iter().filter_map(|it| bucket_of(it)).collect();
        for prefix in [StatePrefix::AllEnrolled, StatePrefix::AllUnenrolled] {
            let listed = self.store.list(&prefix.to_string(), usize::MAX).await?;
            known.extend(listed.iter().filter_map(|object| bucket_of(&object.key)));
        }
        Ok(known)
    }

    /// What is remembered of a bucket that is enrolled.
    ///
    /// # Errors
    /// A later release wrote it, or the state bucket does not answer.
    pub async fn enrolled(&self, bucket: &Bucket) -> Result<Option<Enrolled>, CliError> {
        let key = StateKey::Enrolled(bucket).to_string();
        let found = self.store.get_json::<Enrolled>(&key).await?.map(|loaded| loaded.value);
        match found {
            Some(found) if found.format > ENROLLED_FORMAT => Err(newer(&key, found.format)),
            found => Ok(found),
        }
    }

    /// The bucket has to be enrolled.
    pub(crate) async fn is_enrolled(&self, bucket: &Bucket) -> Result<(), CliError> {
        if self.enrolled(bucket).await?.is_some() {
            return Ok(());
        }
        self.is_there(bucket).await?;
        let message = format!("s3://{bucket} is not enrolled in the stack {}", self.stack);
        let next = format!("type: resilver enroll s3://{bucket}");
        Err(CliError::found("not-enrolled", message, next))
    }

    /// There has to be such a bucket.
    pub(crate) async fn is_there(&self, bucket: &Bucket) -> Result<(), CliError> {
        match buckets::region(&self.clients, bucket.as_str()).await? {
            Some(_) => Ok(()),
            None => Err(no_bucket(bucket)),
        }
    }

    /// The head of a bucket's ledger, if it has one.
    ///
    /// # Errors
    /// A later release wrote it, or the state bucket does not answer.
    pub async fn head(&self, bucket: &Bucket) -> Result<Option<Loaded<Head>>, CliError> {
        let key = StateKey::Head(bucket).to_string();
        match self.store.get_json::<Head>(&key).await? {
            Some(found) if found.value.format > HEAD_FORMAT => Err(newer(&key, found.value.format)),
            found => Ok(found),
        }
    }

    /// Changes the head of a bucket's ledger, or makes one, if that changes it. Somebody else may change
    /// it meanwhile; then it is done again to what that left.
    ///
    /// # Errors
    /// The state bucket does not answer, or others change it every time.
    pub async fn edit<R>(
        &self,
        bucket: &Bucket,
        edit: impl Fn(&mut Head) -> R,
    ) -> Result<R, CliError> {
        let key = StateKey::Head(bucket).to_string();
        for _ in 0..TRIES {
            let found = self.head(bucket).await?;
            // Not our clock: a head's time never goes back, and ours may be wrong.
            let none = || Head::new(bucket.clone(), Timestamp::default());
            let before = found.as_ref().map_or_else(none, |found| found.value.clone());
            let mut next = before.clone();
            let done = edit(&mut next);
            if next == before {
                return Ok(done);
            }
            next.generation += 1;
            next.writer = WRITER.to_owned();
            let etag = found.as_ref().map(|found| found.etag.as_str());
            if let Swapped::Won { .. } = self.store.swap_json(&key, &next, etag).await? {
                return Ok(done);
            }
        }
        let message = format!("{key} was changed by others at each of {TRIES} tries");
        Err(CliError {
            exit: Exit::Unknown,
            ..CliError::found("contended", message, "run it again")
        })
    }
}

/// The state bucket's name, as the template makes it.
pub fn state_bucket(stack: &str, account: &str, region: &str) -> String {
    format!("{stack}-{account}-{region}")
}

/// The ARN of the queue of failures, as the template names it (IAM User Guide: reference-arns).
pub fn queue_arn(stack: &str, account: &str, region: &str) -> String {
    let partition = match region {
        china if china.starts_with("cn-") => "aws-cn",
        government if government.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:sqs:{region}:{account}:{stack}-failures")
}

/// Every entry of a run, in order.
///
/// # Errors
/// It cannot be read, or is not there any more.
pub async fn entries(
    store: &Store,
    run: &RunRef,
    mut each: impl FnMut(Entry),
) -> Result<(), AppError> {
    let mut reader = LineReader::new(store.clone(), run.key.clone());
    while let Some(page) = reader.next().await? {
        decode_page(&page, Entry::decode)?.into_iter().for_each(&mut each);
    }
    Ok(())
}

pub(crate) fn no_bucket(bucket: &Bucket) -> CliError {
    let next = "correct its name, or see that account and Region are the bucket's";
    CliError::missing("no-such-bucket", format!("there is no bucket {bucket}"), next)
}

fn newer(key: &str, format: u32) -> CliError {
    let message = format!("{key} has format {format}, which this release does not know");
    let next = "use the resilver of the release that is deployed";
    CliError { exit: Exit::Unknown, ..CliError::found("format", message, next) }
}
