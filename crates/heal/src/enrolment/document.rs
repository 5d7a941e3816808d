//! A bucket's notification document, cut at the children of its root: each child is a slice of the
//! bytes that came, and is written back as that slice. It refuses what it cannot cut with certainty,
//! and never prints an element that it did not make.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// The element that a notification document is (S3 API Reference:
/// GetBucketNotificationConfiguration).
const ROOT: &str = "NotificationConfiguration";
/// Elements that stand in one another, at most.
const DEPTH_MAX: usize = 32;

/// What an entry sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A queue.
    Queue,
    /// A topic.
    Topic,
    /// A Lambda function.
    Function,
    /// Something that S3 did not have when this was written.
    Other,
}

impl Kind {
    fn of(element: &str) -> Self {
        match element {
            "QueueConfiguration" => Self::Queue,
            "TopicConfiguration" => Self::Topic,
            "CloudFunctionConfiguration" | "LambdaFunctionConfiguration" => Self::Function,
            _ => Self::Other,
        }
    }

    /// For a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Function => "function",
            Self::Other => "destination",
        }
    }
}

/// What is understood of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What it sends to.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The ARN that it sends to.
    pub destination: String,
    /// The events that it sends.
    pub events: Vec<String>,
    /// Of keys that begin so.
    pub prefix: String,
    /// Of keys that end so.
    pub suffix: String,
}

impl Listener {
    /// Whether S3 would refuse the two in one document: an event in common, of a key that both filters
    /// let pass (S3 User Guide: notification-how-to-filtering).
    pub fn overlaps(&self, other: &Self) -> bool {
        let keys = (self.prefix.starts_with(&other.prefix)
            || other.prefix.starts_with(&self.prefix))
            && (self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix));
        let shares = |event: &String| {
            other.events.iter().any(|theirs| covers(event, theirs) || covers(theirs, event))
        };
        keys && self.events.iter().any(shares)
    }

    /// Whether it sends every one of these events, of every key.
    pub fn sends_all(&self, events: &[String]) -> bool {
        let sends = |event: &String| self.events.iter().any(|pattern| covers(pattern, event));
        self.prefix.is_empty() && self.suffix.is_empty() && events.iter().all(sends)
    }
}

/// Whether the configured event `pattern` means the event `name`.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => pattern == name,
    }
}

/// A child of the root.
#[derive(Debug)]
pub(super) struct Child {
    /// Where it is.
    pub(super) at: Range<usize>,
    /// Its name, without a prefix.
    pub(super) name: String,
    /// What is understood of it, if it is an entry.
    pub(super) listener: Option<Listener>,
}

/// A document.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    /// The root's name, with its prefix.
    root: String,
    /// Where the root's start tag is; the whole of an empty root.
    start: Range<usize>,
    /// Where its end tag begins; `None` for an empty root.
    end: Option<usize>,
    pub(super) children: Vec<Child>,
}

/// What is known while the document is read.
#[derive(Default)]
struct Cutter {
    /// Names of the open elements.
    path: Vec<String>,
    root: Option<(String, Range<usize>)>,
    end: Option<usize>,
    children: Vec<Child>,
    /// The child that is open.
    from: usize,
    fields: Fields,
    text: String,
}

/// What is known of the child that is open.
#[derive(Default)]
struct Fields {
    id: String,
    /// Its other children that are text, by name.
    texts: Vec<(String, String)>,
    events: Vec<String>,
    /// The filter's rule that is open, and those that were read.
    rule: (String, String),
    rules: Vec<(String, String)>,
}

