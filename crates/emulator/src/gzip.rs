//! Unpacking gzip in memory: what S3 Inventory packs, a batch job unpacks.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// The most bytes that one packed file may come to.
const INFLATED_MAX: u64 = 4 << 30;

/// What gzip packed; anything else as it is. `None` if it is broken, or larger than 4 GiB.
pub(crate) fn inflated(body: Bytes) -> Option<Bytes> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Some(body);
    }
    let mut whole = Vec::new();
    let mut packed = MultiGzDecoder::new(body.as_ref()).take(INFLATED_MAX + 1);
    let read = packed.read_to_end(&mut whole).ok()?;
    (read as u64 <= INFLATED_MAX).then(|| whole.into())
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
        assert_eq!(inflated(packed.clone().into()).unwrap(), "src,k,v\n");
        let half: Bytes = packed.get(..packed.len() / 2).unwrap().to_vec().into();
        assert_eq!(inflated(half), None);
        assert_eq!(inflated("src,k,v\n".into()).unwrap(), "src,k,v\n");
    }
}
