//! An image to analyze.

use engine::images::Image;
use engine::stored_image::StoredImage;

/// An image to analyze.
#[derive(Debug, Clone)]
pub struct ImageToAnalyze {
    /// The reference that was requested.
    pub reference: String,
    /// The image that it names.
    pub image: Image,
}

/// An image to analyze, wherever it is.
pub enum ImageSource {
    /// In the engine.
    Engine(Box<ImageToAnalyze>),
    /// In an archive, an image layout or a registry.
    Stored(Box<StoredImage>),
}
