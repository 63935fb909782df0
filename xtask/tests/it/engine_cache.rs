//! The build cache that machines share, with a real registry and an engine that can write it.

use std::fs::File;
use std::process::{Child, Command, Output};
use std::time::Duration;

use crate::support::registry::Registry;
use crate::support::second_engine::SecondEngine;
use crate::support::{Folder, docker, repository, told};

/// Where the registry listens, in a network that only the second engine is in.
const PLACE: &str = "127.0.0.1:5000/team";

/// Debian's registry beside an engine on the containerd store.
struct Machine {
    registry: Child,
    engine: SecondEngine,
}

impl Machine {
    fn start() -> Machine {
        let engine = SecondEngine::start();
        let program = engine.folder.0.join("docker-registry");
        let made = Registry::start("cache");
        docker(&["cp", &format!("{}:/usr/bin/docker-registry", made.id), &program.display().to_string()]);
        engine.folder.write(
            "registry.yml",
            &format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:5000\"}}\n",
                engine.folder.0.join("registry").display()
            ),
        );
        let network = format!("--net=/proc/{}/ns/net", engine.daemon.id());
        let inside = |args: &[&str]| {
            let mut command = Command::new("nsenter");
            command.arg(&network).args(args);
            command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
            command
        };
        assert!(inside(&["ip", "link", "set", "lo", "up"]).status().unwrap().success());
        let configuration = engine.folder.0.join("registry.yml");
        let log = File::create(engine.folder.0.join("registry.log")).unwrap();
        let mut registry =
            inside(&[&program.display().to_string(), "serve", &configuration.display().to_string()])
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
        while !engine.folder.read("registry.log").contains("listening on") {
            let ended = registry.try_wait().unwrap();
            assert!(ended.is_none(), "no registry:\n{}", engine.folder.read("registry.log"));
            std::thread::sleep(Duration::from_millis(50));
        }
        Machine { registry, engine }
    }

    fn build(&self, checkout: &Folder, args: &[&str]) -> Output {
        let args =
            [&["build-images", "beta", "--bases", "upstream", "--cache-registry", PLACE], args].concat();
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(args)
            .arg("--root")
            .arg(&checkout.0)
            .env("DOCKER_HOST", self.engine.host())
            .output()
            .unwrap()
    }

    /// Removes images and build cache, as if it was another machine.
    fn forget_builds(&self) {
        for args in [&["image", "prune", "--all", "--force"], &["buildx", "prune", "--all", "--force"]] {
            let pruned = self.engine.docker(args).output().unwrap();
            assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.registry.kill().ok();
        self.registry.wait().ok();
    }
}

/// Stages whose layers are in no image, in a base and in the service.
fn checkout() -> Folder {
    let checkout = repository("xt-cache");
    let manifest = checkout.read("xtask/images.toml");
    let base = "[base.shared]\nimage = \"xt-cache-shared\"\ndockerfile = \"shared/Dockerfile\"\n";
    checkout.write("xtask/images.toml", &format!("{manifest}{base}"));
    let of = |name: &str, base: &str| {
        format!("FROM scratch AS made\nCOPY beta/hello /{name}\nFROM {base}\nCOPY --from=made /{name} /\n")
    };
    checkout.write("shared/Dockerfile", &of("base", "scratch"));
    checkout.write("shared/Dockerfile.dockerignore", "*\n!beta/hello\n");
    checkout.write("beta/Dockerfile.optimized", &of("service", "xt-cache-shared"));
    checkout
}

/// Steps that were run, and steps whose results were found.
fn steps(checkout: &Folder) -> (usize, usize) {
    let logs = ["base-shared", "beta-simple-optimized"];
    let text: String = logs.map(|name| checkout.read(&format!("target/xtask/logs/{name}.log"))).concat();
    let ended = text.lines().filter(|line| line.contains(" < ") && line.contains("] COPY "));
    let (cached, run): (Vec<&str>, Vec<&str>) = ended.partition(|line| line.ends_with("(cached)"));
    (run.len(), cached.len())
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn another_machine_finds_every_stage_in_the_registry_and_writes_nothing_unasked() {
    let _turn = crate::support::turn::take(module_path!());
    let machine = Machine::start();
    let built = |args: &[&str]| {
        let checkout = checkout();
        let output = machine.build(&checkout, args);
        assert!(output.status.success(), "{}", told(&output, &checkout));
        machine.forget_builds();
        steps(&checkout)
    };
    // A registry that holds nothing yet is no reason to fail; and reading leaves nothing there.
    assert_eq!(built(&[]), (4, 0));
    assert_eq!(built(&["--write-cache"]), (4, 0));
    assert_eq!(built(&[]), (0, 4));
}
