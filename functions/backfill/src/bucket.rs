//! One bucket: read, decide, write, in this order.
//!
//! 1. Read `configs/<bucket>.json`. What it *owes* is written first: somebody was cut short.
//! 2. Read the bucket and decide. What follows is put into the document, as owed.
//! 3. **Swap the document.** That is the commit: whoever loses has written nothing, and starts over.
//! 4. Write what is owed: backfills and notices, each only if absent.
//! 5. Swap once more, without what was owed.
//!
//! Cut short before 3, nothing has happened; the candidate and since when it is one are still there, and
//! the next look decides the same. Between 3 and 5, the next look writes what is owed again: a backfill
//! has its id by bucket, time and scope, a notice by its fact, so it is the same object, and `launch`
//! knows the ids that it has taken. If the swap in 5 is lost, somebody else has done it.

use resilver_aws::store::Loaded;
use resilver_aws::{Kind, Swapped, Woken, configuration};
use resilver_heal::configuration::Config;
use resilver_heal::configuration::watch::{CONFIG_FORMAT, Owed};
use resilver_heal::finding;
use resilver_heal::key::Bucket;
use resilver_heal::state::{SAID, StateKey};
use tracing::info;

use crate::{BackfillError, Ctx, read};

/// How often one look starts over.
const TRIES: usize = 5;

/// Looks at a bucket; gives how many backfills it asks for.
pub(crate) async fn look(
    ctx: &Ctx,
    bucket: &Bucket,
    woken: &Woken,
    by_event: bool,
) -> Result<usize, BackfillError> {
    for _ in 0..TRIES {
        let mut document = Document::load(ctx, bucket).await?;
        let config = &mut document.config;
        if by_event {
            config.heard(woken.now);
        }
        let (changed, denied) =
            match configuration::replication(&ctx.clients, bucket.as_str()).await {
                Ok(read) => (config.saw(read, woken.now, &ctx.limits), None),
                Err(problem) if problem.kind == Kind::Denied => {
                    (false, Some(configuration::REPLICATION))
                }
                Err(problem) if problem.kind == Kind::NotFound => {
                    info!("the bucket is gone");
                    return Ok(0);
                }
                Err(problem) => return Err(problem.into()),
            };
        if config.looks(woken.now, changed || by_event) {
            let sight = read::sight(ctx, config, denied, woken.now).await;
            let (findings, unread) = sight.findings();
            config.found(&findings, &unread, woken.now);
        }
        let planned = config.owed.backfills.len();
        if document.commit(ctx).await? {
            return Ok(planned);
        }
    }
    Err(BackfillError::Contended(StateKey::Config(bucket).to_string()))
}

/// Looks at the state bucket, which has blind spots of its own.
pub(crate) async fn look_at_state(ctx: &Ctx, woken: &Woken) -> Result<(), BackfillError> {
    let name = &ctx.store.bucket;
    let Ok(bucket) = Bucket::try_from(name.clone()) else { return Ok(()) };
    for _ in 0..TRIES {
        let mut document = Document::load(ctx, &bucket).await?;
        if document.config.looks(woken.now, false) {
            let kms = configuration::kms(&ctx.clients, name).await;
            let (findings, unread) = finding::of_state(name, &kms);
            document.config.found(&findings, &unread, woken.now);
        }
        if document.commit(ctx).await? {
            return Ok(());
        }
    }
    Err(BackfillError::Contended(StateKey::Config(&bucket).to_string()))
}

/// `configs/<bucket>.json`, as it is and as it is to be.
struct Document {
    key: String,
    stored: Option<Loaded<Config>>,
    config: Config,
}

impl Document {
    /// Reads it. What it owes is written before anything else is done.
    async fn load(ctx: &Ctx, bucket: &Bucket) -> Result<Self, BackfillError> {
        let key = StateKey::Config(bucket).to_string();
        for _ in 0..TRIES {
            let stored = ctx.store.get_json::<Config>(&key).await?;
            let config = match &stored {
                None => Config::new(bucket),
                Some(Loaded { value, .. }) if value.format <= CONFIG_FORMAT => value.clone(),
                Some(Loaded { value, .. }) => {
                    let format = value.format;
                    let why = format!("it has format {format}, this release knows {CONFIG_FORMAT}");
                    return Err(BackfillError::Document { key, why });
                }
            };
            match &stored {
                Some(stored) if !config.owed.is_empty() => {
                    settle_up(ctx, &key, &config, &stored.etag).await?;
                }
                _ => return Ok(Self { key, stored, config }),
            }
        }
        Err(BackfillError::Contended(key))
    }

    /// Writes it if it says anything new, and then what it owes. Says whether nobody else was faster.
    async fn commit(&self, ctx: &Ctx) -> Result<bool, BackfillError> {
        let Self { key, stored, config } = self;
        if stored.as_ref().is_some_and(|stored| stored.value == *config) {
            return Ok(true);
        }
        let expected = stored.as_ref().map(|stored| stored.etag.as_str());
        let etag = match ctx.store.swap_json(key, config, expected).await? {
            Swapped::Won { etag } => etag,
            Swapped::Lost => return Ok(false),
        };
        if !config.owed.is_empty() {
            settle_up(ctx, key, config, &etag).await?;
        }
        Ok(true)
    }
}

/// Writes what is owed, and crosses it off; if somebody else was faster with that, it is done too.
async fn settle_up(ctx: &Ctx, key: &str, config: &Config, etag: &str) -> Result<(), BackfillError> {
    pay(ctx, &config.owed).await?;
    let paid = Config { owed: Owed::default(), ..config.clone() };
    ctx.store.swap_json(key, &paid, Some(etag)).await?;
    Ok(())
}

/// What is there already is the same.
async fn pay(ctx: &Ctx, owed: &Owed) -> Result<(), BackfillError> {
    for backfill in &owed.backfills {
        let key = StateKey::Backfill(&backfill.bucket, &backfill.id).to_string();
        ctx.store.put_json_new(&key, backfill).await?;
    }
    for notice in &owed.notices {
        let said = StateKey::Notice(&notice.id, SAID).to_string();
        if !ctx.store.exists(&said).await? {
            let key = StateKey::Outbox(&notice.bucket, &notice.id).to_string();
            ctx.store.put_json_new(&key, notice).await?;
        }
    }
    Ok(())
}
