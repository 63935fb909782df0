//! Paths relative to a repository's root.

use std::path::{Path, PathBuf};

use host::files;

/// A repository's root, under the name that it was given and under its real one.
pub(super) struct Rooted {
    names: Vec<PathBuf>,
}

impl Rooted {
    pub(super) fn new(root: &Path) -> Rooted {
        let real = files::real_path(root).ok().filter(|real| real != root);
        Rooted { names: std::iter::once(root.to_owned()).chain(real).collect() }
    }

    /// The path, which may be relative to the root.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.names.first().map_or_else(|| PathBuf::from(path), |root| files::lexical(&root.join(path)))
    }

    /// [`Rooted::absolute`] as text.
    pub(super) fn text(&self, path: &str) -> String {
        self.absolute(path).display().to_string()
    }

    /// The path from the root, `.` for itself; `None` outside of it, also where a link leads outside.
    pub(super) fn relative(&self, path: &Path) -> Option<String> {
        let path = files::lexical(path);
        let rest = self.names.iter().find_map(|root| path.strip_prefix(root).ok())?;
        if let Ok(real) = path.canonicalize()
            && !self.names.iter().any(|root| real.starts_with(root))
        {
            return None;
        }
        match rest.to_str()? {
            "" => Some(".".to_owned()),
            text => Some(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_unless_they_leave_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        for folder in [&root, &outside] {
            std::fs::create_dir(folder).unwrap();
        }
        std::os::unix::fs::symlink(&outside, root.join("out")).unwrap();
        let rooted = Rooted::new(&root);
        let relative = |path: &str| rooted.relative(&rooted.absolute(path));
        assert_eq!(relative("."), Some(".".to_owned()));
        assert_eq!(relative("a/../b/./Dockerfile"), Some("b/Dockerfile".to_owned()));
        assert_eq!(relative(&root.join("c").display().to_string()), Some("c".to_owned()));
        assert_eq!(relative(".."), None);
        assert_eq!(relative("out"), None);
    }
}
