//! Vectors in 8 bits: a quarter of the memory. The upper halves of the codes are stored apart from the lower ones, so that
//! a scan reads only half of that. Its similarities are approximate to about 0.01; those of whole codes to about 0.001. Both
//! only choose candidates, which are then compared exactly.

#[cfg(target_arch = "x86_64")]
use pulp::{NullaryFnOnce, x86::V3};

/// The largest code, so that codes are symmetric.
const MAX_CODE: f32 = 127.0;

/// What is added to a code, so that its halves are not negative.
const OFFSET: i32 = 128;

/// Twice the mean of a lower half, which a scan does not read.
const TWICE_MEAN_LOWER: i32 = 15;

/// Halves that are computed at once: two to a byte, the second half of them in the upper bits.
const GROUP: usize = 64;

/// Groups whose sums fit into 16 bits: 4 × 2 × 2 × 15 × 127 is less than 32,768.
#[cfg(target_arch = "x86_64")]
const GROUPS_IN_16_BITS: usize = 4;

/// Bytes of the upper halves of a row, and of the lower ones.
pub(crate) fn half_bytes(dimension: usize) -> usize {
    dimension.div_ceil(GROUP) * GROUP / 2
}

/// A query, prepared for many comparisons.
#[derive(Debug)]
pub(crate) struct Query {
    numbers: Vec<i16>,
    /// What a sum of products is multiplied with, besides the row's scale.
    scale: f32,
    /// The same for scans, filled up to whole groups.
    coarse: Vec<i8>,
    coarse_scale: f32,
    coarse_sum: i32,
}

impl Query {
    /// `vector` must not be all zero.
    pub(crate) fn new(vector: &[f32]) -> Self {
        // Sums of products of `vector.len()` numbers must fit into 32 bits.
        #[expect(clippy::cast_precision_loss, reason = "a few thousand numbers")]
        let sum_limit = i32::MAX as f32 / (MAX_CODE * vector.len() as f32);
        let largest = sum_limit.floor().min(f32::from(i16::MAX));
        let (numbers, scale) = scaled(vector, largest);
        #[expect(clippy::cast_possible_truncation, reason = "at most `largest`")]
        let numbers = numbers.map(|number| number as i16).collect();
        let (coarse, coarse_scale) = scaled(vector, MAX_CODE);
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_CODE")]
        let mut coarse: Vec<i8> = coarse.map(|number| number as i8).collect();
        coarse.resize(vector.len().next_multiple_of(GROUP), 0);
        let coarse_sum = coarse.iter().map(|&number| i32::from(number)).sum();
        Self { numbers, scale, coarse, coarse_scale, coarse_sum }
    }

    /// Numbers per vector.
    pub(crate) fn dimension(&self) -> usize {
        self.numbers.len()
    }

    /// Appends the approximate cosine similarity of each row. `upper` and `lower` have the rows' halves one after another.
    pub(crate) fn scan(&self, upper: &[u8], lower: &[u8], scales: &[f32], similarities: &mut Vec<f32>) {
        // The errors of a few numbers do not cancel out.
        if self.dimension() < GROUP {
            let half = half_bytes(self.dimension());
            let rows = upper.chunks_exact(half).zip(lower.chunks_exact(half)).zip(scales);
            similarities.extend(rows.map(|((upper, lower), &scale)| self.similarity(upper, lower, scale)));
            return;
        }
        let mut sums = Vec::with_capacity(scales.len());
        scan(&self.coarse, upper, &mut sums);
        #[expect(clippy::cast_precision_loss, reason = "approximate anyway")]
        let (sums, rest) = (
            sums.iter().map(|&sum| 16.0 * sum as f32),
            self.coarse_sum as f32 * (TWICE_MEAN_LOWER - 2 * OFFSET) as f32 / 2.0,
        );
        similarities.extend(sums.zip(scales).map(|(sum, scale)| (sum + rest) * scale * self.coarse_scale));
    }

    /// The cosine similarity of a row, less approximate.
    pub(crate) fn similarity(&self, upper: &[u8], lower: &[u8], scale: f32) -> f32 {
        let codes = (0..self.numbers.len()).map(|place| i32::from(code(upper, lower, place)) - OFFSET);
        let sum: i32 = self.numbers.iter().zip(codes).map(|(&number, code)| i32::from(number) * code).sum();
        #[expect(clippy::cast_precision_loss, reason = "approximate anyway")]
        let sum = sum as f32;
        sum * scale * self.scale
    }
}

