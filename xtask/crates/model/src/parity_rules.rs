//! Declared differences between the responses of two variants.

/// Minimum cosine similarity of two embeddings of the same text.
pub const LEAST_COSINE: f64 = 0.999;

/// Allowed differences between two responses. Places are JSON pointers in which `*` matches any one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParityRules {
    /// Values that differ in every run, such as job IDs and times. They must be present on both sides.
    pub ignore: Vec<String>,
    /// Vectors with a cosine similarity of at least [`LEAST_COSINE`] and lengths within 1 %.
    pub cosine: Vec<String>,
    /// Numbers that may differ by an absolute amount.
    pub tolerance: Option<Tolerance>,
    /// Texts whose words must be equal; white space is ignored.
    pub tokens: Vec<String>,
}

/// An allowed difference between numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tolerance {
    /// The places.
    pub at: Vec<String>,
    /// The largest absolute difference.
    pub by: f64,
}

impl ParityRules {
    /// All places named by the rules.
    pub fn places(&self) -> impl Iterator<Item = &String> {
        let tolerated = self.tolerance.iter().flat_map(|tolerance| &tolerance.at);
        self.ignore.iter().chain(&self.cosine).chain(&self.tokens).chain(tolerated)
    }
}
