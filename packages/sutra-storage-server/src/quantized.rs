//! Vectors in 8 bits: a quarter of the memory, and of the time to scan them. Their similarities are approximate to about
//! 0.001, enough to choose candidates that are then compared exactly.

#[cfg(target_arch = "x86_64")]
use pulp::{NullaryFnOnce, x86::V3};

/// The largest code, so that codes are symmetric.
const MAX_CODE: f32 = 127.0;

/// A query, prepared for many comparisons.
#[derive(Debug)]
pub(crate) struct Query {
    numbers: Vec<i16>,
    /// What a sum of products is multiplied with, besides the row's scale.
    scale: f32,
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
        Self { numbers, scale }
    }

    /// Numbers per vector.
    pub(crate) fn dimension(&self) -> usize {
        self.numbers.len()
    }

    /// Appends the approximate cosine similarity of each row. `codes` are the rows' codes one after another.
    pub(crate) fn similarities(&self, codes: &[i8], scales: &[f32], similarities: &mut Vec<f32>) {
        let mut sums = Vec::with_capacity(scales.len());
        dot_products(&self.numbers, codes, &mut sums);
        #[expect(clippy::cast_precision_loss, reason = "approximate anyway")]
        similarities.extend(sums.iter().zip(scales).map(|(&sum, scale)| sum as f32 * scale * self.scale));
    }
}

/// Appends the codes of a vector that is not all zero, and returns the row's scale.
pub(crate) fn quantize(vector: &[f32], codes: &mut Vec<i8>) -> f32 {
    let (numbers, scale) = scaled(vector, MAX_CODE);
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_CODE")]
    codes.extend(numbers.map(|number| number as i8));
    scale
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

/// Appends the dot product of `query` with each row. The image is compiled for size, so the compiler uses no vector
/// instructions of its own accord.
fn dot_products(query: &[i16], codes: &[i8], sums: &mut Vec<i32>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = V3::try_new() {
        v3.vectorize(WithAvx2 { v3, query, codes, sums });
        return;
    }
    sums.extend(codes.chunks_exact(query.len()).map(|row| dot(query, row)));
}

fn dot(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// The same on processors of level x86-64-v3, which have AVX2: 32 products at a time.
#[cfg(target_arch = "x86_64")]
struct WithAvx2<'a> {
    v3: V3,
    query: &'a [i16],
    codes: &'a [i8],
    sums: &'a mut Vec<i32>,
}

#[cfg(target_arch = "x86_64")]
impl NullaryFnOnce for WithAvx2<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v3, query, codes, sums } = self;
        let (pairs, rest) = query.as_chunks::<32>();
        for row in codes.chunks_exact(query.len()) {
            let (row_pairs, row_rest) = row.as_chunks::<32>();
            let (mut low, mut high) = (v3.splat_i32x8(0), v3.splat_i32x8(0));
            for (numbers, codes) in pairs.iter().zip(row_pairs) {
                let numbers: [[i16; 16]; 2] = pulp::cast(*numbers);
                let codes: [[i8; 16]; 2] = pulp::cast(*codes);
                let codes = codes.map(|codes| v3.convert_i8x16_to_i16x16(pulp::cast(codes)));
                let products = |half: usize| {
                    v3.multiply_wrapping_add_adjacent_i16x16(codes[half], pulp::cast(numbers[half]))
                };
                low = v3.wrapping_add_i32x8(low, products(0));
                high = v3.wrapping_add_i32x8(high, products(1));
            }
            let lanes: [i32; 8] = pulp::cast(v3.wrapping_add_i32x8(low, high));
            sums.push(lanes.iter().sum::<i32>() + dot(rest, row_rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(query: &[f32], vector: &[f32]) -> f32 {
        let (mut codes, mut similarities) = (Vec::new(), Vec::new());
        let scale = quantize(vector, &mut codes);
        Query::new(query).similarities(&codes, &[scale], &mut similarities);
        similarities[0]
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
        for dimension in [1, 2, 3, 31, 32, 33, 100, 384, 1000, 4096, 65_535] {
            let (query, vector) = (random(dimension, &mut state), random(dimension, &mut state));
            let (approximate, exact) = (similarity(&query, &vector), cosine(&query, &vector));
            assert!((approximate - exact).abs() < 0.005, "{dimension}: {approximate} {exact}");
        }
    }

    #[test]
    fn vector_instructions_compute_the_same() {
        let mut state = 1;
        for dimension in [1, 31, 32, 33, 64, 100, 384] {
            let (query, vector) = (random(dimension, &mut state), random(dimension, &mut state));
            let (query, mut codes, mut sums) = (Query::new(&query), Vec::new(), Vec::new());
            quantize(&vector, &mut codes);
            dot_products(&query.numbers, &codes, &mut sums);
            assert_eq!(sums, [dot(&query.numbers, &codes)], "{dimension}");
        }
    }

    #[test]
    fn the_largest_sums_fit() {
        for dimension in [384, 4096, 65_535] {
            let ones = vec![1.0; dimension];
            assert!((similarity(&ones, &ones) - 1.0).abs() < 1e-3, "{dimension}");
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
            assert!((similarity(&query, &vector) - expected).abs() < 0.005, "{query:?} {vector:?}");
            assert!((cosine(&query, &vector) - expected).abs() < 1e-6, "{query:?} {vector:?}");
        }
    }
}
