//! Image labels, by which `clean` and other commands recognize the project's images.

use std::collections::BTreeMap;

use crate::environment::BuildEnvironment;
use crate::request::ServiceImage;
use crate::sources;
use engine::labels;
use host::paths::Repository;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// The labels of a service's image.
pub(crate) fn of(
    service: &Service,
    image: &ServiceImage,
    version: &str,
    manifest: &Manifest,
    environment: &BuildEnvironment,
    repository: &Repository,
) -> BTreeMap<String, String> {
    let (project, variant, edition) = (&manifest.project, image.variant, image.edition);
    let mut labels = BTreeMap::from([
        (labels::TITLE.to_owned(), service.title().to_owned()),
        (labels::REVISION.to_owned(), environment.revision.clone()),
        (labels::variant(project), variant.to_string()),
        (labels::bases(project), environment.bases.name().to_owned()),
    ]);
    if !version.is_empty() {
        labels.insert(labels::VERSION.to_owned(), version.to_owned());
    }
    if !edition.is_none() {
        labels.insert(labels::edition(project), edition.to_string());
    }
    // A record of an original's responses needs the hash to know when it is out of date. If the context cannot be
    // hashed, the image is built without the label.
    if variant == Variant::Original
        && service.has_twin()
        && let Some(dockerfile) = service.dockerfile(variant)
        && let Ok(hash) = sources::hash(dockerfile, repository)
    {
        labels.insert(labels::sources(project), hash);
    }
    labels
}
