//! All images of an edition together: download size and attack surface.

pub mod measure;
mod render;

use serde::{Deserialize, Serialize};

use contents::record::Surface;
use model::bytes::Bytes;
use model::edition::Edition;

/// All optimized images of one edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// The edition.
    pub edition: Edition,
    /// The number of images included.
    pub images: usize,
    /// Services whose optimized image is missing.
    pub missing: Vec<String>,
    /// The number of distinct layers.
    pub layers: usize,
    /// Bytes that a host without any of the images downloads: each distinct layer once, compressed with gzip at its default
    /// level as docker push does. Docker's own gzip output is about 2 % larger (26.7 MB against 26.1 MB in a registry).
    /// Manifests and configurations, a few kilobytes each, are not included.
    pub pull: Bytes,
    /// What a host with the images of another tag downloads, if one was named.
    pub since: Option<Upgrade>,
    /// The attack surface, one row per service.
    pub surface: Vec<SurfaceRow>,
}

/// An upgrade from one tag to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The tag on the host, without the variant's suffix.
    pub from: String,
    /// The number of layers the host lacks.
    pub layers: usize,
    /// Their compressed bytes.
    pub moved: Bytes,
    /// Services without an image under that tag. All their layers count, except those that other images share.
    pub missing: Vec<String>,
}

/// One service's attack surface in both variants; `None` if the image is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurfaceRow {
    /// The service.
    pub service: String,
    /// The original's.
    pub original: Option<Surface>,
    /// The optimized image's.
    pub optimized: Option<Surface>,
}

impl Fleet {
    /// Sums over the services with both variants, the original first; `None` if no service has both.
    pub fn surface_sums(&self) -> Option<(Surface, Surface)> {
        let both: Vec<(Surface, Surface)> =
            self.surface.iter().filter_map(|row| row.original.zip(row.optimized)).collect();
        let plus = |a: Surface, b: Surface| Surface {
            packages: a.packages + b.packages,
            executables: a.executables + b.executables,
            setuid: a.setuid + b.setuid,
        };
        both.into_iter().reduce(|(a, b), (c, d)| (plus(a, c), plus(b, d)))
    }
}
