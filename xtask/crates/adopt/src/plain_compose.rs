//! Reads Compose files without Docker: only services and builds that the main files define themselves.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::skaffold::joined;
use engine::dotenv;
use engine::interpolation::interpolate;
use host::files;
use model::manifest::Build;
use stack::switch::document::{Document, NodeId};

/// A service with a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlainService {
    pub name: String,
    pub build: Build,
    pub image: Option<String>,
}

/// The services of a file, which is relative to the root. Includes and extends are not followed.
pub(crate) fn services(root: &Path, file: &str) -> Result<Vec<PlainService>> {
    let text = files::read(&root.join(file))?;
    let document = Document::parse(text.trim_start_matches('\u{feff}'))
        .with_context(|| format!("cannot read {file}"))?;
    let environment = dotenv::environment();
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let dot_env = files::read_if_there(&root.join(joined(folder, ".env")))?.unwrap_or_default();
    let mut values = dotenv::variables(&dot_env, &environment);
    values.extend(environment);
    let reader = Reader { document: &document, values: &values, folder };
    let all = document.roots().iter().filter_map(|top| document.get(*top, "services"));
    let entries = all.flat_map(|id| document.entries(id));
    Ok(entries.filter_map(|(name, service)| reader.service(document.scalar(*name)?, *service)).collect())
}

struct Reader<'d> {
    document: &'d Document,
    values: &'d BTreeMap<String, String>,
    folder: &'d str,
}

impl Reader<'_> {
    fn service(&self, name: &str, id: NodeId) -> Option<PlainService> {
        let build = self.document.get(id, "build")?;
        let short = self.document.scalar(build).map(|text| self.filled(text));
        let context = short.or_else(|| self.text(build, "context")).unwrap_or_else(|| ".".to_owned());
        let context = joined(self.folder, &context);
        let args =
            self.document.get(build, "args").map(|args| self.document.entries(args)).unwrap_or_default();
        let scalar = |id: NodeId| self.document.scalar(id).map(|text| self.filled(text));
        let build = Build {
            dockerfile: joined(
                &context,
                &self.text(build, "dockerfile").unwrap_or_else(|| "Dockerfile".to_owned()),
            ),
            target: self.text(build, "target"),
            inline: self.text(build, "dockerfile_inline"),
            args: args.iter().filter_map(|(name, value)| Some((scalar(*name)?, scalar(*value)?))).collect(),
            context,
            ..Build::default()
        };
        Some(PlainService { name: name.to_owned(), build, image: self.text(id, "image") })
    }

    fn text(&self, id: NodeId, key: &str) -> Option<String> {
        self.document.scalar(self.document.get(id, key)?).map(|text| self.filled(text))
    }

    /// Replaces variables; returns the text unchanged if a required one is not set.
    fn filled(&self, text: &str) -> String {
        interpolate(text, &|name| self.values.get(name).cloned()).unwrap_or_else(|_| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_read_as_far_as_they_stand_there() {
        let folder = tempfile::tempdir().unwrap();
        let text = "services:\n  a: {build: ./a, image: 'x/a:${T:-1}'}\n  b:\n    build: &b {context: ., dockerfile: 'b/${D}', target: t, args: {X: 1}}\n\
                    \x20 c: {image: c}\n  d: {build: *b}\n";
        std::fs::write(folder.path().join("compose.yaml"), text).unwrap();
        std::fs::write(folder.path().join(".env"), "D=Dockerfile.b\n").unwrap();
        let found = services(folder.path(), "compose.yaml").unwrap();
        let short: Vec<(&str, &str, &str)> = found
            .iter()
            .map(|one| (one.name.as_str(), one.build.context.as_str(), one.build.dockerfile.as_str()))
            .collect();
        assert_eq!(
            short,
            [("a", "a", "a/Dockerfile"), ("b", ".", "b/Dockerfile.b"), ("d", ".", "b/Dockerfile.b")]
        );
        assert_eq!(found[0].image.as_deref(), Some("x/a:1"));
        assert_eq!(found[1].build.args["X"], "1");
    }
    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deploy")).unwrap();
        std::fs::write(folder.path().join("deploy/compose.yaml"), "services: {a: [\n").unwrap();
        let error = services(folder.path(), "deploy/compose.yaml").unwrap_err();
        assert!(format!("{error:#}").contains("deploy/compose.yaml"), "{error:#}");
    }
}
