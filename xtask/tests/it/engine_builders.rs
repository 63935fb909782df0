//! Builders other than the engine's own: another engine as a docker context, with either image store.

use std::process::{Command, Output};

use crate::support::second_engine::SecondEngine;
use crate::support::{Folder, Site};

/// A client with another engine as the context `far`.
struct Client {
    config: Folder,
}

impl Client {
    fn of(host: &str) -> Client {
        let client = Client { config: Folder::new() };
        let endpoint = format!("host={host}");
        let created =
            client.with(Command::new("docker").args(["context", "create", "far", "--docker", &endpoint]));
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        client
    }

    fn with(&self, command: &mut Command) -> Output {
        command.env("DOCKER_CONFIG", &self.config.0).output().unwrap()
    }

    fn run(&self, site: &Site, args: &[&str]) -> (Option<i32>, String) {
        let output = self.with(&mut site.command(args));
        (output.status.code(), site.told(&output))
    }
}

fn images(engine: &SecondEngine) -> String {
    let output = engine.docker(&["image", "ls", "--all", "--quiet"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn images_built_on_another_engine_reach_this_one() {
    let _turn = crate::support::turn::take(module_path!());
    for containerd in [false, true] {
        let site = Site::new("far");
        let engine = SecondEngine::small(900, containerd);
        let client = Client::of(&engine.host());
        let build = ["build-images", "--bases", "upstream", "--builder", "far"];
        let (code, text) = client.run(&site, &build);
        assert_eq!(code, Some(0), "{text}");
        let built = site.tags();
        assert_eq!(built.len(), 4, "{built:?}");
        assert_eq!(images(&engine), "", "images were left on the engine that built them");
        // Their fingerprints are from this build.
        let (code, text) = client.run(&site, &build);
        assert_eq!(
            (code, text.contains("Up to date: 2 images. Nothing was built.")),
            (Some(0), true),
            "{text}"
        );
        assert_eq!(site.tags(), built);
    }
}
