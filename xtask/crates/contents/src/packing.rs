//! The packed size of a layer: with gzip at its default level, as docker pushes layers.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses a layer while it is read, and counts the bytes.
pub struct Packing<'r> {
    inner: &'r mut dyn Read,
    packer: Option<GzEncoder<Count>>,
}

struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'r> Packing<'r> {
    /// Wraps a layer. Compressing takes far longer than reading, so it is optional.
    pub fn of(inner: &'r mut dyn Read, compress: bool) -> Packing<'r> {
        Packing { inner, packer: compress.then(|| GzEncoder::new(Count(0), Compression::default())) }
    }

    /// Reads the rest and returns the packed bytes.
    ///
    /// # Errors
    /// When the layer cannot be read to its end.
    pub fn finish(mut self) -> io::Result<Option<u64>> {
        io::copy(&mut self, &mut io::sink())?;
        self.packer.map(|packer| packer.finish().map(|count| count.0)).transpose()
    }
}

impl Read for Packing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(packer) = &mut self.packer {
            packer.write_all(&buffer[..n])?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_what_gzip_writes_for_the_whole_layer() {
        let layer: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&layer).unwrap();
        let packed = encoder.finish().unwrap().len() as u64;
        let mut stream = layer.as_slice();
        let mut packing = Packing::of(&mut stream, true);
        packing.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(packing.finish().unwrap(), Some(packed));
        assert_eq!(Packing::of(&mut layer.as_slice(), false).finish().unwrap(), None);
    }
}
