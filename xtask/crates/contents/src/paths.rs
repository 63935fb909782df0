//! Converts paths in databases to paths from the image's root. None escapes the image.

/// A path: from the root if it begins with a slash, otherwise from a folder.
pub fn joined(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The folder around a path, without the root.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Most paths of one database: as many as an image has entries.
const MAX_PATHS: usize = 400_000;
/// Most bytes of all paths of one database.
const MAX_BYTES: usize = 50_000_000;
/// Longest path (PATH_MAX).
const MAX_PATH: usize = 4096;

/// Counts the paths of one database. A small database can list a long folder a million times.
#[derive(Debug)]
pub struct PathBudget {
    paths: usize,
    bytes: usize,
}

impl Default for PathBudget {
    fn default() -> PathBudget {
        PathBudget { paths: MAX_PATHS, bytes: MAX_BYTES }
    }
}

impl PathBudget {
    /// The budget of all databases of an archive.
    pub fn of_archive() -> PathBudget {
        PathBudget { paths: 5 * MAX_PATHS, bytes: 5 * MAX_BYTES }
    }

    /// The budget of one database, limited by what remains of this one.
    pub fn one(&self) -> PathBudget {
        PathBudget { paths: self.paths.min(MAX_PATHS), bytes: self.bytes.min(MAX_BYTES) }
    }

    /// Subtracts what a database used.
    pub fn spend(&mut self, left: &PathBudget) {
        let had = self.one();
        self.paths -= had.paths - left.paths;
        self.bytes -= had.bytes - left.bytes;
    }

    /// The path, if there is room for it.
    pub fn joined(&mut self, folder: &str, path: &str) -> Option<String> {
        let length = folder.len() + path.len() + 1;
        if length > MAX_PATH || self.is_spent() {
            return None;
        }
        self.paths -= 1;
        self.bytes = self.bytes.saturating_sub(length);
        Some(joined(folder, path)).filter(|path| !path.is_empty())
    }

    /// Whether paths were dropped.
    pub fn is_spent(&self) -> bool {
        self.paths == 0 || self.bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_paths_never_leave_the_image() {
        assert_eq!(joined("usr/lib/python3/dist-packages", "../../../bin/x"), "usr/bin/x");
        assert_eq!(joined("a", "../../../../etc/passwd"), "etc/passwd");
        assert_eq!(joined("a", "/opt/x"), "opt/x");
    }

    #[test]
    fn a_folder_that_is_listed_again_and_again_is_cut_off() {
        let (mut budget, folder) = (PathBudget::default(), "f".repeat(4000));
        let listed = (0..1_000_000).filter_map(|_| budget.joined(&folder, "x")).count();
        assert!((12_000..13_000).contains(&listed), "{listed} paths");
        assert!(budget.is_spent());
        assert_eq!(PathBudget::default().joined(&"f".repeat(5000), "x"), None);
        let mut all = PathBudget::of_archive();
        for _ in 0..5 {
            assert!(!all.is_spent());
            let mut one = all.one();
            (0..20_000).for_each(|_| drop(one.joined(&folder, "x")));
            all.spend(&one);
        }
        assert!(all.is_spent(), "{all:?}");
    }
}
