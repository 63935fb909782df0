//! .NET applications (`NAME.deps.json`, .NET's "runtime configuration files"): the packages and projects that an application was
//! published with, and their files beside it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::facts::{Ecosystem, Installed};
use crate::packages::Refused;
use crate::paths::{PathBudget, folder};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deps {
    runtime_target: Target,
    #[serde(default)]
    targets: BTreeMap<String, BTreeMap<String, Files>>,
    #[serde(default)]
    libraries: BTreeMap<String, Library>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Named { name: String },
    Name(String),
}

/// Files by their path in the package.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Files {
    runtime: BTreeMap<String, Value>,
    native: BTreeMap<String, Value>,
    resources: BTreeMap<String, Value>,
    runtime_targets: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Library {
    #[serde(default, rename = "type")]
    kind: String,
}

/// The packages and projects of one application.
pub fn read(path: &str, bytes: &[u8], budget: &mut PathBudget) -> Result<Vec<Installed>, Refused> {
    // Windows tools start files with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut deps: Deps = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let name = match &deps.runtime_target {
        Target::Named { name } | Target::Name(name) => name,
    };
    let target = deps.targets.remove(name).ok_or("its target is missing")?;
    let place = folder(path);
    let mut found = Vec::new();
    for (label, files) in target {
        let Some((name, version)) = label.split_once('/') else { continue };
        let kind = deps.libraries.get(&label).map_or("", |library| library.kind.as_str());
        // The runtime pack of a self-contained application is a package as well.
        let name = name.strip_prefix("runtimepack.").unwrap_or(name);
        let ecosystem = if kind == "project" { Ecosystem::Project } else { Ecosystem::Nuget };
        let mut package = Installed::new(ecosystem, name, version);
        package.files = published(&files).filter_map(|file| budget.joined(place, &file)).collect();
        if kind == "project" {
            let own = of_project(path, name);
            package.files.extend(own.iter().filter_map(|file| budget.joined(place, file)));
        }
        found.push(package);
    }
    Ok(found)
}

/// Where publishing puts files: beside the application, in a folder for their language, or below `runtimes`.
fn published(files: &Files) -> impl Iterator<Item = String> {
    let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
    let beside = files.runtime.keys().chain(files.native.keys()).map(name);
    let translated = files.resources.iter().filter_map(move |(path, about)| {
        Some(format!("{}/{}", about.get("locale")?.as_str()?, path.rsplit('/').next()?))
    });
    beside.chain(translated).chain(files.runtime_targets.keys().cloned())
}

/// What a build writes for a project, beside its list.
fn of_project(path: &str, name: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".deps.json");
    let is_main = stem.rsplit('/').next() == Some(name);
    let at = |ending: &str| format!("{name}{ending}");
    let mut files: Vec<String> = [".dll", ".pdb", ".xml"].map(at).to_vec();
    if is_main {
        files.extend([".deps.json", ".runtimeconfig.json", "", ".staticwebassets.endpoints.json"].map(at));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPS: &str = r#"{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0","signature":""},"compilationOptions":{},
        "targets":{".NETCoreApp,Version=v8.0":{
            "Shop/1.0.0":{"dependencies":{"Npgsql":"8.0.1"},"runtime":{"Shop.dll":{}}},
            "Npgsql/8.0.1":{"runtime":{"lib/net8.0/Npgsql.dll":{"assemblyVersion":"8.0.1.0","fileVersion":"8.0.1.0"}}},
            "Humanizer.Core.de/2.14.1":{"resources":{"lib/net6.0/de/Humanizer.resources.dll":{"locale":"de"}}},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"native":{"libcoreclr.so":{"fileVersion":"0.0.0.0"}}},
            "SQLitePCLRaw/2.1.6":{"runtimeTargets":{"runtimes/linux-x64/native/libe_sqlite3.so":{"rid":"linux-x64"}}}}},
        "libraries":{"Shop/1.0.0":{"type":"project"},"Npgsql/8.0.1":{"type":"package","path":"npgsql/8.0.1"}}}"#;

    #[test]
    fn packages_own_the_files_that_were_published() {
        let found = read("app/Shop.deps.json", DEPS.as_bytes(), &mut PathBudget::default()).unwrap();
        let of = |name: &str| found.iter().find(|found| found.package.name == name).unwrap();
        assert_eq!(of("Npgsql").files, ["app/Npgsql.dll"]);
        assert_eq!(of("Humanizer.Core.de").files, ["app/de/Humanizer.resources.dll"]);
        assert_eq!(of("Microsoft.NETCore.App.Runtime.linux-x64").files, ["app/libcoreclr.so"]);
        assert_eq!(of("SQLitePCLRaw").files, ["app/runtimes/linux-x64/native/libe_sqlite3.so"]);
        assert_eq!((of("Shop").ecosystem, of("Npgsql").ecosystem), (Ecosystem::Project, Ecosystem::Nuget));
        assert!(of("Shop").files.contains(&"app/Shop.runtimeconfig.json".to_owned()));
    }

    #[test]
    fn damaged_lists_are_refused() {
        for json in ["", "[]", "{}", r#"{"runtimeTarget":{"name":"x"},"targets":{}}"#] {
            assert!(read("a.deps.json", json.as_bytes(), &mut PathBudget::default()).is_err(), "{json}");
        }
    }
}
