//! The report page in Chromium: mouse, keyboard, phone, dark mode and print.

use std::process::Command;

use crate::support::Folder;
use crate::support::containers::root;
use crate::support::report::report;
use build::bases::BasesMode;
use build::{builds, planner};
use engine::context::Context;
use engine::docker::Docker;
use host::interrupt::Interrupt;
use host::paths::Repository;
use host::terminal::{Color, Terminal, Verbosity};
use model::reader;

/// Screenshots of the page, replaced by the next run.
const PICTURES: &str = "target/xtask/report-pictures";

#[test]
#[ignore = "needs an engine"]
fn the_page_passes_its_browser_tests() {
    let _turn = crate::support::turn::take(module_path!());
    let repository = Repository::locate(Some(&root())).unwrap();
    let manifest = reader::load(&repository).unwrap();
    let context = Context {
        repository,
        docker: Docker::new(Default::default()),
        terminal: Terminal::detect(Color::Never, Verbosity::Quiet, &Interrupt::default()),
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
    // The test image requires these variables; no stack runs here.
    for name in ["URL_CLIENT", "URL_CONTROL", "SUTRA_API_KEY", "SUTRA_CONTROL_PASSWORD", "PROJECT"] {
        docker.arg(format!("--env={name}=none-is-needed"));
    }
    let output = docker.args([image.as_str(), "npm", "run", "--silent", "report"]).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}
