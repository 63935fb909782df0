//! The program `images`: its name in all messages, and repositories other than Sutra.

use std::process::{Command, Output};

use crate::support::{Folder, bare_machine, repository};

/// `images` in a folder, with nothing of this environment but an empty cache.
fn images(folder: &Folder, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_images"))
        .args(args)
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", &bare_machine().0)
        .env("XDG_CACHE_HOME", folder.0.join("cache"))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The commands that `images --help` lists.
fn commands() -> Vec<String> {
    let help = text(&images(&Folder::new(), &["--help"]));
    let list =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Descriptions that continue are indented further.
    let names = list.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_and_errors_name_the_program_that_was_called() {
    let outside = Folder::new();
    let commands = commands();
    assert!(commands.len() > 12 && !commands.contains(&"ci".to_owned()), "{commands:?}");
    for command in &commands {
        let help = text(&images(&outside, &["help", command]));
        assert!(
            help.contains(&format!("\n  images {command}")) || help.contains("\n  images smoke"),
            "{help}"
        );
        for foreign in ["xtask", "SUTRA_"] {
            assert!(!help.contains(foreign), "`images help {command}` says {foreign}:\n{help}");
        }
    }
    for (args, expected) in [
        (vec!["chekc"], "Usage: images [OPTIONS] <COMMAND>"),
        (vec!["ci"], "unrecognized subcommand 'ci'"),
        (vec!["check"], "no images.toml in"),
        (vec!["--version"], "images 0"),
    ] {
        let said = text(&images(&outside, &args)).replace(&outside.0.display().to_string(), "[ROOT]");
        assert!(said.contains(expected) && !said.contains("xtask"), "{args:?}: {said}");
    }
    // The same program in Sutra names Sutra's variables and files.
    let home = repository("fx");
    let help = text(&images(&home, &["help", "report"]));
    assert!(help.contains("$SUTRA_VERSION") && help.contains("target/xtask/report.html"), "{help}");
}

#[test]
fn completions_of_images_need_no_function() {
    let home = repository("fx");
    let script = text(&images(&home, &["completions", "bash"]));
    assert!(script.starts_with("_images() {") && script.contains("alpha beta"), "{script}");
    assert!(!script.contains("xtask"), "{script}");
}

#[test]
fn state_stays_in_a_folder_that_ignores_itself() {
    let home = repository("fx");
    // The same repository with the layout of any other, without git.
    let manifest = home.read("xtask/images.toml");
    std::fs::remove_dir_all(home.0.join("xtask")).unwrap();
    home.write("images.toml", &manifest);
    let output = images(&home, &["report"]);
    assert!(output.status.success(), "{}", text(&output));
    let entries = |folder: &str| {
        let all = std::fs::read_dir(home.0.join(folder)).unwrap();
        let mut all: Vec<String> =
            all.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(entries("."), [".images", "alpha", "beta", "images.toml"]);
    assert_eq!(entries(".images"), [".gitignore", "report.html"]);
    assert_eq!(home.read(".images/.gitignore"), "*\n");
    let page = home.read(".images/report.html");
    assert!(
        page.contains("images build-images") && !page.contains("cargo xtask"),
        "the page names the program"
    );
    // From a subfolder too.
    let below = Command::new(env!("CARGO_BIN_EXE_images"))
        .args(["report", "-o", "-"])
        .current_dir(home.0.join("alpha"))
        .output()
        .unwrap();
    assert!(below.status.success(), "{}", text(&below));
}