/// The codes of a vector that is not all zero, and the row's scale.
pub(crate) fn quantize(vector: &[f32]) -> (Vec<u8>, f32) {
    let (numbers, scale) = scaled(vector, MAX_CODE);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 255")]
    let codes = numbers.map(|number| (number as i32 + OFFSET) as u8).collect();
    (codes, scale)
}

/// Writes the upper halves of `codes` into one slice and the lower ones into another, each [`half_bytes`] long.
pub(crate) fn split(codes: &[u8], upper: &mut [u8], lower: &mut [u8]) {
    upper.fill(0);
    lower.fill(0);
    for (place, &code) in codes.iter().enumerate() {
        let (byte, shift) = position(place);
        upper[byte] |= (code >> 4) << shift;
        lower[byte] |= (code & 15) << shift;
    }
}

/// The code of the number at `place`.
pub(crate) fn code(upper: &[u8], lower: &[u8], place: usize) -> u8 {
    let (byte, shift) = position(place);
    (upper[byte] >> shift & 15) << 4 | (lower[byte] >> shift & 15)
}

/// The byte of a half, and its place in the byte.
fn position(place: usize) -> (usize, usize) {
    let (group, place) = (place / GROUP, place % GROUP);
    (group * GROUP / 2 + place % (GROUP / 2), place / (GROUP / 2) * 4)
}

/// The vector, stretched so that its largest number becomes `largest`, and the factor that scales the result to length 1.
/// Computed in 64 bits, because squares of 32-bit floats overflow or underflow in 32.
fn scaled(vector: &[f32], largest: f32) -> (impl Iterator<Item = f32> + '_, f32) {
    let maximum = vector.iter().fold(0.0_f32, |maximum, number| maximum.max(number.abs()));
    let stretch = f64::from(largest) / f64::from(maximum);
    #[expect(clippy::cast_possible_truncation, reason = "both are of ordinary size")]
    let (numbers, scale) = (
        vector.iter().map(move |&number| (f64::from(number) * stretch).round() as f32),
        (1.0 / (length(vector) * stretch)) as f32,
    );
    (numbers, scale)
}

/// The exact cosine similarity.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1")]
    let cosine = (product / (length(a) * length(b))) as f32;
    cosine.clamp(-1.0, 1.0)
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt()
}

/// Appends the sum of products of `query` with the upper halves of each row. The image is compiled for size, so the
/// compiler uses no vector instructions of its own accord.
fn scan(query: &[i8], upper: &[u8], sums: &mut Vec<i32>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = V3::try_new() {
        v3.vectorize(WithAvx2 { v3, query, upper, sums });
        return;
    }
    sums.extend(upper.chunks_exact(query.len() / 2).map(|row| products(query, row)));
}

fn products(query: &[i8], row: &[u8]) -> i32 {
    let at = |(place, &number): (usize, &i8)| {
        let (byte, shift) = position(place);
        i32::from(number) * i32::from(row[byte] >> shift & 15)
    };
    query.iter().enumerate().map(at).sum()
}

/// The same on processors of level x86-64-v3, which have AVX2: 64 products at a time.
#[cfg(target_arch = "x86_64")]
struct WithAvx2<'a> {
    v3: V3,
    query: &'a [i8],
    upper: &'a [u8],
    sums: &'a mut Vec<i32>,
}

