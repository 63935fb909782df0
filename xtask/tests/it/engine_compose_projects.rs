//! `compose-switch` on small projects that use what Compose allows. Each switch must change exactly the intended references.

use std::fs;
use std::os::unix::fs::symlink;

use crate::compose_switch::with;
use crate::engine_compose::run;
use crate::support::Folder;

/// The files of a project, by path. `-> PATH` is a symlink.
type Files<'a> = &'a [(&'a str, &'a str)];

fn project(files: Files<'_>) -> Folder {
    let repository = with("services: {}\n");
    for (name, text) in files {
        match text.strip_prefix("-> ") {
            Some(target) => {
                let path = repository.0.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(target, path).unwrap();
            }
            None => repository.write(name, text),
        }
    }
    repository
}

/// Switches to optimized images and checks every file. Returns what was printed.
fn switch(files: Files<'_>, code: i32, changed: Files<'_>) -> String {
    assert!(changed.iter().all(|(name, _)| files.iter().any(|(known, _)| known == name)), "{changed:?}");
    let repository = project(files);
    let (found, text) = run(&repository, "optimized --allow-missing", &[]);
    assert_eq!(found, code, "{files:?}: {text}");
    for (name, before) in files.iter().filter(|(_, text)| !text.starts_with("-> ")) {
        let after = changed.iter().find(|(changed, _)| changed == name).map_or(*before, |(_, after)| after);
        assert_eq!(repository.read(name), after, "{name}: {text}");
    }
    text
}

