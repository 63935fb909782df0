use super::*;
use host::file_state::Moment;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(paths: &[&str]) -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        paths.iter().for_each(|path| tree.write(path, path));
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("context").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn list(&self, ignore: &str) -> ContextFiles {
        let ignore = IgnoreFile::parse(ignore.as_bytes(), "test").unwrap();
        ContextFiles::filtered(&self.path(""), &ignore).unwrap()
    }

    fn paths(&self, ignore: &str) -> Vec<String> {
        self.list(ignore).files().iter().map(|file| file.path.display().to_string()).collect()
    }

    /// The hash of all of it, with no cache.
    fn hash(&self) -> String {
        self.hash_with(&mut self.digests()).hash
    }

    fn hash_with(&self, digests: &mut FileDigests) -> ContextHash {
        self.list("").hash(digests).unwrap()
    }

    /// The cache as loaded long after the last change.
    fn digests(&self) -> FileDigests {
        FileDigests::load(self.0.path().join("digests"), Moment::now().minus_seconds(-60))
    }
}

#[test]
fn ignored_paths_are_left_out_and_folders_of_others_are_not() {
    let tree = Tree::new(&["a/b/c", "a/b/d", "a/e", "f", "g/h/i"]);
    fs::create_dir(tree.path("empty")).unwrap();
    let all = ["a", "a/b", "a/b/c", "a/b/d", "a/e", "empty", "f", "g", "g/h", "g/h/i"];
    assert_eq!(tree.paths(""), all);
    assert_eq!(tree.paths("*\n!a/b/c\n!**/i"), ["a", "a/b", "a/b/c", "g", "g/h", "g/h/i"]);
    assert_eq!(tree.paths("*\n!g"), ["g", "g/h", "g/h/i"]);
    assert_eq!(tree.paths("**/*\n!g/h"), ["g", "g/h", "g/h/i"]);
    assert_eq!(tree.paths("a\ng/h/i\nempty"), ["f", "g", "g/h"]);
}

#[test]
fn the_build_s_own_ignore_file_is_found() {
    let tree = Tree::new(&["a", "b", "docker/Dockerfile"]);
    tree.write(".dockerignore", "a\ndocker\n.*\n");
    tree.write("docker/Dockerfile.dockerignore", "b\ndocker\n.*\n");
    let paths =
        |files: ContextFiles| -> Vec<PathBuf> { files.files.into_iter().map(|file| file.path).collect() };
    let dockerfile = tree.path("docker/Dockerfile");
    assert_eq!(paths(ContextFiles::list(&tree.path(""), Some(&dockerfile)).unwrap()), [Path::new("a")]);
    assert_eq!(paths(ContextFiles::of_named_context(&tree.path("")).unwrap()), [Path::new("b")]);
}

#[test]
fn whatever_an_image_can_show_changes_the_hash() {
    let tree = Tree::new(&["a", "b/c"]);
    tree.chmod("a", 0o644);
    tree.chmod("b", 0o755);
    symlink("a", tree.path("link")).unwrap();
    let mut seen = vec![tree.hash()];
    assert_eq!(tree.hash(), seen[0]);
    let changes: [(&str, &dyn Fn()); 12] = [
        ("content", &|| tree.write("a", "b")),
        ("executable", &|| tree.chmod("a", 0o755)),
        ("group's bits", &|| tree.chmod("a", 0o775)),
        ("setuid", &|| tree.chmod("a", 0o4775)),
        ("a folder's mode", &|| tree.chmod("b", 0o700)),
        ("new file", &|| tree.write("b/d", "")),
        ("new name", &|| fs::rename(tree.path("b/d"), tree.path("b/e")).unwrap()),
        ("new folder", &|| fs::create_dir(tree.path("d")).unwrap()),
        ("link text", &|| {
            fs::remove_file(tree.path("link")).unwrap();
            symlink("./a", tree.path("link")).unwrap();
        }),
        ("a file for a link", &|| {
            fs::remove_file(tree.path("link")).unwrap();
            tree.write("link", "./a");
        }),
        ("socket", &|| drop(UnixListener::bind(tree.path("socket")).unwrap())),
        ("removal", &|| fs::remove_file(tree.path("b/c")).unwrap()),
    ];
    for (what, change) in changes {
        change();
        let now = tree.hash();
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    }
}

