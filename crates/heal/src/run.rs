//! A run: rows of object versions in order of (key bytes, version id), one source bucket a run, one
//! plain CSV line a row. Accumulating, deduplicating, excluding and releasing are all merges of sorted
//! runs, streamed in constant memory however long the runs are.
//!
//! [`Merge`] does no reading: it says which source it needs, and is given that source's next rows. So
//! the same merge runs over S3 objects in a function, over files on a command line, and over vectors
//! in a test. Rows of a run carry keys percent-encoded, which keeps every row on one line without quotes.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::key::{Key, VersionId};

/// The identity of a row: one version of one object of the run's bucket. Ordered by the bytes of the
/// decoded key, then by version id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// The object's key, decoded.
    pub key: Key,
    /// The version; `null` for one written before versioning.
    pub version: VersionId,
}

/// Something that has a place in a run.
pub trait Row {
    /// Where it belongs.
    fn id(&self) -> &ObjectVersion;
}

/// A line of one of our own runs that cannot be read: the object was damaged, or written by a release
/// that this one does not know. Nothing may be written over it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "run line {line:?} cannot be read: {why}; leave the object as it is and update this release"
)]
pub struct Corrupt {
    /// The line, cut to a readable length.
    pub line: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Corrupt {
    /// A complaint about `line`.
    pub fn new(line: &str, why: &'static str) -> Self {
        Self { line: line.chars().take(200).collect(), why }
    }
}

/// The fields of one line, taken one after the other.
#[derive(Debug)]
pub struct Fields<'a> {
    line: &'a str,
    rest: std::str::Split<'a, char>,
}

impl<'a> Fields<'a> {
    /// The fields of `line`, which has no line end.
    pub fn of(line: &'a str) -> Self {
        Self { line, rest: line.split(',') }
    }

    /// The next field.
    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        self.rest.next().ok_or_else(|| self.complain("fields are missing"))
    }

    /// The next field, as anything that parses.
    pub fn parse<T: std::str::FromStr>(&mut self, why: &'static str) -> Result<T, Corrupt> {
        self.text()?.parse().map_err(|_| self.complain(why))
    }

    /// The next two fields: which version the line is about.
    pub fn id(&mut self) -> Result<ObjectVersion, Corrupt> {
        let key = Key::from_manifest(self.text()?).map_err(|_| self.complain("not a key"))?;
        let version = VersionId::try_from(self.text()?.to_owned())
            .map_err(|_| self.complain("not a version id"))?;
        Ok(ObjectVersion { key, version })
    }

    /// A complaint about this line.
    pub fn complain(&self, why: &'static str) -> Corrupt {
        Corrupt::new(self.line, why)
    }
}

/// Cuts a page of whole lines and decodes each.
pub fn decode_page<T>(
    page: &[u8],
    decode: impl Fn(&str) -> Result<T, Corrupt>,
) -> Result<Vec<T>, Corrupt> {
    let text = std::str::from_utf8(page).map_err(|_| Corrupt::new("", "not UTF-8"))?;
    text.lines().filter(|line| !line.is_empty()).map(decode).collect()
}

/// What a [`Merge`] wants or gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Push more rows of this source, or end it.
    Need(usize),
    /// All rows of one version, each with the source it came from, sources in order.
    Group(Vec<(usize, T)>),
    /// A source is out of order at this version: it is not a run.
    Disorder(usize, ObjectVersion),
    /// Every source has ended.
    Done,
}

#[derive(Debug)]
struct Source<T> {
    rows: VecDeque<T>,
    ended: bool,
}

/// The first row of a source.
#[derive(Debug)]
struct First<T> {
    row: T,
    source: usize,
}

impl<T: Row> Ord for First<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.row.id().cmp(other.row.id()).then(self.source.cmp(&other.source))
    }
}

impl<T: Row> PartialOrd for First<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Row> PartialEq for First<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Row> Eq for First<T> {}