const MAIN: &str = "docker-compose.yml";

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn a_registry_may_be_in_a_variable_before_the_name() {
    let main = "services:\n  a: {image: '${REGISTRY:-}fx-alpha:1'}\n  b: {image: '${HUB:+$HUB/}fx-beta:1'}\n  c: {image: '${MY-my-}fx-beta:1'}\n";
    let after =
        main.replace("fx-alpha:1", "fx-alpha:1-optimized").replace("/}fx-beta:1", "/}fx-beta:1-optimized");
    for env in ["", "REGISTRY=hub.example/\nHUB=hub.example/t\n"] {
        switch(&[(MAIN, main), (".env", env)], 0, &[(MAIN, &after)]);
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn the_copy_that_compose_reads_has_the_same_links() {
    let outside = Folder::new();
    outside.write("shared.env", "V=1-optimized\nIMG=postgres:1\n");
    let target = format!("-> {}", outside.0.join("shared.env").display());
    let include = (MAIN, "include: [sub/c.yml]\n");
    let part = "services: {alpha: {image: '${IMG:-fx-alpha:1}'}, beta: {image: 'fx-beta:${V:-1}'}}\n";
    let text = switch(&[include, ("sub/c.yml", part), ("sub/.env", &target)], 1, &[]);
    assert!(text.contains("beta would run fx-beta:1-optimized-optimized"), "{text}");
    // Links inside of the repository, to a file and to a folder.
    let part = "services: {alpha: {image: 'fx-alpha:1'}}\n";
    let after = part.replace("alpha:1", "alpha:1-optimized");
    switch(&[include, ("sub/c.yml", "-> ../real/c.yml"), ("real/c.yml", part)], 0, &[("real/c.yml", &after)]);
    let include = (MAIN, "include: [a/link/c.yml]\n");
    switch(&[include, ("a/link", "-> ../sub"), ("sub/c.yml", part)], 0, &[("sub/c.yml", &after)]);
    let links = [("a/link", "-> ../mid"), ("mid/c.yml", "-> ../real/c.yml")];
    switch(&[include, links[0], links[1], ("real/c.yml", part)], 0, &[("real/c.yml", &after)]);
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn only_files_that_compose_reads_are_switched() {
    let base = "services: {b: {image: 'fx-beta:1'}}\n";
    let switched = base.replace("beta:1", "beta:1-optimized");
    let extends = "services: {alpha: {extends: {file: base.yml, service: b}}}\n";
    let merged = "x-inc: &inc {project_directory: .}\ninclude:\n- {<<: *inc, path: sub/c.yml}\n";
    let both = [("base.yml", base), ("sub/base.yml", base)];
    let files = [(MAIN, merged), ("sub/c.yml", extends), both[0], both[1]];
    switch(&files, 0, &[("base.yml", &switched)]);
    // Compose ignores what an extended file includes.
    let main = "services: {alpha: {extends: {file: sub/base.yml, service: b}}}\n";
    let included = "services: {c: {image: 'fx-beta:1'}}\n";
    let with_include = format!("include: [other.yml, missing.yml]\n{base}");
    let files = [(MAIN, main), ("sub/base.yml", &with_include), ("sub/other.yml", included)];
    let after = with_include.replace("beta:1", "beta:1-optimized");
    switch(&files, 0, &[("sub/base.yml", &after)]);
    // Compose resolves `..` without looking at symlinks.
    let files = [
        (MAIN, "include: [link/../x.yml]\n"),
        ("other/dir/keep", "x"),
        ("link", "-> other/dir"),
        ("x.yml", base),
        ("other/x.yml", base),
    ];
    switch(&files, 0, &[("x.yml", &switched)]);
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn projects_that_compose_accepts_are_not_refused() {
    for (main, env, before, after) in [
        // A service of another profile needs another file.
        (
            "services:\n  a: {image: 'fx-alpha:1'}\n  b: {image: 'fx-beta:1', profiles: [p], networks: [gone]}\n",
            "",
            "alpha:1",
            "alpha:1-optimized",
        ),
        (
            "services: {a: {image: 'fx-alpha:1', ports: ['${BIND?may be empty}8080:80']}}\n",
            "BIND=\n",
            "a:1",
            "a:1-optimized",
        ),
        (
            "# ${PART:?} is optional.\nservices: {a: {image: 'fx-alpha:${PART:-1}'}}\n",
            "",
            "1}",
            "1}-optimized",
        ),
        ("services: {a: {image: 'fx-alpha:1${DIGEST:+@$DIGEST}'}}\n", "", "T}'", "T}-optimized'"),
        (
            &format!("services: {{a: {{image: 'fx-alpha:${{V:?{}}}'}}}}\n", "long ".repeat(30)),
            "V=1\n",
            "long }",
            "long }-optimized",
        ),
        (
            "services:\n  a:\n    image: fx-alpha:1\n    command: |\n      # ${X:?set it}\n",
            "",
            "alpha:1",
            "alpha:1-optimized",
        ),
        ("services: {a: {image: 'fx-alpha:${V:?set {V} please}'}}\n", "V=1\n", "e}", "e}-optimized"),
        (
            "x-c: &c {image: 'fx-alpha:1'}\nx-unused: {<<: *c}\nservices: {a: *c}\n",
            "",
            "a:1",
            "a:1-optimized",
        ),
        ("x-c: &c {image: 'fx-alpha:1'}\n---\nservices: {a: *c}\n", "", "a:1", "a:1-optimized"),
        ("services: {a: {image: fx-alpha:1, command: x:, tty: true}}\n", "", "alpha:1", "alpha:1-optimized"),
    ] {
        let switched = main.replace(before, after).replace("fx-beta:1", "fx-beta:1-optimized");
        switch(&[(MAIN, main), (".env", env)], 0, &[(MAIN, &switched)]);
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn hundreds_of_variables_are_passed() {
    let services: String =
        (0..600).map(|i| format!("  s{i}: {{image: 'fx-alpha:${{V{i}:-1}}'}}\n")).collect();
    let main = format!("services:\n{services}");
    switch(&[(MAIN, &main)], 0, &[(MAIN, &main.replace("1}'", "1}-optimized'"))]);
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn tags_that_become_wrong_are_left() {
    let long = "a".repeat(120);
    for (image, env, reason) in [
        (format!("fx-alpha:{long}"), "", "longer than 128 characters"),
        ("fx-alpha:$V".to_owned(), &format!("V={long}\n"), "longer than 128 characters"),
        ("fx-alpha:${V:-1}-optimized".to_owned(), "V=2-optimized\n", "a variable's value contains"),
    ] {
        let main = format!("services: {{a: {{image: '{image}'}}}}\n");
        let text = switch(&[(MAIN, &main), (".env", env)], 1, &[]);
        assert!(text.contains(reason) && text.contains("docker-compose.yml:1: "), "{text}");
    }
}
