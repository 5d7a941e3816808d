//! Reads the runs of a fold and drives the merge over them, page by page, in constant memory.

use futures::StreamExt;
use resilver_aws::{AwsError, Kind, LineReader};
use resilver_heal::entry::{Cause, Entry};
use resilver_heal::fold::{Folding, Record};
use resilver_heal::key::Bucket;
use resilver_heal::ledger::{Head, RunRef};
use resilver_heal::listing::ListedRow;
use resilver_heal::plan::PlanId;
use resilver_heal::run::{Corrupt, Merge, ObjectVersion, Step, decode_page};
use resilver_heal::segment::FailureRow;
use resilver_heal::survey::Survey;
use resilver_heal::transition::Status;
use resilver_heal::verdict;

use crate::news::News;
use crate::{Ctx, LaunchError};

/// Statuses that are asked for at the same time.
const LOOKS_AT_ONCE: usize = 16;

enum Kept {
    Ledger,
    Segment,
    Verdicts(PlanId),
    Listed,
}

struct Source {
    kept: Kept,
    key: String,
    reader: LineReader,
}

/// The versions of a fold, one after the other.
pub(crate) struct Groups {
    merge: Merge<Record>,
    sources: Vec<Source>,
}

impl Groups {
    /// Over the head's run, the news, and the statuses that were read.
    pub(crate) fn open(
        ctx: &Ctx,
        head: &Head,
        news: &News,
        seen: Vec<(ObjectVersion, Status)>,
    ) -> Self {
        let mut keys: Vec<(Kept, &str)> = Vec::new();
        keys.extend(news.segments.iter().map(|key| (Kept::Segment, key.as_str())));
        let verdicts = news.verdicts.iter();
        keys.extend(verdicts.map(|(plan, key)| (Kept::Verdicts(plan.clone()), key.as_str())));
        let readers = (keys.len() + news.listed.len()) as u64 + 1;
        let reader = |key: &str| LineReader::new(ctx.store.clone(), key.to_owned()).one_of(readers);
        let whole = |kept, run: &RunRef| {
            let reader = reader(&run.key).expecting(&run.etag);
            Source { kept, key: run.key.clone(), reader }
        };
        let ledger = head.run.iter().map(|run| whole(Kept::Ledger, run));
        let listed = news.listed.iter().map(|run| whole(Kept::Listed, run));
        let others = keys.into_iter().map(|(kept, key)| Source {
            kept,
            key: key.to_owned(),
            reader: reader(key),
        });
        let sources: Vec<Source> = ledger.chain(listed).chain(others).collect();
        let mut merge = Merge::new(sources.len() + 1);
        let seen = seen.into_iter().map(|(id, status)| Record::Seen(id, status)).collect();
        merge.push(sources.len(), seen);
        merge.push(sources.len(), Vec::new());
        Self { merge, sources }
    }

    /// The rows of the next version; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, LaunchError> {
        loop {
            match self.merge.poll() {
                Step::Group(rows) => {
                    return Ok(Some(rows.into_iter().map(|(_, row)| row).collect()));
                }
                Step::Done => return Ok(None),
                Step::Need(at) => {
                    let rows = match self.sources.get_mut(at) {
                        Some(source) => source.page().await?,
                        None => Vec::new(),
                    };
                    self.merge.push(at, rows);
                }
                Step::Disorder(at, id) => {
                    let key = self.sources.get(at).map(|source| source.key.clone());
                    let (key, at) = (key.unwrap_or_default(), id.key.to_string());
                    return Err(LaunchError::Disorder { key, at });
                }
            }
        }
    }
}

impl Source {
    /// The next rows; none at the end. A page may hold nothing but a comment: then the next one.
    async fn page(&mut self) -> Result<Vec<Record>, LaunchError> {
        while let Some(page) = self.reader.next().await? {
            let rows = self.decode(&page);
            let rows =
                rows.map_err(|corrupt| LaunchError::Corrupt { key: self.key.clone(), corrupt })?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    fn decode(&self, page: &[u8]) -> Result<Vec<Record>, Corrupt> {
        match &self.kept {
            Kept::Ledger => decode_page(page, |line| Entry::decode(line).map(Record::Entry)),
            Kept::Segment => decode_page(page, |line| FailureRow::decode(line).map(Record::Told)),
            Kept::Verdicts(plan) => {
                let rows = verdict::decode_page(page)?;
                Ok(rows.into_iter().map(|row| Record::Judged(plan.clone(), row)).collect())
            }
            Kept::Listed => decode_page(page, |line| ListedRow::decode(line).map(Record::Listed)),
        }
    }
}

/// Whether an error says that another launch has deleted what this one reads.
pub(crate) fn is_gone(problem: &LaunchError) -> bool {
    matches!(problem, LaunchError::Aws(AwsError { kind: Kind::NotFound | Kind::Precondition, .. }))
}

/// The first fold: nothing is written.
pub(crate) async fn survey(
    ctx: &Ctx,
    head: &Head,
    news: &News,
    folding: &Folding<'_>,
    turn: &(dyn Fn(&Cause) -> u32 + Sync),
) -> Result<Survey, LaunchError> {
    let mut groups = Groups::open(ctx, head, news, Vec::new());
    let mut survey = Survey::default();
    let mut effects = Vec::new();
    while let Some(group) = groups.next().await? {
        effects.clear();
        let folded = folding.fold(group, &mut effects);
        survey.take(&folding.given, folded, &effects, &turn);
    }
    Ok(survey)
}

/// Reads the replication statuses of these versions, in their order. One that cannot be read is
/// *unread*, which is looked at again later.
pub(crate) async fn look(
    ctx: &Ctx,
    bucket: &Bucket,
    entries: &[Entry],
) -> Result<Vec<Status>, LaunchError> {
    let reads = entries.iter().map(|entry| async move {
        let (key, version) = (entry.id.key.as_str(), entry.id.version.as_str());
        match resilver_aws::objects::head(&ctx.clients, bucket.as_str(), key, version).await {
            Ok(Some(head)) => Status::of_header(head.replication.as_deref()),
            Ok(None) => Status::Gone,
            Err(problem) if problem.kind == Kind::Invalid => Status::Unreadable,
            Err(problem) => {
                tracing::warn!(error = %problem, "status not read");
                Status::Unread
            }
        }
    });
    Ok(futures::stream::iter(reads).buffered(LOOKS_AT_ONCE).collect().await)
}
