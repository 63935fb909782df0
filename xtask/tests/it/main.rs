//! Every test that runs xtask as a process or reads the repository, in one binary: the support module is compiled once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

// First: its macro is in scope for the modules below.
#[macro_use]
mod support;

mod action;
mod analyze;
mod analyze_hostile;
mod analyze_owners;
mod anyones;
mod attest;
mod build_cache;
mod builds;
mod campaign;
mod changes;
mod check;
mod check_rules;
mod check_tracked;
mod cli;
mod comment;
mod compose_files;
mod compose_switch;
mod compose_undo;
mod deploy;
mod deploy_swarm;
mod diet;
mod editions;
mod engine;
mod engine_action;
mod engine_adoption;
mod engine_analyze;
mod engine_any_image;
mod engine_attest;
mod engine_build_settings;
mod engine_builders;
mod engine_builds;
mod engine_cache;
mod engine_check;
mod engine_clean;
mod engine_compose;
mod engine_compose_projects;
mod engine_context;
mod engine_deploy;
mod engine_diet;
mod engine_fingerprints;
mod engine_guide;
mod engine_images;
mod engine_kubernetes;
mod engine_measure;
mod engine_monorepos;
mod engine_ordinary;
mod engine_platforms;
mod engine_publish;
mod engine_pull_built;
mod engine_push;
mod engine_push_faults;
mod engine_push_tags;
mod engine_readme;
mod engine_registry_client;
mod engine_release_check;
mod engine_report;
mod engine_smoke;
mod engine_stores;
mod engine_swarm;
mod engine_test;
mod engine_test_mounts;
mod engine_trace;
mod engine_trust;
mod engine_twice;
mod engine_update;
mod engine_updates;
mod engine_when;
mod engine_workflows;
mod estimate;
mod failures;
mod floors;
mod init;
mod install;
mod kubernetes;
mod lock;
mod measure;
mod output_files;
mod outputs;
mod package_dates;
mod platforms;
mod program;
mod push_and_clean;
mod push_compare;
mod release_check;
mod report;
mod settings;
mod shims;
mod signals;
mod smoke_hostile;
mod smoke_test;
mod sources;
mod sources_hostile;
mod static_binary;
mod throwaway;
mod trace;
mod up_to_date;
mod vulnerabilities;
mod when;
mod why;
mod workflows;

#[test]
fn no_test_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let binaries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let binaries = binaries
        .filter(|path| path.join("main.rs").exists() || path.extension().is_some_and(|ext| ext == "rs"));
    assert_eq!(binaries.count(), 1, "a second test binary would compile the support again");
    let declared = include_str!("main.rs");
    for entry in std::fs::read_dir(folder.join("it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|ext| ext == "rs") && name != "main" {
            assert!(declared.contains(&format!("\nmod {name};\n")), "main.rs does not name {name}");
        }
    }
}
