//! A run: rows of object versions in order of (key bytes, version id), one source bucket a run, one
//! plain CSV line a row. Accumulating, deduplicating, excluding and releasing are all merges of sorted
//! runs, streamed in constant memory however long the runs are.
//!
//! [`Merge`] does no reading: it says which source it needs, and is given that source's next rows. So
//! the same merge runs over S3 objects in a function, over files on a command line, and over vectors
//! in a test. Rows of a run carry keys percent-encoded, which keeps every row on one line without quotes.

use std::collections::VecDeque;

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

/// A merge of sorted runs that groups the rows of each version.
#[derive(Debug)]
pub struct Merge<T> {
    sources: Vec<Source<T>>,
    group: Vec<(usize, T)>,
    at: Option<ObjectVersion>,
    done: Option<ObjectVersion>,
}

impl<T: Row> Merge<T> {
    /// A merge of this many sources, none of which has been read.
    pub fn new(sources: usize) -> Self {
        let sources =
            (0..sources).map(|_| Source { rows: VecDeque::new(), ended: false }).collect();
        Self { sources, group: Vec::new(), at: None, done: None }
    }

    /// Gives the next rows of a source. No rows at all end it.
    pub fn push(&mut self, source: usize, rows: Vec<T>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ended |= rows.is_empty();
            source.rows.extend(rows);
        }
    }

    /// Goes on until something is needed or a group is complete.
    pub fn poll(&mut self) -> Step<T> {
        if let Some(starved) = self.sources.iter().position(|s| s.rows.is_empty() && !s.ended) {
            return Step::Need(starved);
        }
        if self.at.is_none() {
            let heads = self.sources.iter().enumerate();
            let first = heads.filter_map(|(n, s)| s.rows.front().map(|row| (row.id(), n))).min();
            let Some((first, source)) = first else {
                return Step::Done;
            };
            if self.done.as_ref().is_some_and(|done| first <= done) {
                return Step::Disorder(source, first.clone());
            }
            self.at = Some(first.clone());
        }
        if let Some(starved) = self.gather() {
            return Step::Need(starved);
        }
        self.done = self.at.take();
        Step::Group(std::mem::take(&mut self.group))
    }

    /// Moves the rows of the current version into the group. A source that runs dry is needed first:
    /// its next page may go on with the same version.
    fn gather(&mut self) -> Option<usize> {
        let at = self.at.as_ref()?;
        for (index, source) in self.sources.iter_mut().enumerate() {
            while source.rows.front().is_some_and(|row| row.id() == at) {
                self.group.extend(source.rows.pop_front().map(|row| (index, row)));
            }
            if source.rows.is_empty() && !source.ended {
                return Some(index);
            }
        }
        None
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
