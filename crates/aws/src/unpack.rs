//! What an object has, as it comes in, made into pages of whole lines. However well it is compressed, and a
//! run of a million names that are alike shrinks to a fiftieth, no more of it is unpacked than the next page.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use zstd::stream::raw::{Decoder, Operation};

/// Bytes of lines that a page has, about.
const PAGE_BYTES: usize = 128 * 1024;

/// Turns bytes into pages.
pub(crate) struct Unpacker {
    decoder: Option<Decoder<'static>>,
    packed: Bytes,
    lines: BytesMut,
    /// The decoder had more to say than there was room for.
    full: bool,
    /// What came so far ends within what was compressed.
    within: bool,
}

impl Unpacker {
    /// Of what zstd compressed, or of plain text.
    pub(crate) fn new(compressed: bool) -> Self {
        let decoder = if compressed { Decoder::new().ok() } else { None };
        Self { decoder, packed: Bytes::new(), lines: BytesMut::new(), full: false, within: false }
    }

    /// Takes the next bytes of the object, once [`Unpacker::page`] has none left.
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        self.packed = bytes;
    }

    /// The next page; `None` if it takes more bytes.
    ///
    /// # Errors
    /// The bytes are not what zstd writes.
    pub(crate) fn page(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.end_of_page() {
                return Ok(Some(self.lines.split_to(end).freeze()));
            }
            if self.packed.is_empty() && !self.full {
                return Ok(None);
            }
            self.unpack()?;
        }
    }

    /// The last page, at the end of the object.
    ///
    /// # Errors
    /// The object ends too early.
    pub(crate) fn rest(&mut self) -> io::Result<Option<Bytes>> {
        if self.within {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"));
        }
        let rest = std::mem::take(&mut self.lines).freeze();
        Ok((!rest.is_empty()).then_some(rest))
    }

    fn end_of_page(&self) -> Option<usize> {
        let enough = self.lines.get(PAGE_BYTES..)?;
        Some(PAGE_BYTES + enough.iter().position(|byte| *byte == b'\n')? + 1)
    }

    fn unpack(&mut self) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else {
            let piece = self.packed.split_to(self.packed.len().min(PAGE_BYTES));
            self.lines.extend_from_slice(&piece);
            return Ok(());
        };
        let begin = self.lines.len();
        self.lines.resize(begin + PAGE_BYTES, 0);
        let room = self.lines.get_mut(begin..).unwrap_or_default();
        let status = decoder.run_on_buffers(&self.packed, room)?;
        self.lines.truncate(begin + status.bytes_written);
        self.packed.advance(status.bytes_read);
        self.within = status.remaining > 0;
        self.full = self.within && status.bytes_written == PAGE_BYTES;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|n| format!("a/very/long/prefix/{n:08},v1\n").into_bytes()).collect()
    }

    /// All pages of bytes that come in pieces of so many.
    fn pages(compressed: bool, bytes: &[u8], piece: usize) -> io::Result<Vec<Bytes>> {
        let (mut unpacker, mut pages) = (Unpacker::new(compressed), Vec::new());
        for piece in bytes.chunks(piece) {
            unpacker.feed(Bytes::copy_from_slice(piece));
            while let Some(page) = unpacker.page()? {
                pages.push(page);
            }
        }
        pages.extend(unpacker.rest()?);
        Ok(pages)
    }

    #[test]
    fn pages_are_whole_lines_and_all_of_them() {
        for count in [0, 1, 1_000, 100_000] {
            let plain = lines(count);
            let packed = zstd::encode_all(&*plain, 3).unwrap();
            for (compressed, bytes) in [(false, &plain), (true, &packed)] {
                for piece in [7, 4_096, 1 << 22] {
                    let pages = pages(compressed, bytes, piece).unwrap();
                    assert!(pages.iter().all(|page| page.ends_with(b"\n")), "{count} {piece}");
                    assert!(pages.concat() == plain, "{count} {compressed} {piece}");
                }
            }
        }
    }

    #[test]
    fn what_is_compressed_well_is_unpacked_a_page_at_a_time() {
        let plain = b"the same\n".repeat(10_000_000);
        let packed = zstd::encode_all(&*plain, 3).unwrap();
        assert!(packed.len() < 20_000, "{} bytes", packed.len());
        let mut unpacker = Unpacker::new(true);
        unpacker.feed(packed.into());
        let mut length = 0;
        while let Some(page) = unpacker.page().unwrap() {
            length += page.len();
            assert!(page.len() + unpacker.lines.len() <= 3 * PAGE_BYTES, "after {length}");
        }
        length += unpacker.rest().unwrap().map_or(0, |page| page.len());
        assert_eq!(length, plain.len());
    }

    #[test]
    fn one_that_was_written_in_two_goes_is_read_as_one() {
        let plain = lines(10_000);
        let (a, b) = plain.split_at(100_000);
        let packed = [zstd::encode_all(a, 3).unwrap(), zstd::encode_all(b, 3).unwrap()].concat();
        assert!(pages(true, &packed, 1_000).unwrap().concat() == plain);
    }

    #[test]
    fn one_that_ends_too_early_or_is_something_else_is_an_error() {
        let packed = zstd::encode_all(&*lines(100_000), 3).unwrap();
        let half = packed.get(..packed.len() / 2).unwrap();
        assert!(pages(true, half, 1_000).unwrap_err().to_string().contains("too early"));
        pages(true, b"Bucket,Key\n", 1_000).unwrap_err();
    }
}