#[test]
fn times_and_hard_links_do_not_change_the_hash() {
    let tree = Tree::new(&["a", "b"]);
    tree.write("b", "a");
    let first = tree.hash();
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    fs::File::options().write(true).open(tree.path("a")).unwrap().set_times(old).unwrap();
    assert_eq!(tree.hash(), first);
    fs::remove_file(tree.path("b")).unwrap();
    fs::hard_link(tree.path("a"), tree.path("b")).unwrap();
    assert_eq!(tree.hash(), first);
}

#[test]
fn a_byte_moved_between_files_changes_the_hash() {
    let tree = Tree::new(&["a", "b"]);
    tree.write("a", "xy");
    tree.write("b", "z");
    let first = tree.hash();
    tree.write("a", "x");
    tree.write("b", "yz");
    assert_ne!(tree.hash(), first);
}

#[test]
fn a_second_run_reads_only_what_has_changed() {
    let tree = Tree::new(&["a", "b"]);
    let mut digests = tree.digests();
    let first = tree.hash_with(&mut digests);
    assert_eq!((first.files, first.bytes), (2, 2));
    digests.save().unwrap();
    // The old file stays, so that the new one has another inode.
    fs::rename(tree.path("a"), tree.0.path().join("old")).unwrap();
    tree.write("a", "a");
    let mut digests = tree.digests();
    let files = tree.list("");
    let known = |digests: &mut FileDigests, name: &str| {
        let file = files.files.iter().find(|file| file.path == Path::new(name)).unwrap();
        let ContextFileKind::File(state) = file.kind else { panic!("{file:?}") };
        digests.get(&state).is_some()
    };
    assert!(!known(&mut digests, "a"), "another file");
    assert!(known(&mut digests, "b"));
    assert_eq!(tree.hash_with(&mut digests), first);
}

#[test]
fn files_that_vanish_are_left_out() {
    let tree = Tree::new(&["a", "b"]);
    let without = Tree::new(&["a"]).hash();
    let listed = tree.list("");
    fs::remove_file(tree.path("b")).unwrap();
    let hash = listed.hash(&mut tree.digests()).unwrap();
    assert_eq!((hash.hash, hash.files), (without, 1));
}

#[test]
fn what_replaces_a_file_is_not_followed() {
    let tree = Tree::new(&["a", "b"]);
    let listed = tree.list("");
    fs::remove_file(tree.path("b")).unwrap();
    symlink("/etc/passwd", tree.path("b")).unwrap();
    let error = listed.hash(&mut tree.digests()).unwrap_err().to_string();
    assert!(error.contains("context/b was replaced while it was read\nhelp: "), "{error}");
}

#[test]
fn pipes_are_not_opened() {
    let tree = Tree::new(&["a"]);
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.path("pipe"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert_eq!(tree.list("").files[1].kind, ContextFileKind::Pipe);
    assert_eq!(tree.hash_with(&mut tree.digests()).files, 1);
}

#[test]
fn a_context_that_is_no_folder_is_an_error() {
    let tree = Tree::new(&["a"]);
    for (path, words) in [("a", "not a folder"), ("missing", "cannot find")] {
        let error = format!("{:#}", ContextFiles::list(&tree.path(path), None).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn unreadable_files_are_named() {
    let tree = Tree::new(&["a", "hidden/b"]);
    tree.chmod("a", 0o000);
    // Root reads everything.
    if fs::File::open(tree.path("a")).is_ok() {
        return;
    }
    let error = tree.list("").hash(&mut tree.digests()).unwrap_err().to_string();
    assert!(error.contains("context/a") && error.contains("help: make it readable"), "{error}");
    tree.chmod("hidden", 0o000);
    let ignore = |text: &str| IgnoreFile::parse(text.as_bytes(), "test").unwrap();
    let error = ContextFiles::filtered(&tree.path(""), &ignore("a")).unwrap_err().to_string();
    assert!(error.contains("context/hidden"), "{error}");
    // BuildKit searches an ignored folder for exceptions, and skips it if it is unreadable.
    assert_eq!(ContextFiles::filtered(&tree.path(""), &ignore("*\n!**/b")).unwrap().files, []);
    tree.chmod("hidden", 0o755);
}
