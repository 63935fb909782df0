//! Artifacts of Skaffold files (`skaffold.yaml`, "build.artifacts").

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use host::files;
use stack::switch::document::{Document, NodeId};

/// Builders of artifacts that do not read a Dockerfile.
const OTHER_BUILDERS: [&str; 6] = ["bazel", "buildpacks", "custom", "jib", "kaniko", "ko"];

/// An image that Skaffold builds. Paths are relative to the root, unless they leave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub image: String,
    pub context: String,
    pub dockerfile: String,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    /// The builder, unless it is Docker.
    pub builder: Option<String>,
    /// Arguments whose value is a template that only Skaffold can fill.
    pub templates: Vec<String>,
}

/// The artifacts of a file, which is relative to the root. Those of profiles do not count.
pub(crate) fn artifacts(root: &Path, file: &str) -> Result<Vec<Artifact>> {
    let text = files::read(&root.join(file))?;
    let document = Document::parse(text.trim_start_matches('\u{feff}'))?;
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let all =
        document.roots().iter().filter_map(|top| document.get(document.get(*top, "build")?, "artifacts"));
    Ok(all.flat_map(|list| document.items(list)).filter_map(|id| artifact(&document, *id, folder)).collect())
}

fn artifact(document: &Document, id: NodeId, folder: &str) -> Option<Artifact> {
    let text = |id: NodeId, key: &str| document.get(id, key).and_then(|id| document.scalar(id));
    let image = text(id, "image")?.to_owned();
    let context = joined(folder, text(id, "context").unwrap_or("."));
    let docker = document.get(id, "docker");
    let of_docker = |key: &str| docker.and_then(|docker| text(docker, key));
    let (mut args, mut templates) = (BTreeMap::new(), Vec::new());
    let entries = docker.and_then(|docker| document.get(docker, "buildArgs"));
    for (name, value) in entries.map_or(&[][..], |entries| document.entries(entries)) {
        let (Some(name), Some(value)) = (document.scalar(*name), document.scalar(*value)) else { continue };
        if value.contains("{{") {
            templates.push(name.to_owned());
        } else {
            args.insert(name.to_owned(), value.to_owned());
        }
    }
    let builder = OTHER_BUILDERS.iter().find(|key| docker.is_none() && document.get(id, key).is_some());
    Some(Artifact {
        image,
        dockerfile: joined(&context, of_docker("dockerfile").unwrap_or("Dockerfile")),
        context,
        target: of_docker("target").map(str::to_owned),
        args,
        builder: builder.map(|builder| (*builder).to_owned()),
        templates,
    })
}

/// A path below a folder of the root; `.` for the root. A path that leaves the root starts with `..`.
pub(crate) fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_relative_to_their_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("app")).unwrap();
        let text = "apiVersion: skaffold/v4beta6\r\nkind: Config\r\nbuild:\r\n  artifacts:\r\n  - image: x/web\r\n    context: web\r\n\
                    \x20   docker: {dockerfile: ../d/web.Dockerfile, target: run, buildArgs: {A: '1', V: '{{.V}}'}}\r\n\
                    \x20 - image: gone\r\n    jib: {}\r\n---\r\nbuild:\r\n  artifacts: [{image: top, context: ..}]\r\n";
        std::fs::write(folder.path().join("app/skaffold.yaml"), text).unwrap();
        let found = artifacts(folder.path(), "app/skaffold.yaml").unwrap();
        let short: Vec<(&str, &str, &str)> = found
            .iter()
            .map(|one| (one.image.as_str(), one.context.as_str(), one.dockerfile.as_str()))
            .collect();
        assert_eq!(
            short,
            [
                ("x/web", "app/web", "app/d/web.Dockerfile"),
                ("gone", "app", "app/Dockerfile"),
                ("top", ".", "Dockerfile")
            ]
        );
        assert_eq!((found[0].target.as_deref(), found[0].args.len()), (Some("run"), 1));
        assert_eq!((found[0].templates.join(""), found[1].builder.as_deref()), ("V".to_owned(), Some("jib")));
        assert_eq!(joined("a", "../../x"), "../x");
    }
}
