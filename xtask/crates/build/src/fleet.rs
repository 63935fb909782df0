//! Figures of all images of an edition together: what a host pulls, and what an attacker finds.

use serde::{Deserialize, Serialize};

use contents::record::Surface;
use model::bytes::Bytes;
use model::edition::Edition;

/// All optimized images of one edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// The edition.
    pub edition: Edition,
    /// How many images are there and counted.
    pub images: usize,
    /// Services whose optimized image is not there.
    pub missing: Vec<String>,
    /// Layers, shared ones once.
    pub layers: usize,
    /// Bytes that a host without any of them pulls: layers packed with gzip at its default level, as docker pushes them,
    /// shared ones once. Docker's own gzip writes some two percent more (26.7 MB where this said 26.1 MB, measured at a
    /// registry); manifests and configurations, some kilobytes each, are not in it.
    pub pull: Bytes,
    /// What a host that has the images of another tag pulls, where one was named.
    pub since: Option<Upgrade>,
    /// What an attacker finds, a row a service.
    pub surface: Vec<SurfaceRow>,
}

/// From one tag to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The tag that the host has, without the variant's suffix.
    pub from: String,
    /// Layers that it has not.
    pub layers: usize,
    /// Their packed bytes.
    pub moved: Bytes,
    /// Services of which there is no image under that tag: the host pulls all of theirs that no other image shares.
    pub missing: Vec<String>,
}

/// One service's surface in both variants; `None` where the image is not there.
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
    /// Sums over services of which both variants are there, the original first; `None` where there is none.
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
