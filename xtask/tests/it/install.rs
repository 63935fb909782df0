//! A copy of `xtask/` compiles elsewhere: no crate inherits what the copy lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::Folder;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[test]
#[ignore = "compiles xtask again: cargo xtask ci"]
fn a_copied_xtask_installs_in_a_clean_folder() {
    let (clean, here) = (Folder::new(), Path::new(env!("CARGO_MANIFEST_DIR")));
    for part in ["src", "crates"] {
        copy(&here.join(part), &clean.0.join("xtask").join(part));
    }
    fs::copy(here.join("Cargo.toml"), clean.0.join("xtask/Cargo.toml")).unwrap();
    let install = Command::new(env!("CARGO"))
        .args(["install", "--path", "xtask", "--debug", "--offline", "--quiet", "--root"])
        .arg(clean.0.join("installed"))
        .current_dir(&clean.0)
        // Not cargo's own folder: the binary there is the one that the other tests run.
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("install"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .unwrap();
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
    for (program, usage) in [("xtask", "Usage: cargo xtask "), ("images", "Usage: images ")] {
        let help = Command::new(clean.0.join("installed/bin").join(program)).arg("--help").output().unwrap();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && text.contains("build-images") && text.contains(usage), "{text}");
    }
}
