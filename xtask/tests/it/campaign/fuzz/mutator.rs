//! Derives inputs from a corpus by changing bytes, numbers, tokens, chunks and lines. Some inputs are large or deeply nested.

use fastrand::Rng;

/// Parts of a format's inputs.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    /// Words with a meaning in the format.
    pub tokens: &'static [&'static str],
    /// Openers and closers of nested structures.
    pub nests: &'static [(&'static str, &'static str)],
}

/// One in this many inputs is large.
const LARGE: u64 = 500;
/// The maximum size of large inputs in bytes.
const MOST_LARGE: usize = 1 << 20;
/// The maximum size of other inputs in bytes.
const MOST: usize = 1 << 16;

/// Limits of number types and other values that break parsers.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "00",
    "1e999",
    "0x",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
];
const INTEGERS: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];
const BYTES: [u8; 16] =
    [0, 1, b'\t', b'\n', b'\r', b' ', b'"', b'\'', b'\\', b'$', b'0', b'9', 0x7f, 0x80, 0xc3, 0xff];

/// Changes inputs at random.
pub struct Mutator<'c> {
    pub rng: Rng,
    pub files: &'c [Vec<u8>],
    pub vocabulary: Vocabulary,
    most: usize,
}

impl<'c> Mutator<'c> {
    pub fn new(rng: Rng, files: &'c [Vec<u8>], vocabulary: Vocabulary) -> Mutator<'c> {
        Mutator { rng, files, vocabulary, most: MOST }
    }

    /// A file of the corpus.
    pub fn file(&mut self) -> &'c [u8] {
        &self.files[self.rng.usize(..self.files.len())]
    }

    /// The number of changes; usually small, so that most of the file stays valid.
    pub fn changes(&mut self) -> u32 {
        1 + self.rng.u64(..).trailing_zeros().min(8)
    }

