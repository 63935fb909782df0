//! Conda packages (`conda-meta/NAME-VERSION-BUILD.json`, conda's "prefix record"): each lists its files, from the folder around
//! `conda-meta`. Unpacked packages also stay in `pkgs`.

use serde::Deserialize;

use crate::facts::{Ecosystem, Installed};
use crate::packages::Refused;
use crate::paths::{PathBudget, folder, joined};

#[derive(Deserialize)]
struct Record {
    name: String,
    version: String,
    #[serde(default)]
    build: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    subdir: Option<String>,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    r#fn: Option<String>,
    #[serde(default)]
    files: Vec<String>,
}

/// The package of one record.
pub fn read(path: &str, bytes: &[u8], budget: &mut PathBudget) -> Result<Installed, Refused> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut found = Installed::new(Ecosystem::Conda, record.name, record.version);
    let prefix = folder(folder(path));
    found.files = record.files.iter().filter_map(|file| budget.joined(prefix, file)).collect();
    found.files.push(path.to_owned());
    if let Some(build) = &record.build {
        let whole = format!("{}-{}-{build}", found.package.name, found.package.version);
        found.folders = vec![joined(prefix, &format!("pkgs/{whole}"))];
        let packed = [".conda", ".tar.bz2"].map(|ending| joined(prefix, &format!("pkgs/{whole}{ending}")));
        found.files.extend(packed);
    }
    // A channel may be an address that ends with the platform's folder.
    let channel = record.channel.as_deref().map(|channel| {
        let parts = channel.trim_end_matches('/').rsplit('/');
        parts.into_iter().find(|part| Some(*part) != record.subdir.as_deref()).unwrap_or(channel).to_owned()
    });
    let kind = record.r#fn.as_deref().and_then(|name| {
        [".conda", ".tar.bz2"]
            .into_iter()
            .find(|ending| name.ends_with(*ending))
            .map(|ending| ending[1..].to_owned())
    });
    let all = [("build", record.build), ("channel", channel), ("subdir", record.subdir), ("type", kind)];
    found.qualifiers = all
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.filter(|value| !value.is_empty())?)))
        .collect();
    found.package.licence = record.license;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purl;

    #[test]
    fn a_record_lists_its_files_below_the_prefix() {
        let json = br#"{"name":"zlib","version":"1.3.1","build":"h4ab18f5_1","build_number":1,"license":"Zlib",
            "channel":"https://conda.example/conda-forge/linux-64","subdir":"linux-64","fn":"zlib-1.3.1-h4ab18f5_1.conda",
            "files":["include/zlib.h","lib/libz.so.1.3.1","../../etc/passwd"]}"#;
        let found = read("opt/conda/conda-meta/zlib-1.3.1-h4ab18f5_1.json", json, &mut PathBudget::default())
            .unwrap();
        assert_eq!(found.files[..2], ["opt/conda/include/zlib.h", "opt/conda/lib/libz.so.1.3.1"]);
        assert_eq!(found.files[2..4], ["etc/passwd", "opt/conda/conda-meta/zlib-1.3.1-h4ab18f5_1.json"]);
        assert_eq!(found.folders, ["opt/conda/pkgs/zlib-1.3.1-h4ab18f5_1"]);
        assert_eq!(
            purl::installed(&found, None).as_deref(),
            Some("pkg:conda/zlib@1.3.1?build=h4ab18f5_1&channel=conda-forge&subdir=linux-64&type=conda")
        );
        assert!(read("conda-meta/x.json", b"[]", &mut PathBudget::default()).is_err());
    }
}
