//! ListObjects and ListObjectsV2: the current versions in order of key, folded at a delimiter, in
//! pages.
//!
//! A page costs what it shows, not what the bucket holds: it starts with a seek, and every common
//! prefix is left behind with another.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::bucket;
use crate::world::object::Version;
use crate::world::{Answer, World};

/// What a page of keys is asked by.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys are folded behind the first of these after the prefix.
    pub delimiter: Option<String>,
    /// Where the page begins.
    pub after: After,
    /// The most entries of the page, keys and common prefixes together.
    pub max: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum After {
    /// At the first key.
    #[default]
    Nothing,
    /// Behind this key.
    Key(String),
    /// Behind every key that begins with this common prefix.
    Prefix(String),
}

impl After {
    /// The first key that may still come.
    fn bound(&self) -> Option<Bound<String>> {
        match self {
            Self::Nothing => Some(Bound::Unbounded),
            Self::Key(key) => Some(Bound::Excluded(key.clone())),
            Self::Prefix(prefix) => beyond(prefix).map(Bound::Included),
        }
    }
}

/// A page of a listing.
#[derive(Debug)]
pub struct Page<'a> {
    /// The keys with their current versions.
    pub keys: Vec<(&'a str, &'a Version)>,
    /// The folded keys.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<After>,
}

/// One entry that a walk meets.
#[derive(Debug)]
pub(super) enum Entry<'a, V> {
    Key(&'a str, &'a V),
    Common(String),
}

/// The current versions of a bucket. Keys under a delete marker do not count.
///
/// # Errors
/// 404 `NoSuchBucket`.
pub fn current<'a>(world: &'a World, name: &str, request: &Request) -> Answer<Page<'a>> {
    let bucket = bucket(world, name)?;
    let mut page = Page { keys: Vec::new(), common_prefixes: Vec::new(), next: None };
    if request.max == 0 {
        return Ok(page);
    }
    let alive = |versions: &Vec<Version>| versions.first().is_some_and(|it| !it.is_delete_marker());
    let mut after = request.after.clone();
    while let Some(entry) = next(&bucket.keys, request, &after, alive) {
        if page.keys.len() + page.common_prefixes.len() == request.max {
            page.next = Some(after);
            break;
        }
        after = match entry {
            Entry::Key(key, versions) => {
                page.keys.extend(versions.first().map(|version| (key, version)));
                After::Key(key.to_owned())
            }
            Entry::Common(prefix) => {
                page.common_prefixes.push(prefix.clone());
                After::Prefix(prefix)
            }
        };
    }
    Ok(page)
}

/// The first entry behind `after` of which a key is `wanted`.
pub(super) fn next<'a, V>(
    keys: &'a BTreeMap<String, V>,
    request: &Request,
    after: &After,
    wanted: impl Fn(&V) -> bool,
) -> Option<Entry<'a, V>> {
    let prefix = request.prefix.as_str();
    let from = match after.bound()? {
        Bound::Excluded(key) if key.as_str() >= prefix => Bound::Excluded(key),
        Bound::Included(key) if key.as_str() >= prefix => Bound::Included(key),
        _ => Bound::Included(prefix.to_owned()),
    };
    let (key, value) = keys
        .range((from, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .find(|(_, value)| wanted(value))?;
    Some(match fold(key, request) {
        Some(common) => Entry::Common(common.to_owned()),
        None => Entry::Key(key, value),
    })
}

/// The common prefix that a key falls under: up to and with the first delimiter after the prefix.
fn fold<'a>(key: &'a str, request: &Request) -> Option<&'a str> {
    let delimiter = request.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.get(request.prefix.len()..)?;
    let at = rest.find(delimiter)?;
    key.get(..request.prefix.len() + at + delimiter.len())
}

/// The least string that is greater than everything that begins with `prefix`; `None` when nothing is.
/// Keys are ordered by their bytes, and UTF-8 keeps the order of the characters.
pub(super) fn beyond(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        // The gap of the surrogates lies before U+E000.
        let following = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            code => char::from_u32(code),
        };
        if let Some(following) = following {
            head.push(following);
            return Some(head);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every page of a listing over `keys`, entries as text.
    fn pages(keys: &[&str], prefix: &str, delimiter: Option<&str>, max: usize) -> Vec<Vec<String>> {
        let keys: BTreeMap<String, ()> = keys.iter().map(|key| ((*key).to_owned(), ())).collect();
        let request = Request {
            prefix: prefix.into(),
            delimiter: delimiter.map(str::to_owned),
            ..Request::default()
        };
        let (mut pages, mut page, mut after) = (Vec::new(), Vec::new(), After::Nothing);
        while let Some(entry) = next(&keys, &request, &after, |()| true) {
            let (shown, behind) = match entry {
                Entry::Key(key, ()) => (key.to_owned(), After::Key(key.to_owned())),
                Entry::Common(prefix) => (format!("{prefix}*"), After::Prefix(prefix)),
            };
            (after, page) = (behind, [page, vec![shown]].concat());
            if page.len() == max {
                pages.push(std::mem::take(&mut page));
            }
        }
        pages.push(page);
        pages
    }

    #[test]
    fn keys_fold_at_the_delimiter_across_pages() {
        let keys = ["a/1", "a/2", "a0", "b", "c/x/1", "c/y"];
        assert_eq!(pages(&keys, "", Some("/"), 2), [vec!["a/*", "a0"], vec!["b", "c/*"], vec![]]);
        assert_eq!(pages(&keys, "c/", Some("/"), 9), [["c/x/*", "c/y"]]);
        assert_eq!(pages(&keys, "a", None, 9), [["a/1", "a/2", "a0"]]);
        assert_eq!(pages(&keys, "zz", Some("/"), 9), [Vec::<String>::new()]);
    }

    #[test]
    fn beyond_is_the_next_string_that_does_not_begin_so() {
        for (prefix, expected) in [
            ("a/", Some("a0")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{D7FF}", Some("\u{E000}")),
            ("\u{10FFFF}", None),
            ("", None),
        ] {
            assert_eq!(beyond(prefix).as_deref(), expected, "{prefix:?}");
        }
    }
}
