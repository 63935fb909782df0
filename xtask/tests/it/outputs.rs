//! Closed, full and unread standard output and standard error.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _, pipe};
use std::process::{Command, ExitStatus, Stdio};

use crate::support::{FakeDocker, on_stand_ins, repository};

/// Commands that print data and need no engine.
const PRINTERS: [&[&str]; 6] = [
    &["--help"],
    &["compare", "--help"],
    &["--version"],
    &["completions", "bash"],
    &["ci", "--dry-run"],
    &["build-images", "--dry-run", "--bases", "stand-in"],
];

/// Capacity of a pipe in bytes (pipe(7)).
const PIPE_SIZE: usize = 64 << 10;

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A pipe whose reader is closed.
fn closed() -> Stdio {
    pipe().unwrap().1.into()
}

fn status(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn data_on_a_full_device_is_a_failure_of_the_machine() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    for args in PRINTERS {
        let (code, stderr) = status(docker.command(&repository, args).stdout(full()));
        let expected = "error: cannot write to standard output: no storage space\nhelp: free space there";
        assert!(code == Some(3) && stderr.contains(expected), "{args:?}: {code:?}\n{stderr}");
    }
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    for args in PRINTERS {
        let (code, stderr) = status(docker.command(&repository, args).stdout(closed()));
        assert!(code == Some(0) && !stderr.contains("error"), "{args:?}: {code:?}\n{stderr}");
    }
}

#[test]
fn the_work_goes_on_when_no_message_can_be_written() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    for args in PRINTERS {
        let expected = status(&mut docker.command(&repository, args)).0;
        for stderr in [closed(), full().into()] {
            let mut command = docker.command(&repository, args);
            let output = command.stderr(stderr).stdout(Stdio::piped()).spawn().unwrap();
            let output = output.wait_with_output().unwrap();
            assert_eq!(output.status.code(), expected, "{args:?}");
            assert!(!output.stdout.is_empty(), "{args:?}");
        }
    }
}

#[test]
fn the_failure_of_the_work_keeps_its_exit_code() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let run = |stderr: Stdio| -> ExitStatus {
        let mut command = docker.command(&repository, &["compare", "nobody"]);
        command.stdout(full()).stderr(stderr).spawn().unwrap().wait().unwrap()
    };
    assert_eq!([run(full().into()), run(closed())].map(|status| status.code()), [Some(2); 2]);
}

#[test]
fn closed_descriptors_are_not_failures() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    for redirection in [">&-", "2>&-", "<&-", "<&- >&- 2>&-"] {
        let mut shell = Command::new("sh");
        let script = format!("exec \"$0\" completions bash --root \"$1\" {redirection}");
        shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_xtask")).arg(&repository.0);
        shell.env("PATH", docker.folder.0.join("bin"));
        assert_eq!(status(&mut shell).0, Some(0), "{redirection}");
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_reader_that_never_reads() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let (_reader, mut writer) = pipe().unwrap();
    writer.write_all(&vec![b'x'; PIPE_SIZE]).unwrap();
    let mut command = docker.command(&repository, &["build-images", "--dry-run", "--bases", "stand-in"]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // The last message before the definition is printed.
    while !line.contains("beta") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended early");
    }
    crate::support::signal("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// B2: a step prints 20,000 lines while the build's output is closed or full.
#[test]
fn a_build_completes_when_nothing_reads_its_output() {
    let repository = on_stand_ins();
    let log = r#"{"logs": [{"vertex": "sha256:c720a1d9ce1915983c07e38e9d13abdd7f6f5a2fe0acdbef4626b486a600729b", "stream": 1, "data": "bW9yZQo="}]}"#;
    let output =
        format!("{}{}", format!("{log}\n").repeat(20_000), include_str!("transcripts/bake-failure.txt"));
    let docker = FakeDocker::new().alive().nothing_built().on("buildx bake*", 1, "", &output).on(
        "image rm *",
        0,
        "",
        "",
    );
    for more in [&["--verbose"][..], &[]] {
        let args = [&["build-images"], more].concat();
        for (stdout, stderr) in
            [(closed(), closed()), (full().into(), full().into()), (closed(), full().into())]
        {
            let mut child = docker.command(&repository, &args).stdout(stdout).stderr(stderr).spawn().unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(1), "{args:?}");
        }
    }
}
