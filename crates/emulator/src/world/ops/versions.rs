//! ListObjectVersions: every version and delete marker, in order of key and then newest first, folded
//! and paged like [`super::list`].

use super::bucket;
use super::list::{After, Entry, Request, next};
use crate::world::object::Version;
use crate::world::{Answer, Refusal, World};

/// One line of the listing.
#[derive(Debug)]
pub struct Line<'a> {
    /// The key.
    pub key: &'a str,
    /// The version, or the delete marker.
    pub version: &'a Version,
    /// Whether it is the newest of its key.
    pub latest: bool,
}

/// A page of versions.
#[derive(Debug)]
pub struct Page<'a> {
    /// Versions and delete markers, in order.
    pub lines: Vec<Line<'a>>,
    /// The folded keys.
    pub common_prefixes: Vec<String>,
    /// Key marker and version id marker of the next page, if there is one.
    pub next: Option<(String, Option<String>)>,
}

/// The versions of a bucket. `request.after` is where the keys begin; with `version_marker` the page
/// begins behind that version of the key that `request.after` names. A marker that is gone by now
/// repeats the key rather than leaving a version out.
///
/// # Errors
/// 404 `NoSuchBucket`; 400 `InvalidArgument` for a version id marker without a key marker.
pub fn page<'a>(
    world: &'a World,
    name: &str,
    request: &Request,
    version_marker: Option<&str>,
) -> Answer<Page<'a>> {
    let bucket = bucket(world, name)?;
    let mut page = Page { lines: Vec::new(), common_prefixes: Vec::new(), next: None };
    if request.max == 0 {
        return Ok(page);
    }
    if let Some(id) = version_marker {
        let After::Key(key) = &request.after else {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(Refusal::new(400, "InvalidArgument", message));
        };
        if let Some((key, versions)) = bucket.keys.get_key_value(key) {
            let behind = versions.iter().position(|it| &*it.id == id).map_or(0, |at| at + 1);
            if !page.add(key, versions, behind, request.max) {
                return Ok(page);
            }
        }
    }
    let mut after = request.after.clone();
    while let Some(entry) = next(&bucket.keys, request, &after, |_| true) {
        if page.len() == request.max {
            page.next = page.marker();
            break;
        }
        match entry {
            Entry::Key(key, versions) => {
                if !page.add(key, versions, 0, request.max) {
                    break;
                }
                after = After::Key(key.to_owned());
            }
            Entry::Common(prefix) => {
                page.common_prefixes.push(prefix.clone());
                after = After::Prefix(prefix);
            }
        }
    }
    Ok(page)
}

impl<'a> Page<'a> {
    fn len(&self) -> usize {
        self.lines.len() + self.common_prefixes.len()
    }

    /// Adds the versions of a key from the one at `from` on. False when the page is full before the
    /// last of them.
    fn add(&mut self, key: &'a str, versions: &'a [Version], from: usize, max: usize) -> bool {
        for (at, version) in versions.iter().enumerate().skip(from) {
            if self.len() == max {
                self.next = self.marker();
                return false;
            }
            self.lines.push(Line { key, version, latest: at == 0 });
        }
        true
    }

    /// The marker behind the last entry, be it a version or a common prefix.
    fn marker(&self) -> Option<(String, Option<String>)> {
        let line = self.lines.last();
        match (self.common_prefixes.last(), line) {
            (Some(prefix), line) if line.is_none_or(|line| line.key < prefix.as_str()) => {
                Some((prefix.clone(), None))
            }
            (_, Some(line)) => Some((line.key.to_owned(), Some(line.version.id.to_string()))),
            (_, None) => None,
        }
    }
}
