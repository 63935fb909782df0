//! Warns about large build contexts without an ignore file: any change in them triggers a rebuild.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use crate::context_files::{ContextFile, ContextFileKind};
use crate::plan::BuildPlan;
use crate::reuse::seen::{Seen, WholeContext};
use engine::context::Context;
use model::bytes::Bytes;

/// Larger contexts get a warning.
const LARGE: Bytes = Bytes(100_000_000);

/// The maximum number of folders and files that a warning names.
const NAMED: usize = 4;

/// A warning names only entries that make up at least 1/`LEAST_PART` of the context's size.
const LEAST_PART: u64 = 20;

/// Warns about the contexts of the images that a plan builds.
pub(crate) fn warn(plan: &BuildPlan, seen: &Seen, context: &Context) {
    let root = context.repository.root();
    for WholeContext { folder, files } in seen.whole_contexts(plan) {
        let Some((total, largest)) = large(files.files(), LARGE) else { continue };
        let name = folder.strip_prefix(root).unwrap_or(folder);
        let paths: Vec<String> =
            largest.iter().map(|(entry, _)| name.join(entry).display().to_string()).collect();
        let ignored = context.git().ignored(&paths);
        let useless: Vec<&str> = largest
            .iter()
            .zip(&paths)
            .filter(|((entry, _), path)| entry == ".git" || ignored.contains(*path))
            .map(|((entry, _), _)| entry.as_str())
            .collect();
        context.terminal.warn(message(name, total, &largest, &useless));
    }
}

/// The size of a context, if it is larger than `limit`, and its largest entries with their sizes.
fn large(files: &[ContextFile], limit: Bytes) -> Option<(Bytes, Vec<(String, Bytes)>)> {
    let mut sizes: BTreeMap<&OsStr, u64> = BTreeMap::new();
    for file in files {
        if let (ContextFileKind::File(state), Some(first)) = (&file.kind, file.path.iter().next()) {
            *sizes.entry(first).or_default() += state.bytes();
        }
    }
    let total: u64 = sizes.values().sum();
    let mut largest: Vec<(String, Bytes)> = sizes
        .into_iter()
        .filter(|(_, bytes)| *bytes >= total / LEAST_PART)
        .map(|(name, bytes)| (name.to_string_lossy().into_owned(), Bytes(bytes)))
        .collect();
    largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.0));
    largest.truncate(NAMED);
    (total > limit.0).then_some((Bytes(total), largest))
}

fn message(folder: &Path, total: Bytes, largest: &[(String, Bytes)], useless: &[&str]) -> String {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let file = folder.join(".dockerignore");
    let (folder, file) = (folder.display(), file.display());
    let largest: Vec<String> = largest.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
    let useless: BTreeSet<String> = useless.iter().map(|name| format!("`{name}`")).collect();
    let help = match useless.len() {
        0 => format!("exclude unneeded files in {file}"),
        _ => format!("add these lines to {file}: {}", useless.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!(
        "build context {folder} is {total} and has no .dockerignore: any change in it triggers a rebuild. Largest: {}\nhelp: {help}",
        largest.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context_files::ContextFiles;
    use std::fs;

    #[test]
    fn the_largest_entries_of_a_large_context_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: usize| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        };
        write("node_modules/a/b", 600);
        write("node_modules/c", 100);
        write(".git/pack", 200);
        write("data", 90);
        write("small", 10);
        let files = ContextFiles::list(folder.path(), None).unwrap();
        assert_eq!(large(files.files(), Bytes(1000)), None);
        let (total, largest) = large(files.files(), Bytes(999)).unwrap();
        let text = message(Path::new("web"), total, &largest, &["node_modules", ".git"]);
        assert_eq!(
            text,
            "build context web is 1kB and has no .dockerignore: any change in it triggers a rebuild. Largest: node_modules 700B, .git 200B, \
             data 90B\nhelp: add these lines to web/.dockerignore: `.git`, `node_modules`"
        );
        let text = message(Path::new(""), total, &largest, &[]);
        assert!(
            text.contains("context . is") && text.ends_with("exclude unneeded files in ./.dockerignore"),
            "{text}"
        );
    }
}
