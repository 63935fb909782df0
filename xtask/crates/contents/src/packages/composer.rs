//! PHP packages (`vendor/composer/installed.json`, Composer): a list in Composer 1, an object with `packages` and their
//! folders in Composer 2.

use serde::Deserialize;
use serde_json::Value;

use crate::facts::{Ecosystem, Installed};
use crate::packages::Refused;
use crate::paths::{PathBudget, folder};

/// The name of the owner of Composer's own files in the `vendor` folder: its autoloader, links to programs.
const AUTOLOADER: &str = "autoloader";

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    First(Vec<Package>),
    Second { packages: Vec<Package> },
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default, rename = "install-path")]
    place: Option<String>,
    #[serde(default)]
    license: Value,
}

/// The installed packages.
pub fn read(path: &str, bytes: &[u8], budget: &mut PathBudget) -> Result<Vec<Installed>, Refused> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|_| "not a list of packages as Composer writes it".to_owned())?;
    let packages = match file {
        File::First(packages) | File::Second { packages } => packages,
    };
    let (composer, vendor) = (folder(path), folder(folder(path)));
    let package = |package: Package| {
        // Tags may begin with a `v`, which is not part of the version.
        let version = package.version.strip_prefix('v').unwrap_or(&package.version);
        let mut found = Installed::new(Ecosystem::Composer, &package.name, version);
        found.folders = match &package.place {
            Some(place) => budget.joined(composer, place),
            None => budget.joined(vendor, &package.name),
        }
        // A path to the project itself would own everything.
        .filter(|place| place.len() > vendor.len())
        .into_iter()
        .collect();
        found.package.licence = match &package.license {
            Value::String(licence) => Some(licence.clone()),
            Value::Array(all) => all.first().and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        found
    };
    let mut found: Vec<Installed> = packages.into_iter().map(package).collect();
    let mut own = Installed::new(Ecosystem::Composer, AUTOLOADER, "");
    own.folders = vec![composer.to_owned(), format!("{vendor}/bin").trim_start_matches('/').to_owned()];
    own.files = vec![format!("{vendor}/autoload.php").trim_start_matches('/').to_owned()];
    found.push(own);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "app/vendor/composer/installed.json";

    fn folders(json: &str) -> Vec<(String, String, Vec<String>)> {
        let found = read(AT, json.as_bytes(), &mut PathBudget::default()).unwrap();
        found.into_iter().map(|found| (found.package.name, found.package.version, found.folders)).collect()
    }

    #[test]
    fn both_versions_of_the_format_are_read() {
        let second = r#"{"packages":[{"name":"monolog/monolog","version":"3.5.0","license":["MIT"],
            "install-path":"../monolog/monolog"}],"dev":false,"dev-package-names":[]}"#;
        let first = r#"[{"name":"monolog/monolog","version":"v3.5.0","license":["MIT"]}]"#;
        for json in [second, first] {
            let found = folders(json);
            let package = (
                "monolog/monolog".to_owned(),
                "3.5.0".to_owned(),
                vec!["app/vendor/monolog/monolog".to_owned()],
            );
            assert_eq!(found[0], package);
            assert_eq!(found[1].2, ["app/vendor/composer", "app/vendor/bin"]);
        }
    }

    #[test]
    fn a_package_owns_nothing_above_the_vendor_folder() {
        let found = folders(r#"[{"name":"a/b","install-path":"../../../../.."},{"name":"../../c"}]"#);
        assert!(found[0].2.is_empty() && found[1].2.is_empty(), "{found:?}");
        assert!(read(AT, b"{}", &mut PathBudget::default()).is_err());
    }
}