    /// Changes a text or any bytes.
    pub fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.changes() {
            self.once(bytes);
            bytes.truncate(self.most);
        }
        if self.rng.u64(..LARGE) == 0 {
            self.most = MOST_LARGE;
            if self.rng.bool() {
                self.repeat(bytes)
            } else {
                self.nest(bytes)
            }
            bytes.truncate(self.most);
            self.most = MOST;
        }
    }

    fn once(&mut self, bytes: &mut Vec<u8>) {
        match self.rng.u8(..15) {
            0 => self.flip(bytes),
            1 => self.replace_byte(bytes),
            2 | 3 => self.token(bytes),
            4 => self.delete(bytes),
            5 => self.duplicate(bytes),
            6 | 7 => self.splice(bytes),
            8 => bytes.truncate(self.rng.usize(..=bytes.len())),
            9 => self.nest_a_little(bytes),
            10 | 11 => self.number(bytes),
            12 => self.integer(bytes),
            _ => self.line(bytes),
        }
    }

    /// A random offset, including the end.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.rng.usize(..=bytes.len())
    }

    /// A random range, usually short.
    fn part(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        let most = if self.rng.bool() { 16 } else { bytes.len() };
        start..bytes.len().min(start + self.rng.usize(..=most))
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let at = self.rng.usize(..bytes.len());
            bytes[at] ^= 1 << self.rng.u8(..8);
        }
    }

    fn replace_byte(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let at = self.rng.usize(..bytes.len());
            bytes[at] = if self.rng.bool() { BYTES[self.rng.usize(..BYTES.len())] } else { self.rng.u8(..) };
        }
    }

    /// Inserts a token or overwrites bytes with it.
    fn token(&mut self, bytes: &mut Vec<u8>) {
        let token = self.vocabulary.tokens[self.rng.usize(..self.vocabulary.tokens.len())];
        let at = self.place(bytes);
        let end = if self.rng.bool() { at } else { bytes.len().min(at + token.len()) };
        bytes.splice(at..end, token.bytes());
    }

    fn delete(&mut self, bytes: &mut Vec<u8>) {
        let part = self.part(bytes);
        bytes.drain(part);
    }

    fn duplicate(&mut self, bytes: &mut Vec<u8>) {
        let part = self.part(bytes);
        let copy = bytes[part].to_vec();
        let at = self.place(bytes);
        bytes.splice(at..at, copy);
    }

    /// Inserts part of another file, or replaces the rest with it.
    fn splice(&mut self, bytes: &mut Vec<u8>) {
        let other = self.file();
        let part = self.part(other);
        let at = self.place(bytes);
        if self.rng.u8(..4) == 0 {
            bytes.truncate(at);
            bytes.extend(&other[part.start..]);
        } else {
            bytes.splice(at..at, other[part].iter().copied());
        }
    }

    fn nest_a_little(&mut self, bytes: &mut Vec<u8>) {
        let (open, close) = self.vocabulary.nests[self.rng.usize(..self.vocabulary.nests.len())];
        let part = self.part(bytes);
        let depth = self.rng.usize(1..200);
        let inner = bytes[part.clone()].to_vec();
        let nested = [open.repeat(depth).into_bytes(), inner, close.repeat(depth).into_bytes()].concat();
        bytes.splice(part, nested);
    }

    /// Nests as deeply as the size allows, with or without closers.
    fn nest(&mut self, bytes: &mut Vec<u8>) {
        let (open, close) = self.vocabulary.nests[self.rng.usize(..self.vocabulary.nests.len())];
        let room = self.rng.usize(..=self.most.saturating_sub(bytes.len()));
        let depth = room / (open.len() + close.len()).max(1);
        let at = self.place(bytes);
        let close = if self.rng.bool() { close.repeat(depth) } else { String::new() };
        bytes.splice(at..at, [open.repeat(depth), close].concat().into_bytes());
    }

    /// Repeats a part, a line or a token as often as the size allows.
    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let what = match self.rng.u8(..3) {
            0 => self.vocabulary.tokens[self.rng.usize(..self.vocabulary.tokens.len())].as_bytes().to_vec(),
            1 => bytes[self.part(bytes)].to_vec(),
            _ => bytes[self.line_at(bytes)].to_vec(),
        };
        let room = self.rng.usize(..=self.most.saturating_sub(bytes.len()));
        let at = self.place(bytes);
        bytes.splice(at..at, what.repeat(room / what.len().max(1)));
    }

    /// Replaces a number written in digits.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let from = self.place(bytes);
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = bytes[from..].iter().position(is_digit) else { return };
        let start = from + start;
        let length = bytes[start..].iter().take_while(|byte| is_digit(byte)).count();
        let number = NUMBERS[self.rng.usize(..NUMBERS.len())];
        bytes.splice(start..start + length, number.bytes());
    }

    /// Overwrites 1 to 8 bytes with an integer in either byte order.
    fn integer(&mut self, bytes: &mut [u8]) {
        let at = self.place(bytes);
        self.integer_at(bytes, at);
    }

    /// Overwrites 1 to 8 bytes at an offset.
    pub fn integer_at(&mut self, bytes: &mut [u8], at: usize) {
        let width = 1 << self.rng.u8(..4);
        let Some(place) = bytes.get_mut(at..at + width) else { return };
        let value = INTEGERS[self.rng.usize(..INTEGERS.len())].wrapping_add(self.rng.u64(..3));
        if self.rng.bool() {
            place.copy_from_slice(&value.to_le_bytes()[..width]);
        } else {
            place.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        }
    }

    /// The line at an offset, including its line ending.
    fn line_at(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let at = self.place(bytes);
        let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end + 1);
        start..end
    }

    /// Repeats, removes or moves a line, or changes its line ending.
    fn line(&mut self, bytes: &mut Vec<u8>) {
        let line = self.line_at(bytes);
        let copy = bytes[line.clone()].to_vec();
        match self.rng.u8(..6) {
            0 => drop(bytes.splice(line.start..line.start, copy)),
            1 => drop(bytes.drain(line)),
            2 => {
                bytes.drain(line);
                let at = self.line_at(bytes).start;
                bytes.splice(at..at, copy);
            }
            3 => {
                let ends = if bytes.contains(&b'\r') { "\n" } else { "\r\n" };
                *bytes =
                    String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\n', ends).into_bytes();
            }
            4 => drop(bytes.splice(0..0, "\u{feff}".bytes())),
            _ => {
                let other = self.file();
                let copy = &other[self.line_at(other)];
                bytes.splice(line.start..line.start, copy.iter().copied());
            }
        }
    }
}
