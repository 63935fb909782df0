//! Reads a stream ahead in a thread, so that its writer does not wait for the analysis.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;
/// How many chunks wait at most; 32 MiB.
const CHUNKS: usize = 128;

/// What a thread has read.
struct Ahead {
    chunks: Receiver<io::Result<Chunk>>,
    /// Returns used buffers to the thread, which avoids allocating and zeroing new ones.
    used: Sender<Vec<u8>>,
    chunk: Chunk,
    /// How much of the chunk was handed over.
    at: usize,
}

/// Bytes of the stream: the first `length` bytes of a buffer.
#[derive(Default)]
struct Chunk {
    buffer: Vec<u8>,
    length: usize,
}

/// Hands over `reader`, read ahead, to `read`. If that ends early, the rest is not read.
pub(crate) fn read_ahead<T>(reader: impl Read + Send, read: impl FnOnce(&mut dyn Read) -> T) -> T {
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel(CHUNKS);
        let (used, spare) = channel();
        scope.spawn(move || fetch(reader, &sender, &spare));
        read(&mut Ahead { chunks, used, chunk: Chunk::default(), at: 0 })
    })
}

/// Ends at the end of the stream, at its first error, or when the receiver is gone.
fn fetch(mut reader: impl Read, sender: &SyncSender<io::Result<Chunk>>, spare: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = spare.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        let mut length = 0;
        let end = loop {
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break Some(None),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(Some(error)),
            }
            if length == buffer.len() {
                break None;
            }
        };
        // What came before an error is read before it.
        if length > 0 && sender.send(Ok(Chunk { buffer, length })).is_err() {
            return;
        }
        match end {
            None => {}
            Some(None) => return,
            Some(Some(error)) => {
                sender.send(Err(error)).ok();
                return;
            }
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.length && !buffer.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => {
                    let old = std::mem::replace(&mut self.chunk, chunk?);
                    self.at = 0;
                    if !old.buffer.is_empty() {
                        // The thread may have ended.
                        self.used.send(old.buffer).ok();
                    }
                }
                Err(_) => return Ok(0),
            }
        }
        let rest = &self.chunk.buffer[self.at..self.chunk.length];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_arrive_in_order_and_an_error_after_them() {
        let bytes: Vec<u8> = (0..2_000_003_u32).map(|n| (n % 251) as u8).collect();
        let whole = read_ahead(bytes.as_slice(), |reader| {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        assert_eq!(whole.unwrap(), bytes);
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("it broke"))
            }
        }
        let (read, error) = read_ahead(bytes.as_slice().chain(Broken), |reader| {
            let mut read = Vec::new();
            (reader.read_to_end(&mut read).unwrap_err().to_string(), read)
        });
        assert_eq!((read.as_str(), error), ("it broke", bytes));
    }

    #[test]
    fn an_endless_stream_ends_with_its_reader() {
        let read = read_ahead(io::repeat(7), |reader| {
            let mut some = [0; 10];
            reader.read_exact(&mut some).map(|()| some)
        });
        assert_eq!(read.unwrap(), [7; 10]);
    }
}
