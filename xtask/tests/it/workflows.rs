//! The workflows under `.github`: that they are well-formed, what they may do, and that a report goes to its own pull request.

use std::fs;

use crate::support::workflows::{Workflow, folder, texts};

#[test]
fn every_workflow_is_bounded_and_trusts_no_stranger() {
    let mut found = Vec::new();
    for (name, text) in texts() {
        found.extend(Workflow::parse(&text).faults().into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_action_keeps_expressions_out_of_its_scripts_and_names_scripts_that_exist() {
    let root = folder().join("../..");
    let text = fs::read_to_string(root.join("action.yml")).unwrap();
    assert_eq!(Workflow::faults_of_action(&text), Vec::<String>::new());
    let bad = text.replace("fetch.sh\"", "fetch.sh\" ${{ inputs.version }}");
    assert_eq!(Workflow::faults_of_action(&bad).len(), 1, "an expression would be seen");
    let scripts: Vec<&str> =
        text.split("$GITHUB_ACTION_PATH/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(scripts.len(), 2);
    scripts.iter().for_each(|script| assert!(root.join(script).is_file(), "{script} is missing"));
}

#[test]
fn a_release_publishes_what_the_action_fetches() {
    let release = texts().into_iter().find(|(name, _)| name == "release.yml").unwrap().1;
    let fetch = fs::read_to_string(folder().join("../action/fetch.sh")).unwrap();
    assert!(release.contains("images-linux-${{ matrix.arch }}") && release.contains("> SHA256SUMS"));
    for arch in ["amd64", "arm64"] {
        assert!(release.contains(arch) && fetch.contains(&format!("file=images-linux-{arch} ;;")), "{arch}");
    }
    assert!(fetch.contains("download SHA256SUMS"));
}

#[test]
fn the_workflow_that_may_comment_follows_the_one_that_may_not() {
    let of = |file: &str| texts().into_iter().find(|(name, _)| name == file).unwrap().1;
    let (pull_request, comment) = (of("pull-request.yml"), of("comment.yml"));
    assert_eq!(Workflow::parse(&pull_request).triggers(), ["pull_request"]);
    assert_eq!(Workflow::parse(&comment).triggers(), ["workflow_run"]);
    let name = pull_request.lines().find_map(|line| line.strip_prefix("name: ")).unwrap();
    assert!(comment.contains(&format!("workflows: [{name}]")), "the comment follows another workflow");
}

#[test]
fn a_workflow_that_is_not_so_would_be_seen() {
    const GOOD: &str = "on: [pull_request]\npermissions: {contents: read}\nconcurrency: x\njobs:\n  a:\n    timeout-minutes: 1\n    steps:\n\
                        \x20     - uses: actions/checkout@0123456789012345678901234567890123456789\n\
                        \x20       with: {persist-credentials: false}\n      - run: cargo xtask ci\n";
    assert_eq!(Workflow::parse(GOOD).faults(), Vec::<String>::new());
    for (from, to, fault) in [
        ("[pull_request]", "{pull_request_target: {}}", "pull_request_target"),
        ("[pull_request]", "workflow_run", "brings code"),
        ("contents: read", "contents: write", "a pull request has contents: write"),
        ("{contents: read}", "write-all", "allowed everything"),
        ("permissions: {contents: read}\n", "", "no permissions"),
        ("concurrency: x\n", "", "no concurrency"),
        ("    timeout-minutes: 1\n", "", "no timeout-minutes"),
        ("cargo xtask ci", "cargo xtask ci ${{ github.head_ref }}", "an expression stands in a script"),
        ("cargo xtask ci", "cargo xtask ci | tee log", "before a pipe"),
        ("cargo xtask ci", "cargo xtask build-images --write-cache", "writes the cache"),
        ("@0123456789012345678901234567890123456789", "@v7", "no commit"),
        ("actions/checkout@", "stranger/checkout@", "no commit of an official action"),
        ("{persist-credentials: false}", "{fetch-depth: 0}", "leaves its token"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let faults = Workflow::parse(&GOOD.replace(from, to)).faults();
        assert!(faults.iter().any(|found| found.contains(fault)), "{to}: {faults:?}");
    }
}
