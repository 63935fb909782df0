//! Content encodings (RFC 9110, section 8.4.1): gzip and deflate, which every client supports. Browsers accept others only over
//! TLS.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Decodes a body. `encodings`: the `Content-Encoding` header; `limit`: the maximum size after decompression, in bytes.
///
/// # Errors
/// When an encoding is not supported, or the body is invalid or decompresses to more than `limit` bytes.
pub(super) fn decoded(mut body: Vec<u8>, encodings: &str, limit: u64) -> Result<Vec<u8>, String> {
    // A response without a body may still declare an encoding.
    if body.is_empty() {
        return Ok(body);
    }
    // The header lists encodings in the order in which they were applied.
    for encoding in encodings.rsplit(',').map(|name| name.trim().to_ascii_lowercase()) {
        let packed = body.as_slice();
        let unpacked = match encoding.as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => unpack(MultiGzDecoder::new(packed), limit),
            "deflate" if is_zlib(packed) => unpack(ZlibDecoder::new(packed), limit),
            // Some servers omit the zlib header, and clients accept that.
            "deflate" => unpack(DeflateDecoder::new(packed), limit),
            other => {
                return Err(format!("unsupported content encoding `{other}` (supported: gzip, deflate)"));
            }
        };
        body = unpacked.map_err(|error| format!("the body cannot be decoded as {encoding}: {error}"))?;
    }
    Ok(body)
}

/// Whether it starts with a zlib header (RFC 1950, section 2.2).
fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

fn unpack(decoder: impl Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let length = decoder.take(limit + 1).read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
    if length as u64 > limit {
        Err(format!("it decompresses to more than {limit} bytes"))
    } else {
        Ok(unpacked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: Vec<u8>, encodings: &str) -> Result<String, String> {
        decoded(body, encodings, 100).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn encodings_are_undone() {
        let text = b"a cup of tea";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(text).unwrap();
        for (body, encodings) in [
            (text.to_vec(), ""),
            (text.to_vec(), "identity"),
            (gzip(text), "GZip"),
            (gzip(text), "x-gzip"),
            ([gzip(&text[..5]), gzip(&text[5..])].concat(), "gzip"),
            (zlib.finish().unwrap(), "deflate"),
            (raw.finish().unwrap(), "deflate"),
            (gzip(&gzip(text)), "gzip, gzip"),
        ] {
            assert_eq!(read(body, encodings).as_deref(), Ok("a cup of tea"), "{encodings}");
        }
        assert_eq!(read(Vec::new(), "gzip").as_deref(), Ok(""));
    }

    #[test]
    fn undecodable_bodies_are_named() {
        assert_eq!(
            read(b"x".to_vec(), "br").unwrap_err(),
            "unsupported content encoding `br` (supported: gzip, deflate)"
        );
        assert!(read(b"plain text".to_vec(), "gzip").unwrap_err().contains("cannot be decoded as gzip: "));
        let whole = gzip(b"a cup of tea");
        assert!(read(whole[..whole.len() - 9].to_vec(), "gzip").is_err());
        // About 1 kB that decompresses to 1 MiB.
        assert!(
            read(gzip(&vec![0; 1 << 20]), "gzip")
                .unwrap_err()
                .ends_with("decompresses to more than 100 bytes")
        );
        assert_eq!(read(gzip(&[b'x'; 100]), "gzip").unwrap().len(), 100);
    }
}
