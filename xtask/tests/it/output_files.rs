//! Output files: bare, relative and absolute paths, links, streams, devices, a full disk.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::{Command, Output, Stdio};

use crate::support::{FakeDocker, Folder, repository, told};

/// `report -o PATH` in a folder.
fn report(repository: &Folder, folder: &Folder, path: &str) -> Command {
    let mut command = FakeDocker::new().command(repository, &["report", "-o", path]);
    command.current_dir(&folder.0);
    command
}

fn run(repository: &Folder, folder: &Folder, path: &str) -> Output {
    let output = report(repository, folder, path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{path}: {}", told(&output, repository));
    output
}

#[test]
fn every_form_of_a_path_works() {
    let (repository, folder) = (repository("fx"), Folder::new());
    folder.write("there/x", "");
    symlink("behind.html", folder.0.join("link.html")).unwrap();
    let absolute = folder.0.join("absolute.html").display().to_string();
    let forms = [
        ("bare.html", "bare.html"),
        ("./dot.html", "dot.html"),
        ("there/../up.html", "up.html"),
        ("new/deep/x.html", "new/deep/x.html"),
        (&absolute, "absolute.html"),
        ("link.html", "behind.html"),
        (".hidden", ".hidden"),
        ("a b", "a b"),
    ];
    for (path, name) in forms {
        let output = run(&repository, &folder, path);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{path}\n"));
        assert!(folder.read(name).starts_with("<!DOCTYPE html>"), "{path}");
    }
    assert!(folder.0.join("link.html").is_symlink());
    // No temporary files remain.
    let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".new")));
}

#[test]
fn a_path_of_stdout_is_stdout() {
    let (repository, folder) = (repository("fx"), Folder::new());
    let is_page = |text: &str| text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>");
    for path in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let page = String::from_utf8(run(&repository, &folder, path).stdout).unwrap();
        assert!(is_page(&page), "{path}");
        let file = File::create(folder.0.join("file")).unwrap();
        let status = report(&repository, &folder, path).stdout(file).status().unwrap();
        assert!(status.success() && is_page(&folder.read("file")), "{path} > file");
    }
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    let output = report(&repository, &folder, "/dev/stderr").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout == b"/dev/stderr\n" && is_page(&stderr), "{stderr}");
}

#[test]
fn pipes_and_devices_are_written_to() {
    let (repository, folder) = (repository("fx"), Folder::new());
    let fifo = folder.0.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = report(&repository, &folder, "fifo").stdout(Stdio::null()).spawn().unwrap();
    let mut page = String::new();
    File::open(&fifo).unwrap().read_to_string(&mut page).unwrap();
    assert!(child.wait_with_output().unwrap().status.success() && page.ends_with("</html>"));
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());

    let output = report(&repository, &folder, "/dev/full").output().unwrap();
    insta::assert_snapshot!(told(&output, &repository), @r"
    exit: 3
    ----- stdout -----
    ----- stderr -----
    error: cannot write /dev/full: No space left on device (os error 28)
    help: free space on its disk, then run again
    ");
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let (repository, folder) = (repository("fx"), Folder::new());
    folder.write("file", "");
    for (path, why) in [(".", "is a directory"), ("file/x", "File exists")] {
        let output = report(&repository, &folder, path).output().unwrap();
        let text = told(&output, &repository);
        assert!(output.status.code() != Some(0) && text.contains(why), "{path}: {text}");
    }
}

#[test]
fn a_limit_on_file_sizes_keeps_the_old_file() {
    let (repository, folder) = (repository("fx"), Folder::new());
    folder.write("page", "old");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 1; exec \"$0\" report -o page --root \"$1\"", env!("CARGO_BIN_EXE_xtask")]);
    let output = shell.arg(&repository.0).current_dir(&folder.0).output().unwrap();
    let text = told(&output, &repository);
    assert!(output.status.code() == Some(3) && text.contains("cannot write page: File too large"), "{text}");
    assert_eq!(folder.read("page"), "old");
}

#[test]
#[ignore = "needs root, to mount a file system: cargo xtask ci"]
fn a_full_disk_keeps_the_old_file() {
    let (repository, folder) = (repository("fx"), Folder::new());
    let script = "mount -t tmpfs -o size=64k none . && cd \"$PWD\" && echo old > page && head -c 1M /dev/zero > fill 2>&-; \
                  \"$0\" report -o page --root \"$1\"; echo \"exit $?\"; cat page; ls -A; \
                  \"$0\" report -o - --root \"$1\" > page; echo \"exit $?\"";
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_xtask")]).arg(&repository.0);
    let output = shell.current_dir(&folder.0).output().unwrap();
    insta::assert_snapshot!(told(&output, &repository), @r"
    exit: 0
    ----- stdout -----
    exit 3
    old
    fill
    page
    exit 3
    ----- stderr -----
    error: cannot write page: No space left on device (os error 28)
    help: free space on its disk, then run again
    error: cannot write to standard output: no storage space
    help: free space there or redirect it elsewhere, then run again
    ");
}