impl<'a> Document<'a> {
    /// Cuts a document up.
    ///
    /// # Errors
    /// It is no notification document; says what is wrong with it.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text);
        let mut cutter = Cutter::default();
        loop {
            let from = position(&reader);
            let event = reader.read_event().map_err(|why| why.to_string())?;
            let at = from..position(&reader);
            match event {
                Event::Start(tag) => cutter.open(&tag, at, false)?,
                Event::Empty(tag) => cutter.open(&tag, at, true)?,
                Event::End(_) => cutter.close(at)?,
                Event::Text(part) => {
                    cutter.text.push_str(&part.decode().map_err(|why| why.to_string())?);
                }
                Event::CData(part) => {
                    cutter.text.push_str(&part.decode().map_err(|why| why.to_string())?);
                }
                Event::GeneralRef(part) => match part.resolve_char_ref() {
                    Ok(Some(character)) => cutter.text.push(character),
                    _ => {
                        let name = part.decode().map_err(|why| why.to_string())?;
                        let known = resolve_predefined_entity(&name);
                        cutter.text.push_str(known.ok_or_else(|| format!("it has &{name};"))?);
                    }
                },
                Event::Eof => break,
                Event::DocType(_) => return Err("it has a document type".to_owned()),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        cutter.finish(text)
    }

    /// The prefix of the root's name, with its colon: what is added has to be in the same namespace.
    pub(super) fn prefix(&self) -> &str {
        self.root
            .split_once(':')
            .map_or("", |(prefix, _)| self.root.get(..=prefix.len()).unwrap_or_default())
    }

    /// The document without the children that `drop` names by number, and with `add`: in the place of
    /// the first one dropped that is a queue, else behind the last queue, else at the end.
    pub(super) fn edit(&self, drop: &[usize], add: &str) -> String {
        let queues = || {
            let numbered = self.children.iter().enumerate();
            numbered.filter(|(_, child)| Kind::of(&child.name) == Kind::Queue)
        };
        let replaced = queues().find(|(n, _)| drop.contains(n)).map(|(_, child)| child.at.start);
        let behind = queues().next_back().map(|(_, child)| child.at.end);
        let Some(end) = self.end else {
            return self.opened(add);
        };
        let place = replaced.or(behind).unwrap_or(end);
        let mut cuts = vec![(place..place, add)];
        let dropped = drop.iter().filter_map(|n| self.children.get(*n));
        cuts.extend(dropped.map(|child| (child.at.clone(), "")));
        cuts.sort_by_key(|(at, _)| (at.start, at.end));
        let mut edited = String::with_capacity(self.text.len() + add.len());
        let mut from = 0;
        for (at, text) in cuts {
            edited.push_str(self.text.get(from..at.start).unwrap_or_default());
            edited.push_str(text);
            from = at.end;
        }
        edited.push_str(self.text.get(from..).unwrap_or_default());
        edited
    }

    /// An empty root, opened around `add`.
    fn opened(&self, add: &str) -> String {
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let tag = part(self.start.clone()).trim_end_matches('>').trim_end_matches('/').trim_end();
        let (before, after) = (part(0..self.start.start), part(self.start.end..self.text.len()));
        format!("{before}{tag}>{add}</{}>{after}", self.root)
    }

    /// The bytes of a child.
    pub(super) fn slice(&self, child: &Child) -> &'a str {
        self.text.get(child.at.clone()).unwrap_or_default()
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

impl Cutter {
    fn open(&mut self, tag: &BytesStart<'_>, at: Range<usize>, empty: bool) -> Result<(), String> {
        let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
        self.text.clear();
        match self.path.len() {
            0 if self.root.is_some() => return Err("it has more than one root".to_owned()),
            0 if name != ROOT => return Err(format!("it is a {name}, not a {ROOT}")),
            0 => {
                let whole = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                self.root = Some((whole, at.clone()));
                if empty {
                    return Ok(());
                }
            }
            1 => {
                self.from = at.start;
                self.fields = Fields::default();
            }
            DEPTH_MAX.. => return Err(format!("its elements are nested {DEPTH_MAX} deep")),
            _ if name == "FilterRule" => self.fields.rule = Default::default(),
            _ => {}
        }
        self.path.push(name);
        if empty { self.close(at) } else { Ok(()) }
    }

    fn close(&mut self, at: Range<usize>) -> Result<(), String> {
        let name = self.path.pop().ok_or("an element is closed that was not opened")?;
        let text = std::mem::take(&mut self.text);
        let fields = &mut self.fields;
        match (self.path.len(), name.as_str()) {
            (0, _) => self.end = Some(at.start),
            (1, _) => {
                let (at, fields) = (self.from..at.end, std::mem::take(fields));
                let listener = fields.listener(Kind::of(&name));
                self.children.push(Child { at, name, listener });
            }
            (2, "Id") => fields.id = text,
            (2, "Event") => fields.events.push(text),
            (2, _) => fields.texts.push((name, text)),
            (_, "Name") => fields.rule.0 = text.to_ascii_lowercase(),
            (_, "Value") => fields.rule.1 = text,
            (_, "FilterRule") => fields.rules.push(std::mem::take(&mut fields.rule)),
            _ => {}
        }
        Ok(())
    }

    fn finish(self, text: &str) -> Result<Document<'_>, String> {
        let Some((root, start)) = self.root.filter(|_| self.path.is_empty()) else {
            return Err("it ends before its root does".to_owned());
        };
        // The cuts are where tags are, or nothing is cut.
        let is_tags = |at: &Range<usize>| {
            text.get(at.clone()).is_some_and(|cut| cut.starts_with('<') && cut.ends_with('>'))
        };
        let starts = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with("</"));
        let cut = self.children.iter().map(|child| &child.at).chain([&start]);
        if !cut.into_iter().all(is_tags) || !self.end.is_none_or(starts) {
            return Err("its elements cannot be told apart".to_owned());
        }
        Ok(Document { text, root, start, end: self.end, children: self.children })
    }
}

impl Fields {
    /// An entry is what names events. The destination is the element of the kind's own name, or, of
    /// what is not known, whatever holds an ARN.
    fn listener(self, kind: Kind) -> Option<Listener> {
        if self.events.is_empty() && kind == Kind::Other {
            return None;
        }
        let arn = self.texts.into_iter().find(|(_, text)| text.trim().starts_with("arn:"));
        let rule = |name: &str| {
            let mut rules = self.rules.iter();
            rules.find(|rule| rule.0 == name).map(|rule| rule.1.clone()).unwrap_or_default()
        };
        Some(Listener {
            kind,
            destination: arn.map(|(_, text)| text.trim().to_owned()).unwrap_or_default(),
            prefix: rule("prefix"),
            suffix: rule("suffix"),
            id: self.id,
            events: self.events,
        })
    }
}
