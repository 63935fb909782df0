//! A manifest that exists: what an adoption would add to it.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::manifest::{services, top_keys};
use crate::{AdoptedService, Adoption};
use host::paths::Repository;
use model::manifest::{Service, StandIn};
use model::reader::parse_leniently;

/// What a manifest declares.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Its Compose files, possibly none; `None` if `compose` is not set.
    pub compose: Option<Vec<String>>,
    /// Its bake files; `None` if `bake` is not set.
    pub bake: Option<Vec<String>>,
    /// The builds that it ignores.
    pub ignore: Vec<String>,
    /// The manifest's file name.
    pub file: String,
    /// Its valid services.
    pub services: Vec<Service>,
    strings: BTreeSet<String>,
    contexts: BTreeSet<String>,
}

impl Declared {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is not TOML: the parser's message, with line and column.
    pub fn read(text: &str, repository: &Repository) -> Result<Declared, String> {
        let table = table(text)?;
        let manifest = parse_leniently(text, repository).unwrap_or_default();
        let bake = table.contains_key("bake").then_some(manifest.bake);
        let mut declared = Declared::of(&table);
        // Defaults of the manifest fill in paths that it does not spell out.
        let builds = manifest.services.iter().flat_map(|service| [&service.original, &service.optimized]);
        declared.strings.extend(builds.flatten().map(|build| build.dockerfile.clone()));
        declared.strings.extend(manifest.bases.into_iter().map(|base| base.dockerfile));
        let stand_ins = manifest.upstreams.into_iter().flat_map(|upstream| match upstream.stand_in {
            StandIn::Dockerfile { path, emulated, .. } => [Some(path), emulated],
            StandIn::Bootstrap { .. } => [None, None],
        });
        let stand_ins = stand_ins.flatten();
        declared.strings.extend(stand_ins);
        let services = manifest.services.into_iter().filter(|service| service.pulled.is_none()).collect();
        let (ignore, file) = (manifest.ignore, repository.manifest_name().to_owned());
        Ok(Declared { compose: manifest.compose, bake, ignore, file, services, ..declared })
    }

    fn of(table: &Table) -> Declared {
        let mut declared = Declared::default();
        strings(&Value::Table(table.clone()), &mut declared.strings);
        let services = table.get("service").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let contexts = services.filter_map(|service| service.get("context")?.as_str());
        declared.contexts = contexts.map(str::to_owned).collect();
        declared
    }

    /// Whether the manifest mentions a Dockerfile, also by its context.
    pub fn mentions(&self, dockerfile: &str) -> bool {
        let folder = dockerfile.strip_suffix("/Dockerfile");
        self.strings.contains(dockerfile) || folder.is_some_and(|folder| self.contexts.contains(folder))
    }
}

fn table(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())
}

/// The manifest with what it lacks; the same text if it lacks nothing.
///
/// # Errors
/// When it is not TOML: the parser's message, with line and column.
pub fn with_additions(text: &str, adoption: &Adoption) -> Result<String, String> {
    let table = table(text)?;
    let known = Declared::of(&table);
    let declared = table.get("service").and_then(Value::as_table);
    let is_declared = |service: &AdoptedService| {
        declared.is_some_and(|all| all.contains_key(&service.name))
            || known.mentions(&service.build.dockerfile)
    };
    let missing = services(adoption.services.iter().filter(|service| !is_declared(service)));
    let mut wanted = adoption.clone();
    if table.contains_key("compose") {
        wanted.compose = None;
    }
    if table.contains_key("bake") {
        wanted.bake.clear();
    }
    let keys = top_keys(&wanted);
    let mut out = String::with_capacity(text.len());
    // Top-level keys end where the first table begins.
    let first_table = text.match_indices('[').map(|(at, _)| at).find(|at| {
        let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
        text[line..*at].trim().is_empty() && is_table(&text[*at..])
    });
    let (top, tables) = text.split_at(first_table.unwrap_or(text.len()));
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = |text: &str| text.replace('\n', ending);
    match keys.is_empty() {
        true => out.push_str(top),
        false => {
            let kept = top.trim_end();
            out.push_str(kept);
            out.push_str(&line(&format!("\n{keys}")));
            out.push_str(if tables.is_empty() {
                ""
            } else {
                top[kept.len()..].strip_prefix(ending).unwrap_or(ending)
            });
        }
    }
    out.push_str(tables);
    if !missing.is_empty() {
        if !out.ends_with('\n') {
            out.push_str(ending);
        }
        out.push_str(&line(&missing));
    }
    Ok(out)
}

/// Whether a line starts a table, `[a.b]` or `[[a]]`, rather than continuing an array.
fn is_table(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default().split('#').next().unwrap_or_default().trim();
    let name = line.trim_start_matches('[').trim_end_matches(']');
    line.ends_with(']')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-\"' ".contains(c))
        && !name.starts_with(['"', '\''])
}

/// Every string value.
fn strings(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(out.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Table(table) => table.values().for_each(|item| strings(item, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use model::manifest::Build;

    fn adoption() -> Adoption {
        let service = |name: &str, context: &str| AdoptedService {
            name: name.to_owned(),
            origin: Origin::Dockerfile,
            build: Build {
                context: context.to_owned(),
                dockerfile: format!("{context}/Dockerfile"),
                ..Build::default()
            },
            image: None,
            ports: Vec::new(),
            health: None,
        };
        Adoption {
            bake: vec!["docker-bake.hcl".to_owned()],
            services: vec![service("a", "a"), service("b", "b")],
            ..Adoption::default()
        }
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let text =
            "schema = 2\r\ncompose = [\r\n  \"x.yml\",\r\n]\r\n\r\n[service.other]\r\ncontext = \"a\"\r\n";
        let once = with_additions(text, &adoption()).unwrap();
        assert_eq!(
            once,
            "schema = 2\r\ncompose = [\r\n  \"x.yml\",\r\n]\r\nbake = [\"docker-bake.hcl\"]\r\n\r\n[service.other]\r\n\
             context = \"a\"\r\n\r\n[service.b]\r\ncontext = \"b\"\r\n"
        );
        assert_eq!(with_additions(&once, &adoption()).unwrap(), once);
    }

    #[test]
    fn what_init_writes_lacks_nothing() {
        let text = crate::manifest::text(&adoption());
        assert_eq!(with_additions(&text, &adoption()).unwrap(), text);
    }

    #[test]
    fn an_invalid_manifest_is_an_error() {
        assert!(with_additions("schema = \n", &adoption()).unwrap_err().contains("line 1"));
    }
}