/// A merge of sorted runs that groups the rows of each version. A row costs a logarithm of the sources.
#[derive(Debug)]
pub struct Merge<T: Row> {
    sources: Vec<Source<T>>,
    /// The first row of every source that has one.
    firsts: BinaryHeap<Reverse<First<T>>>,
    /// Sources without a first row that have not ended.
    hungry: BTreeSet<usize>,
    group: Vec<(usize, T)>,
    done: Option<ObjectVersion>,
}

impl<T: Row> Merge<T> {
    /// A merge of this many sources, none of which has been read.
    pub fn new(sources: usize) -> Self {
        let empty = |_| Source { rows: VecDeque::new(), ended: false };
        Self {
            sources: (0..sources).map(empty).collect(),
            firsts: BinaryHeap::new(),
            hungry: (0..sources).collect(),
            group: Vec::new(),
            done: None,
        }
    }

    /// Gives the next rows of a source. No rows at all end it.
    pub fn push(&mut self, source: usize, rows: Vec<T>) {
        let Some(given) = self.sources.get_mut(source) else { return };
        given.ended |= rows.is_empty();
        given.rows.extend(rows);
        if self.hungry.remove(&source) {
            self.refill(source);
        }
    }

    /// Goes on until something is needed or a group is complete. A source that runs dry is needed first: its
    /// next page may go on with the same version.
    pub fn poll(&mut self) -> Step<T> {
        loop {
            if let Some(starved) = self.hungry.first() {
                return Step::Need(*starved);
            }
            let first = self.firsts.peek().map(|Reverse(first)| (first.row.id(), first.source));
            let at = self.group.first().map(|(_, row)| row.id());
            match (first, at) {
                (None, None) => return Step::Done,
                (Some((id, source)), None) if self.done.as_ref().is_some_and(|done| id <= done) => {
                    return Step::Disorder(source, id.clone());
                }
                (Some((id, _)), at) if at.is_none_or(|at| at == id) => {
                    let Some(Reverse(First { row, source })) = self.firsts.pop() else { continue };
                    self.group.push((source, row));
                    self.refill(source);
                }
                (_, at) => {
                    self.done = at.cloned();
                    return Step::Group(std::mem::take(&mut self.group));
                }
            }
        }
    }

    /// Puts the next row of a source among the first ones.
    fn refill(&mut self, source: usize) {
        let Some(from) = self.sources.get_mut(source) else { return };
        match from.rows.pop_front() {
            Some(row) => self.firsts.push(Reverse(First { row, source })),
            None if !from.ended => drop(self.hungry.insert(source)),
            None => {}
        }
    }
}

/// Which versions a combination of runs keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algebra {
    /// Those in any run.
    Union,
    /// Those in the first run and in no other.
    Minus,
    /// Those in every run.
    Intersect,
}

impl Algebra {
    /// Whether a group over `sources` runs stays.
    pub fn keeps<T>(self, group: &[(usize, T)], sources: usize) -> bool {
        let present = |n: usize| group.iter().any(|(source, _)| *source == n);
        match self {
            Self::Union => true,
            Self::Minus => present(0) && !(1..sources).any(present),
            Self::Intersect => (0..sources).all(present),
        }
    }

    /// Combines whole runs; of several rows of one version the first run's first stays.
    pub fn combine<T: Row>(self, runs: Vec<Vec<T>>) -> Result<Vec<T>, ObjectVersion> {
        let sources = runs.len();
        let mut merge = Merge::new(sources);
        for (source, rows) in runs.into_iter().enumerate() {
            merge.push(source, rows);
            merge.push(source, Vec::new());
        }
        let mut kept = Vec::new();
        loop {
            match merge.poll() {
                Step::Group(group) if self.keeps(&group, sources) => {
                    kept.extend(group.into_iter().next().map(|(_, row)| row));
                }
                Step::Group(_) => {}
                Step::Need(source) => merge.push(source, Vec::new()),
                Step::Disorder(_, at) => return Err(at),
                Step::Done => return Ok(kept),
            }
        }
    }
}

#[cfg(test)]
#[path = "run/tests.rs"]
mod tests;
