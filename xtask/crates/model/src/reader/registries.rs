//! Reads `registries`, which hold this project's images.

use crate::image_ref::Registry;
use crate::reader::fields::Fields;

/// Each is `HOST[:PORT][/PATH]` or a namespace on Docker Hub.
pub(super) fn read(root: &mut Fields<'_, '_>) -> Vec<String> {
    let registries = root.texts("registries");
    let is_registry = |text: &str| {
        text.parse::<Registry>().is_ok() || format!("docker.io/{text}").parse::<Registry>().is_ok()
    };
    for text in registries.iter().filter(|text| !is_registry(text)) {
        let what = format!("invalid registry `{text}`: use HOST[:PORT][/PATH], or a namespace on Docker Hub");
        root.fault("registries", what);
    }
    registries
}
