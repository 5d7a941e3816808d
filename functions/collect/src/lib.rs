//! `collect`: turns a batch of S3 failure events from the queue into segments, one a bucket. It only
//! appends: a batch delivered again writes the same objects, or rows that change nothing when folded.
//!
//! What cannot be read is kept byte for byte under `rejects/`, told once, and acknowledged: delivered
//! again it would be as unreadable. What cannot be *stored* goes back to the queue.

use bytes::Bytes;
use resilver_aws::{AwsError, Clients, Settings, Store, Woken};
use resilver_heal::failure::{Reject, read_message};
use resilver_heal::key::Bucket;
use resilver_heal::notice::{Notice, NoticeFact};
use resilver_heal::segment::{Gathering, Segment};
use resilver_heal::state::StateKey;
use resilver_heal::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{error, info};

/// What the function is given at its cold start.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The state bucket.
    pub store: Store,
}

impl Ctx {
    /// Reads the function's settings.
    pub fn new(clients: Clients, settings: &mut Settings) -> Self {
        Self { store: Store::new(clients, settings.required("RESILVER_STATE_BUCKET")) }
    }
}

/// A batch of messages, as Lambda hands it over (Lambda Developer Guide: services-sqs-parameters).
#[derive(Debug, Clone, Deserialize)]
pub struct Batch {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<Message>,
}

/// One message of a batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its id: named in the answer if it has to come again.
    pub message_id: String,
    /// Its body: an S3 notification, bare or wrapped by SNS.
    #[serde(default)]
    pub body: String,
    /// What the queue knows of it.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What the queue knows of a message.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Attributes {
    /// When it was sent, in milliseconds since the epoch; the same whenever it is delivered.
    #[serde(default, rename = "SentTimestamp")]
    pub sent: String,
}

/// Lambda's `ReportBatchItemFailures` answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The messages that have to come again.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// One message that has to come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Its id.
    pub item_identifier: String,
}

/// Collects one batch.
pub async fn handle(ctx: &Ctx, woken: &Woken, batch: Batch) -> Answer {
    let mut gathering = Gathering::default();
    let mut rejects = Vec::new();
    for message in &batch.records {
        let reading = read_message(&message.body);
        let sent = message.attributes.sent.parse().map_or(woken.now, Timestamp);
        reading.events.into_iter().for_each(|event| gathering.add(event.no_later_than(sent)));
        rejects.extend(reading.rejects.into_iter().map(|reject| (sent, reject)));
    }
    let stored = store(ctx, woken, gathering, &rejects).await;
    let Err(problem) = stored else {
        return Answer::default();
    };
    error!(error = %problem, messages = batch.records.len(), "batch not stored, it comes again");
    let again = batch.records.into_iter().map(|m| ItemFailure { item_identifier: m.message_id });
    Answer { batch_item_failures: again.collect() }
}

async fn store(
    ctx: &Ctx,
    woken: &Woken,
    gathering: Gathering,
    rejects: &[(Timestamp, Reject)],
) -> Result<(), AwsError> {
    if gathering.thresholds + gathering.others > 0 {
        let (thresholds, others) = (gathering.thresholds, gathering.others);
        info!(thresholds, others, "events that are no failures");
    }
    for segment in gathering.segments() {
        let hash = segment.hash();
        let Segment { bucket, first, rows, bytes } = segment;
        let key = StateKey::Failures(&bucket, first, &hash).to_string();
        ctx.store.put(&key, Bytes::from(bytes), "text/csv").await?;
        info!(bucket = bucket.as_str(), rows, key, "segment written");
    }
    reject(ctx, woken, rejects).await
}

/// Keeps what could not be read and puts one notice about it into the outbox. Its bucket is not
/// known, so the notice is told in the name of the state bucket. It is dated by its first message, so
/// that the same message delivered again is the same notice.
async fn reject(ctx: &Ctx, woken: &Woken, rejects: &[(Timestamp, Reject)]) -> Result<(), AwsError> {
    let mut first = None;
    for (sent, reject) in rejects {
        let name = hex::encode(Sha256::digest(&reject.text));
        let name = format!("{}.txt", name.chars().take(16).collect::<String>());
        let key = StateKey::Rejects("events", "-", &name).to_string();
        let body = Bytes::copy_from_slice(reject.text.as_bytes());
        ctx.store.put(&key, body, "application/octet-stream").await?;
        error!(key, why = reject.why.as_str(), "event could not be read, it is kept");
        first.get_or_insert((*sent, key));
    }
    let (Some((sent, kept)), Ok(bucket)) = (first, Bucket::try_from(ctx.store.bucket.clone()))
    else {
        return Ok(());
    };
    let fact = NoticeFact::Rejected { from: "events".into(), pieces: rejects.len() as u64, kept };
    let notice = Notice::new(&bucket, woken.now, sent, fact);
    let key = StateKey::Outbox(&bucket, &notice.id).to_string();
    ctx.store.put_json_new(&key, &notice).await.map(drop)
}
