//! An image to analyze.

use engine::images::Image;

/// An image to analyze.
#[derive(Debug, Clone)]
pub struct ImageToAnalyze {
    /// The reference that was requested.
    pub reference: String,
    /// The image that it names.
    pub image: Image,
}
