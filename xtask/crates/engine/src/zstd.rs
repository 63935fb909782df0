//! Decompresses zstd streams with several frames, as written by zstd:chunked and parallel compressors (RFC 8878, section 3).

use std::io::{self, BufRead as _, BufReader, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The first bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads the decompressed bytes. Like zstd itself, refuses windows above 128 MiB.
pub(crate) struct ZstdReader<R> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    /// Whether a frame has started and its checksum is still to be verified.
    in_frame: bool,
}

impl<R: Read> ZstdReader<R> {
    pub(crate) fn new(source: R) -> ZstdReader<R> {
        ZstdReader { source: BufReader::new(source), decoder: FrameDecoder::new(), in_frame: false }
    }

    /// Starts the next frame; false at the end of the stream.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(stored), Some(found)) if stored != found => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "wrong zstd checksum"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.end_frame()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn packed(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        ZstdReader::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn frames_follow_each_other_and_some_are_skipped() {
        let text = b"layer ".repeat(100_000);
        // A skippable frame of five bytes, and an empty frame.
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"extra"].concat();
        let stream = [packed(&text), skipped, packed(b""), packed(b"end")].concat();
        assert_eq!(unpacked(&stream).unwrap(), [&text[..], b"end"].concat());
        assert_eq!(unpacked(b"").unwrap(), b"");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = packed(&b"layer ".repeat(100));
        for end in 1..whole.len() {
            assert!(unpacked(&whole[..end]).is_err(), "{end} of {} bytes", whole.len());
        }
        let mut wrong = whole.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(unpacked(&wrong).is_err(), "a wrong checksum");
        assert!(unpacked(&[&whole[..], b"garbage"].concat()).is_err());
        assert!(unpacked(&[0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1]).is_err(), "a truncated skippable frame");
    }
}
