//! A file of requests for an image without a manifest: the probes of one service.

use host::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeSet;

use crate::file;
use crate::placeholders::RUN;
use crate::probe::Probe;
use crate::reader::place::{Faults, Place};
use crate::reader::{load, probes, values};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RequestFile {
    probe: Vec<file::Probe>,
}

/// Parses `[[probe]]` tables with the keys of `[[service.NAME.probe]]`, except `only`. Errors show `name` as the file.
///
/// # Errors
/// All faults with their lines.
pub fn requests(text: &str, name: &str, service: &str) -> Result<Vec<Probe>, Failure> {
    let faults = Faults::new(text);
    let probes = read(text, service, &faults).unwrap_or_default();
    if faults.is_empty() { Ok(probes) } else { Err(faults.into_failure("requests", name)) }
}

fn read(text: &str, service: &str, faults: &Faults<'_>) -> Option<Vec<Probe>> {
    let root = load::document(text, faults)?;
    let place = Place::root(&root, faults);
    let file: RequestFile = values::read(&place)?;
    let list = place.key("probe");
    if file.probe.is_empty() && faults.is_empty() {
        place.fault("declare at least one [[probe]]");
    }
    Some(probes::of_service(&file.probe, &list, service, &[], &mut BTreeSet::from([RUN.to_owned()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_need_no_manifest() {
        let text = "[[probe]]\nname = \"page\"\nrequest = { get = \"/\" }\n";
        let probes = requests(text, "r.toml", "web").unwrap();
        assert_eq!(
            (probes[0].name.as_str(), probes[0].service.as_str(), probes[0].expect.status),
            ("page", "web", 200)
        );
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        for (text, fault) in [
            ("", "r.toml:1: declare at least one [[probe]]"),
            ("probe = []\n", "declare at least one [[probe]]"),
            (
                "[[probe]]\nname = \"a\"\nrequest = { get = \"x\" }\n",
                "r.toml:3: probe.request.get: invalid path `x`",
            ),
            (
                "[[probe]]\nname = \"a\"\nrequest = { get = \"/\" }\nstats = 1\n",
                "r.toml:4: probe: unknown key `stats`",
            ),
            ("[[probe", "r.toml:1:"),
        ] {
            let failure = requests(text, "r.toml", "web").unwrap_err().to_string();
            assert!(failure.contains(fault), "{text:?}: {failure}");
        }
    }
}
