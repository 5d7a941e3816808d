//! Reading a report chunk by chunk. Chunk `k` of a result file has the rows that begin in its `k`th
//! stretch of fixed length, so that how many there are is known from the file's length alone, and each
//! is read by whoever comes first.

use std::collections::BTreeSet;

use bytes::Bytes;
use resilver_heal::limits::{CHUNK_BYTES, CHUNK_LOOKAHEAD_BYTES, CHUNKS_PER_SETTLE};
use resilver_heal::report::{read_rows, rows_of_chunk};
use resilver_heal::state::{StateKey, StatePrefix};
use resilver_heal::summary::{ResultPart, Settling};
use resilver_heal::verdict::{Tally, count_chunk, write_chunk};

use crate::{Ctx, SettleError};

/// Reads the chunks that nobody has read; counts all of them once they are there. `None` if some
/// remain for the next event or poll.
pub(crate) async fn read_all(ctx: &Ctx, settling: &Settling) -> Result<Option<Tally>, SettleError> {
    let prefix = StatePrefix::Verdicts(&settling.bucket, &settling.job).to_string();
    let there = ctx.store.list(&prefix, usize::MAX).await?;
    let there: BTreeSet<String> = there.into_iter().map(|object| object.key).collect();
    let key = |(file, chunk): (usize, u64)| {
        StateKey::Verdicts(&settling.bucket, &settling.job, file, chunk).to_string()
    };
    let chunks = settling.chunks();
    let missing: Vec<_> = chunks.iter().filter(|at| !there.contains(&key(**at))).collect();
    for &&(file, chunk) in missing.iter().take(CHUNKS_PER_SETTLE) {
        if let Some(part) = settling.report.iter().flatten().nth(file) {
            read_one(ctx, settling, part, file, chunk).await?;
        }
    }
    if missing.len() > CHUNKS_PER_SETTLE {
        return Ok(None);
    }
    let mut tally = Tally::default();
    for at in chunks {
        count(ctx, &key(at), &mut tally).await?;
    }
    Ok(Some(tally))
}

async fn count(ctx: &Ctx, key: &str, tally: &mut Tally) -> Result<(), SettleError> {
    let Some(stored) = ctx.store.get(key).await? else {
        return Ok(());
    };
    count_chunk(&stored.bytes, tally)
        .map_err(|why| SettleError::Document { key: key.to_owned(), why: why.to_string() })
}

async fn read_one(
    ctx: &Ctx,
    settling: &Settling,
    part: &ResultPart,
    file: usize,
    chunk: u64,
) -> Result<(), SettleError> {
    let (bucket, job) = (&settling.bucket, &settling.job);
    let from = chunk * CHUNK_BYTES;
    let to = (from + CHUNK_BYTES + CHUNK_LOOKAHEAD_BYTES).min(part.bytes);
    let window = ctx.store.get_range(&part.key, from.saturating_sub(1), to, None).await?;
    let window = window.map(|ranged| ranged.bytes).unwrap_or_default();
    let rows = rows_of_chunk(&window, chunk == 0, CHUNK_BYTES as usize, bucket);
    let rows = read_rows(rows, bucket);
    if !rows.rejects.is_empty() {
        let name = format!("{job}/{file}-{chunk}.csv");
        let key = StateKey::Rejects("report", bucket.as_str(), &name).to_string();
        let kept: Vec<u8> = rows.rejects.iter().flat_map(|reject| reject.raw.clone()).collect();
        ctx.store.put(&key, Bytes::from(kept), "application/octet-stream").await?;
    }
    let unreadable = rows.rejects.len() as u64;
    let verdicts = write_chunk(rows.rows, unreadable);
    let key = StateKey::Verdicts(bucket, job, file, chunk).to_string();
    ctx.store.put_new(&key, Bytes::from(verdicts), "text/csv").await?;
    Ok(())
}
