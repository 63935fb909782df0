use super::*;
use crate::files;

#[test]
fn paths_outside_of_the_repository_are_rejected() {
    let repository = Repository { root: PathBuf::from("/r"), layout: Layout::Plain };
    assert_eq!(repository.file("packages/x/Dockerfile"), Some(PathBuf::from("/r/packages/x/Dockerfile")));
    for outside in ["", "/etc/passwd", "../x", "packages/../../x"] {
        assert_eq!(repository.file(outside), None, "{outside}");
    }
}

#[test]
fn every_file_of_a_plain_repository_is_beside_its_manifest_or_in_the_folder_that_ignores_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    files::write_atomically(&root.join("images.toml"), b"").unwrap();
    let repository = Repository::locate(Some(root)).unwrap();
    assert_eq!(repository.manifest(), root.join("images.toml"));
    assert_eq!(repository.sizes_lock(), root.join("sizes.lock.toml"));
    assert_eq!(repository.parity_record("all", "x"), root.join("parity/all/x.json"));
    assert_eq!(repository.push_journal(), root.join(".images/push.json"));
    files::write_atomically(&repository.record("check", "all"), b"{}").unwrap();
    assert_eq!(files::read(&root.join(".images/.gitignore")).unwrap(), "*\n");
}

#[test]
fn a_folder_without_a_manifest_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::locate_or_here(Some(folder.path())).unwrap();
    assert!(!repository.has_manifest());
    assert_eq!(repository.root(), folder.path());
    assert_eq!(repository.manifest(), folder.path().join("images.toml"));
    assert_eq!(repository.contents_cache(), None);
}
