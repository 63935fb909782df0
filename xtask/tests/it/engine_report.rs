//! The report's page in a real Chromium: what a person sees, by mouse, keyboard and telephone, on screen and paper.

use std::process::Command;

use crate::support::Folder;
use crate::support::containers::root;
use crate::support::report::report;
use build::bases::BasesMode;
use build::{builds, planner};
use engine::context::Context;
use engine::docker::Docker;
use host::paths::Repository;
use host::terminal::{Color, Terminal, Verbosity};
use model::reader;

/// Pictures of the page; the next run replaces them.
const PICTURES: &str = "target/xtask/report-pictures";

#[test]
#[ignore = "needs an engine"]
fn the_page_is_for_everybody_and_its_console_is_silent() {
    let _turn = crate::support::turn::take(module_path!());
    let repository = Repository::locate(Some(&root())).unwrap();
    let manifest = reader::load(&repository).unwrap();
    let context = Context {
        repository,
        docker: Docker::new(Default::default()),
        terminal: Terminal::detect(Color::Never, Verbosity::Quiet),
        with_engine: false,
    };
    builds::stack_tests(&manifest, BasesMode::Auto, &context).unwrap();
    let image = planner::stack_test_image(&manifest, &manifest.stack_tests[0]);

    let (folder, out) = (Folder::new(), root().join(PICTURES));
    folder.write("report.html", &release::report::render::html(&report()));
    std::fs::create_dir_all(&out).unwrap();
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--init", "--network=none", "--read-only", "--tmpfs=/tmp", "--user=0:0"]);
    docker.arg(format!("--volume={}:/report.html:ro", folder.0.join("report.html").display()));
    docker.arg(format!("--volume={}:/out", out.canonicalize().unwrap().display()));
    // The pages' own tests are told these; here no stack runs.
    for name in ["URL_CLIENT", "URL_CONTROL", "SUTRA_API_KEY", "SUTRA_CONTROL_PASSWORD", "PROJECT"] {
        docker.arg(format!("--env={name}=none-is-needed"));
    }
    let output = docker.args([image.as_str(), "npm", "run", "--silent", "report"]).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}