#[cfg(target_arch = "x86_64")]
impl NullaryFnOnce for WithAvx2<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v3, query, upper, sums } = self;
        let (query, _) = query.as_chunks::<GROUP>();
        let (mask, ones) = (v3.splat_u8x32(15), v3.splat_i16x16(1));
        for row in upper.chunks_exact(query.len() * GROUP / 2) {
            let (row, _) = row.as_chunks::<{ GROUP / 2 }>();
            let mut sum = v3.splat_i32x8(0);
            for (query, row) in query.chunks(GROUPS_IN_16_BITS).zip(row.chunks(GROUPS_IN_16_BITS)) {
                let mut short = v3.splat_i16x16(0);
                for (numbers, bytes) in query.iter().zip(row) {
                    let [first, second]: [[i8; 32]; 2] = pulp::cast(*numbers);
                    let shifted = pulp::cast(v3.shr_const_u16x16::<4>(pulp::cast(*bytes)));
                    let (lower, upper) =
                        (v3.and_u8x32(pulp::cast(*bytes), mask), v3.and_u8x32(shifted, mask));
                    // The first operand is unsigned. Without a loop over both: compiled for size, it would stay one.
                    let lower =
                        v3.multiply_saturating_add_adjacent_i8x32(pulp::cast(lower), pulp::cast(first));
                    let upper =
                        v3.multiply_saturating_add_adjacent_i8x32(pulp::cast(upper), pulp::cast(second));
                    short = v3.wrapping_add_i16x16(short, v3.wrapping_add_i16x16(lower, upper));
                }
                sum = v3.wrapping_add_i32x8(sum, v3.multiply_wrapping_add_adjacent_i16x16(short, ones));
            }
            let [a, b, c, d, e, f, g, h]: [i32; 8] = pulp::cast(sum);
            sums.push(a + b + c + d + e + f + g + h);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The similarities of a scan and of whole codes.
    fn similarities(query: &[f32], vector: &[f32]) -> (f32, f32) {
        let (codes, scale) = quantize(vector);
        let mut halves = [vec![1; half_bytes(vector.len())], vec![1; half_bytes(vector.len())]];
        let [upper, lower] = &mut halves;
        split(&codes, upper, lower);
        for (place, &expected) in codes.iter().enumerate() {
            assert_eq!(code(upper, lower, place), expected);
        }
        let (query, mut scanned) = (Query::new(query), Vec::new());
        query.scan(upper, lower, &[scale], &mut scanned);
        (scanned[0], query.similarity(upper, lower, scale))
    }

    /// Numbers between -1 and 1.
    fn random(count: usize, state: &mut u32) -> Vec<f32> {
        let mut next = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((*state >> 16) as u16) / 32768.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn similarities_are_close_to_the_exact_ones_in_every_dimension() {
        let mut state = 1;
        for dimension in [1, 2, 3, 31, 32, 33, 64, 65, 100, 384, 1000, 4096, 65_535] {
            let (query, vector) = (random(dimension, &mut state), random(dimension, &mut state));
            let ((scanned, whole), exact) = (similarities(&query, &vector), cosine(&query, &vector));
            assert!((whole - exact).abs() < 0.005, "{dimension}: {whole} {exact}");
            assert!((scanned - exact).abs() < 0.07, "{dimension}: {scanned} {exact}");
        }
    }

    #[test]
    fn vector_instructions_compute_the_same() {
        let mut state = 1;
        for dimension in [1, 31, 32, 33, 64, 100, 256, 320, 384] {
            let (query, vector) = (random(dimension, &mut state), random(dimension, &mut state));
            let mut halves = [vec![0; half_bytes(dimension)], vec![0; half_bytes(dimension)]];
            let [upper, lower] = &mut halves;
            split(&quantize(&vector).0, upper, lower);
            let (query, mut sums) = (Query::new(&query), Vec::new());
            scan(&query.coarse, upper, &mut sums);
            assert_eq!(sums, [products(&query.coarse, upper)], "{dimension}");
        }
    }

    #[test]
    fn the_largest_sums_fit() {
        for dimension in [384, 4096, 65_535] {
            let ones = vec![1.0; dimension];
            let (scanned, whole) = similarities(&ones, &ones);
            assert!((whole - 1.0).abs() < 1e-3, "{dimension}: {whole}");
            assert!((scanned - 1.0).abs() < 0.07, "{dimension}: {scanned}");
            let minus_ones = vec![-1.0; dimension];
            let (scanned, whole) = similarities(&ones, &minus_ones);
            assert!((whole + 1.0).abs() < 1e-3, "{dimension}: {whole}");
            assert!((scanned + 1.0).abs() < 0.07, "{dimension}: {scanned}");
        }
    }

    #[test]
    fn very_large_and_very_small_numbers_keep_their_direction() {
        for (query, vector, expected) in [
            ([3e38, 0.0], [1e30, 1e30], 0.5_f32.sqrt()),
            ([1e-38, 1e-38], [0.0, 1e-40], 0.5_f32.sqrt()),
            ([-1.0, 0.0], [3e38, 0.0], -1.0),
            ([1.0, 0.0], [0.0, 1e-30], 0.0),
        ] {
            let (scanned, whole) = similarities(&query, &vector);
            assert!((whole - expected).abs() < 0.005, "{query:?} {vector:?}: {whole}");
            assert!((scanned - expected).abs() < 0.07, "{query:?} {vector:?}: {scanned}");
            assert!((cosine(&query, &vector) - expected).abs() < 1e-6, "{query:?} {vector:?}");
        }
    }
}
