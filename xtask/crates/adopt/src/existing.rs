//! A manifest that exists: what an adoption would add to it.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::manifest::{services, top_keys};
use crate::{AdoptedService, Adoption};

/// The manifest with what it lacks; the same text if it lacks nothing.
///
/// # Errors
/// When it is not TOML: the parser's message, with line and column.
pub fn with_additions(text: &str, adoption: &Adoption) -> Result<String, String> {
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let mut known = BTreeSet::new();
    strings(&Value::Table(table.clone()), &mut known);
    let declared = table.get("service").and_then(Value::as_table);
    let is_declared = |service: &AdoptedService| {
        let folder = format!("{}/Dockerfile", service.build.context);
        let by_context = folder == service.build.dockerfile && known.contains(&service.build.context);
        declared.is_some_and(|all| all.contains_key(&service.name))
            || known.contains(&service.build.dockerfile)
            || by_context
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
