//! The Dockerfile line of each layer. The image's history has the instructions. For images of this repository they are searched
//! for in the Dockerfiles of the manifest, including those of bases. Layers that match no line keep their instruction.

use anyhow::Result;

use crate::record::{Contents, Origin};
use engine::images::{HistoryEntry, Image};
use engine::labels;
use engine::layers::makers;
use host::files;
use host::paths::Repository;
use model::bytes::Bytes;
use model::dockerfile::last_stage;
use model::manifest::{Manifest, StandIn};
use model::variant::Variant;

/// Most Dockerfiles that start from each other; more is a cycle.
const MAX_DEPTH: usize = 8;

/// Fills in the instructions and origins of layers.
///
/// # Errors
/// When a Dockerfile that the manifest names cannot be read.
pub fn find(
    contents: &mut Contents,
    image: &Image,
    history: &[HistoryEntry],
    manifest: &Manifest,
    repository: &Repository,
) -> Result<()> {
    let sizes: Vec<Bytes> = contents.layers.iter().map(|layer| layer.bytes).collect();
    for (layer, line) in contents.layers.iter_mut().zip(makers(&sizes, history)) {
        layer.instruction = line.map(|line| instruction(&line.created_by));
    }
    let Some((file, name)) = dockerfile(image, manifest) else { return Ok(()) };
    let stand_ins = image.is_on_stand_ins(&manifest.project);
    let edition = image.label(&labels::edition(&manifest.project)).unwrap_or_default();
    let lines = Lines { manifest, repository, stand_ins, edition };
    let written = lines.of(&file, &name, false, MAX_DEPTH)?;
    let history: Vec<&str> =
        contents.layers.iter().map(|layer| layer.instruction.as_deref().unwrap_or_default()).collect();
    for (layer, origin) in align(&history, &written) {
        contents.layers[layer].origin = Some(origin.clone());
    }
    Ok(())
}

/// The Dockerfile of an image, and the image's name in the manifest. Inline Dockerfiles and pulled images have none.
fn dockerfile(image: &Image, manifest: &Manifest) -> Option<(String, String)> {
    let label = image.label(&labels::variant(&manifest.project));
    let variant = Variant::ALL.into_iter().find(|variant| label == Some(variant.name()));
    let title = image.label(labels::TITLE);
    if let Some((variant, service)) =
        variant.zip(manifest.services.iter().find(|service| title == Some(service.title())))
    {
        return Some((service.dockerfile(variant)?.to_owned(), service.image.clone()));
    }
    let names: Vec<&str> = image
        .repo_tags
        .iter()
        .flatten()
        .filter_map(|tag| tag.rsplit_once(':'))
        .map(|(name, _)| name)
        .collect();
    let base = manifest.bases.iter().find(|base| names.contains(&base.reference.as_str()))?;
    Some((base.dockerfile.clone(), base.reference.clone()))
}

/// An instruction without the shell, build arguments and comments that builders add to history.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim().trim_end_matches("# buildkit").trim_end();
    let text = text.strip_prefix("/bin/sh -c #(nop)").map(str::trim_start).unwrap_or(text);
    let run = text.strip_prefix("RUN ").unwrap_or(text);
    let text = match run.split_once("/bin/sh -c ") {
        // The classic builder writes no keyword. `|2 A=b C=d` are build arguments.
        Some((before, command)) if before.is_empty() || before.starts_with('|') => format!("RUN {command}"),
        _ => text.to_owned(),
    };
    collapsed(&text)
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An instruction in a Dockerfile that creates a layer.
#[derive(Debug, Clone)]
struct Written {
    origin: Origin,
    keyword: String,
    arguments: String,
}

struct Lines<'a> {
    manifest: &'a Manifest,
    repository: &'a Repository,
    /// Whether stand-ins replaced upstream images.
    stand_ins: bool,
    /// The edition that the image was built for.
    edition: &'a str,
}

