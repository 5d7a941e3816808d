//! Unpacking gzip in memory: what S3 Inventory packs, a batch job unpacks.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// What gzip packed; anything else as it is. `None` if it is broken, or comes to more than `max` bytes.
pub(crate) fn inflated(body: Bytes, max: u64) -> Option<Bytes> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Some(body);
    }
    let mut whole = Vec::new();
    let mut packed = MultiGzDecoder::new(body.as_ref()).take(max + 1);
    let read = packed.read_to_end(&mut whole).ok()?;
    (read as u64 <= max).then(|| whole.into())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    /// What gzip makes of these bytes.
    pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_the_rest_is_left_alone() {
        let packed = packed(b"src,k,v\n");
        assert_eq!(inflated(packed.clone().into(), 8).unwrap(), "src,k,v\n");
        let half: Bytes = packed.get(..packed.len() / 2).unwrap().to_vec().into();
        assert_eq!(inflated(half, 8), None);
        assert_eq!(inflated(packed.into(), 7), None, "a bomb");
        assert_eq!(inflated("src,k,v\n".into(), 0).unwrap(), "src,k,v\n");
    }
}
