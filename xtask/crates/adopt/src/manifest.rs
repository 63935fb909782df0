//! Writes the manifest of an adoption: only what Docker's own files do not define.

use std::fmt::Write as _;

use crate::{AdoptedService, Adoption};
use model::image_ref::repository_of;

/// The whole manifest.
pub fn text(adoption: &Adoption) -> String {
    let mut out =
        String::from("# The images of this repository; see docs/manifest.md of the tool for all keys.\n");
    out.push_str("schema = 2\n");
    out.push_str(&top_keys(adoption));
    if adoption.services.iter().any(|one| one.origin.is_told_by_docker()) {
        let files = if adoption.bake.is_empty() { "Compose files" } else { "bake files" };
        let _ = writeln!(out, "\n# Images that the {files} build need no entry here.");
    }
    out.push_str(&services(adoption.services.iter()));
    out
}

/// The keys before the first table, except `schema`.
pub(crate) fn top_keys(adoption: &Adoption) -> String {
    let mut out = String::new();
    let bake = Some(&adoption.bake).filter(|files| !files.is_empty());
    for (key, files) in [("compose", adoption.compose.as_ref()), ("bake", bake)] {
        if let Some(files) = files {
            let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
            let _ = writeln!(out, "{key} = [{}]", files.join(", "));
        }
    }
    out
}

/// The tables of the services that Docker's own files do not define.
pub(crate) fn services<'s>(all: impl Iterator<Item = &'s AdoptedService>) -> String {
    let mut out = String::new();
    for service in all.filter(|service| service.origin.needs_entry()) {
        let build = &service.build;
        let _ = writeln!(out, "\n[service.{}]", service.name);
        if build.context != "." {
            let _ = writeln!(out, "context = {}", quoted(&build.context));
        }
        // The default is the `Dockerfile` of the context.
        if build.context == "." || build.dockerfile != format!("{}/Dockerfile", build.context) {
            let _ = writeln!(out, "dockerfile = {}", quoted(&build.dockerfile));
        }
        if let Some(target) = &build.target {
            let _ = writeln!(out, "target = {}", quoted(target));
        }
        if !build.args.is_empty() {
            let args: Vec<String> =
                build.args.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
            let _ = writeln!(out, "args = {{ {} }}", args.join(", "));
        }
        // The default is the service's name.
        if let Some(image) =
            service.image.as_deref().map(repository_of).filter(|image| *image != service.name)
        {
            let _ = writeln!(out, "image = {}", quoted(image));
        }
    }
    out
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A bare key, or a quoted one.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use model::manifest::Build;

    #[test]
    fn only_what_docker_cannot_tell_is_written() {
        let service = |name: &str, origin, context: &str, dockerfile: &str| AdoptedService {
            name: name.to_owned(),
            origin,
            build: Build {
                context: context.to_owned(),
                dockerfile: dockerfile.to_owned(),
                ..Build::default()
            },
            image: None,
            ports: vec![80],
            health: None,
        };
        let mut special = service("c", Origin::Skaffold, ".", "docker/c.Dockerfile");
        special.build.args.insert("A.B".to_owned(), "x\"y\n".to_owned());
        special.build.target = Some("run".to_owned());
        special.image = Some("hub.example/team/c:1".to_owned());
        let services = vec![
            service("a", Origin::Compose, "a", "a/Dockerfile"),
            service("b", Origin::Dockerfile, "b", "b/Dockerfile"),
            special,
        ];
        let adoption = Adoption { services, ..Adoption::default() };
        assert_eq!(
            text(&adoption),
            "# The images of this repository; see docs/manifest.md of the tool for all keys.\nschema = 2\n\n\
             # Images that the Compose files build need no entry here.\n\n[service.b]\ncontext = \"b\"\n\n[service.c]\n\
             dockerfile = \"docker/c.Dockerfile\"\ntarget = \"run\"\nargs = { \"A.B\" = \"x\\\"y\\n\" }\n\
             image = \"hub.example/team/c\"\n"
        );
    }
}