impl Lines<'_> {
    /// The instructions of a Dockerfile and of its bases, oldest first.
    fn of(&self, file: &str, image: &str, base: bool, depth: usize) -> Result<Vec<Written>> {
        let (Some(path), Some(deeper)) = (self.repository.file(file), depth.checked_sub(1)) else {
            return Ok(Vec::new());
        };
        let Some((starts_from, instructions)) =
            last_stage(&files::read(&path)?, &[("EDITION", self.edition)])
        else {
            return Ok(Vec::new());
        };
        let mut written = match self.file_of(&starts_from) {
            Some(below) => self.of(&below, &starts_from, true, deeper)?,
            None => Vec::new(),
        };
        for instruction in instructions {
            if matches!(instruction.keyword.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR") {
                let origin = Origin {
                    file: file.to_owned(),
                    line: instruction.line,
                    image: image.to_owned(),
                    base,
                    from: instruction.from,
                };
                written.push(Written {
                    origin,
                    keyword: instruction.keyword,
                    arguments: collapsed(&instruction.arguments),
                });
            }
        }
        Ok(written)
    }

    /// The Dockerfile in this repository of a base image.
    fn file_of(&self, reference: &str) -> Option<String> {
        if let Some(base) = self.manifest.bases.iter().find(|base| base.reference == reference) {
            return Some(base.dockerfile.clone());
        }
        let upstream = self.manifest.upstreams.iter().find(|upstream| upstream.reference == reference)?;
        match &upstream.stand_in {
            StandIn::Dockerfile { path, .. } if self.stand_ins => Some(path.clone()),
            _ => None,
        }
    }
}

/// The longest common subsequence of history and Dockerfile lines. Of several, the newest layers get the last lines, because
/// lower layers may belong to another image.
fn align<'w>(history: &[&str], written: &'w [Written]) -> Vec<(usize, &'w Origin)> {
    let mut best = vec![vec![0_u32; written.len() + 1]; history.len() + 1];
    for (i, text) in history.iter().enumerate() {
        for (j, line) in written.iter().enumerate() {
            best[i + 1][j + 1] =
                if is_same(text, line) { best[i][j] + 1 } else { best[i][j + 1].max(best[i + 1][j]) };
        }
    }
    let (mut i, mut j, mut found) = (history.len(), written.len(), Vec::new());
    while i > 0 && j > 0 {
        if is_same(history[i - 1], &written[j - 1]) {
            found.push((i - 1, &written[j - 1].origin));
            (i, j) = (i - 1, j - 1);
        } else if best[i - 1][j] > best[i][j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found.reverse();
    found
}

fn is_same(history: &str, written: &Written) -> bool {
    let Some(arguments) =
        history.strip_prefix(written.keyword.as_str()).and_then(|rest| rest.strip_prefix(' '))
    else {
        return false;
    };
    if arguments == written.arguments {
        return true;
    }
    // History has variables replaced by their values, except in RUN, and the bodies of heredocs.
    let is_open = written.keyword != "RUN" && written.arguments.contains('$');
    let words = |text: &str| text.split(' ').count();
    (is_open && words(arguments) == words(&written.arguments)) || written.arguments.starts_with("<<")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: usize, keyword: &str, arguments: &str) -> Written {
        let origin = Origin { file: "D".into(), line, image: "i".into(), base: false, from: None };
        Written { origin, keyword: keyword.into(), arguments: arguments.into() }
    }

    #[test]
    fn builders_additions_to_history_are_removed() {
        for (history, instruction) in [
            ("RUN /bin/sh -c pip install    x # buildkit", "RUN pip install x"),
            ("RUN |2 EDITION=simple V=1 /bin/sh -c echo $V # buildkit", "RUN echo $V"),
            ("/bin/sh -c apt-get update", "RUN apt-get update"),
            ("|1 A=b /bin/sh -c make", "RUN make"),
            ("/bin/sh -c #(nop) COPY dir:1 in /x ", "COPY dir:1 in /x"),
            ("COPY /out / # buildkit", "COPY /out /"),
            ("RUN /bin/sh -c sh /bin/sh -c x # buildkit", "RUN sh /bin/sh -c x"),
        ] {
            assert_eq!(super::instruction(history), instruction, "{history}");
        }
    }

    #[test]
    fn other_images_layers_and_changed_lines_are_skipped() {
        let lines = [
            written(2, "WORKDIR", "/src"),
            written(3, "COPY", "/out /"),
            written(4, "RUN", "<<END"),
            written(9, "COPY", "$X /"),
        ];
        let history = ["ADD rootfs.tar /", "COPY /out /", "RUN set -eu", "WORKDIR /else", "COPY /y /"];
        let found: Vec<(usize, usize)> =
            align(&history, &lines).into_iter().map(|(layer, origin)| (layer, origin.line)).collect();
        assert_eq!(found, [(1, 3), (2, 4), (4, 9)]);
        let of_base = ["COPY /out /", "RUN x", "COPY /out /"];
        assert_eq!(align(&of_base, &lines[1..2])[0].0, 2, "the line is the newest layer's, not its base's");
    }
}
