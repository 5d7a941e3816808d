//! Small XML documents as trees of elements: what a request says, and what an answer says. Attributes and
//! namespaces are passed over.

use std::borrow::Cow;
use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// An element with either text or children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

/// Elements that stand in one another, at most: what drops them recurses.
const DEPTH_MAX: usize = 32;

impl Element {
    /// An element without anything in it.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same element with one more child that is text.
    #[must_use]
    pub(super) fn text(mut self, name: &str, text: impl ToString) -> Self {
        self.children.push(Self { text: text.to_string(), ..Self::new(name) });
        self
    }

    /// The same, where there is a text.
    #[must_use]
    pub(super) fn maybe(self, name: &str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// The same element with these children more.
    #[must_use]
    pub(super) fn all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// The same element with one more child.
    #[must_use]
    pub(super) fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// The same element with a list as one more child, whose items are each a `member`; nothing where the
    /// list is empty.
    #[must_use]
    pub(super) fn list(self, name: &str, items: &[String]) -> Self {
        if items.is_empty() {
            return self;
        }
        let list = items.iter().fold(Self::new(name), |list, item| list.text("member", item));
        self.with(list)
    }

    /// The same element with a list as one more child, whose items are each a `member`, empty or not.
    #[must_use]
    pub(super) fn members(self, name: &str, items: impl IntoIterator<Item = Self>) -> Self {
        let member = |item: Self| Self { name: "member".to_owned(), ..item };
        self.with(Self { children: items.into_iter().map(member).collect(), ..Self::new(name) })
    }

    /// An element of text.
    pub(super) fn of(name: &str, text: impl ToString) -> Self {
        Self { text: text.to_string(), ..Self::new(name) }
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(super) fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text.clone())
    }

    /// Whether this is so of the text of any element in it.
    pub(super) fn any(&self, fits: &impl Fn(&str) -> bool) -> bool {
        fits(&self.text) || self.children.iter().any(|child| child.any(fits))
    }

    /// The texts of the members of the child of this name.
    pub(super) fn members_of(&self, name: &str) -> Vec<String> {
        let members = self.child(name).map_or(&[][..], |list| list.children.as_slice());
        members.iter().map(|member| member.text.clone()).collect()
    }

    /// Reads a document. `None` if it is not well-formed, or nested deeper than any request is.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(_) if open.len() > DEPTH_MAX => return None,
                Event::Start(start) => {
                    open.push(Self::new(&String::from_utf8_lossy(start.local_name().as_ref())));
                }
                Event::Empty(empty) => {
                    let child = Self::new(&String::from_utf8_lossy(empty.local_name().as_ref()));
                    open.last_mut()?.children.push(child);
                }
                Event::End(_) => {
                    let mut done = open.pop()?;
                    if !done.children.is_empty() {
                        done.text.clear();
                    }
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut()?.text;
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => {
                            text.push_str(resolve_predefined_entity(&reference.decode().ok()?)?)
                        }
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let root = open.pop().filter(|_| open.is_empty())?;
        root.children.into_iter().next()
    }

    /// The document, with its declaration and its namespace.
    pub(super) fn document(&self, namespace: &str) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.print(&mut out, &format!(" xmlns=\"{namespace}\""));
        out
    }

    fn print(&self, out: &mut String, attributes: &str) {
        // Writing to a string cannot fail.
        let _ = write!(out, "<{}{attributes}>{}", self.name, escape(printable(&self.text)));
        for child in &self.children {
            child.print(out, "");
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// The text with what XML cannot carry at all, not even escaped, replaced (XML 1.0: characters).
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let odd = |it: char| {
        (it < ' ' && !matches!(it, '\t' | '\n' | '\r')) || matches!(it, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(odd) {
        return Cow::Owned(text.replace(odd, "\u{fffd}"));
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_survives_the_way_there_and_back() {
        let tree = Element::new("A")
            .text("B", "a <b> & \"c\" 'd'")
            .with(Element::new("C").text("member", "ü").text("member", ""));
        assert_eq!(Element::parse(&tree.document("http://example.com/")), Some(tree));
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        let printed = Element::new("A").text("B", "a\u{1}b\tc\u{0}").document("x");
        let read = Element::parse(&printed).and_then(|it| it.text_of("B"));
        assert_eq!(read.as_deref(), Some("a\u{fffd}b\tc\u{fffd}"));
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        for broken in ["", "<a>", "<a></b>", "text", "<a>&nope;</a>"] {
            assert_eq!(Element::parse(broken), None, "{broken}");
        }
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(Element::parse(&nested(DEPTH_MAX)).is_some());
        assert_eq!(Element::parse(&nested(300_000)), None, "what drops it would recurse");
        let spaced = Element::parse("<a>\n  <b>x&#x41;&amp;</b>\n</a>");
        assert_eq!(spaced.and_then(|it| it.text_of("b")), Some("xA&".into()));
    }
}
