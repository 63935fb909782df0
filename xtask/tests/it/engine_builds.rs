//! Builds in unusual or broken environments, with a real engine: single targets, many targets, odd `.env` files, broken builders,
//! an engine that is killed or full.

use std::process::{Command, Stdio};

use crate::support::second_engine::SecondEngine;
use crate::support::{Site, docker, repository};

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_failing_service_is_named_alone_and_among_others() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("one");
    site.folder
        .write("alpha/Dockerfile.optimized", "FROM scratch AS build\nCOPY alpha/hello /h\nCOPY gone /gone\n");
    for args in [&["build-images", "alpha"][..], &["build-images"], &["build-images", "--jobs", "1"]] {
        let output = site.run(args);
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("alpha-simple-optimized failed at alpha/Dockerfile.optimized:3\n"), "{text}");
        assert!(text.contains("\n  help: ") && text.contains("logs/alpha-simple-optimized.log"), "{text}");
        assert!(site.folder.read("target/xtask/logs/alpha-simple-optimized.log").contains("COPY gone /gone"));
    }
    assert_eq!(site.tag_names(), [""; 0]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_dockerfile_that_cannot_be_parsed_is_named_with_its_line() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("parse");
    site.folder.write("alpha/Dockerfile.optimized", "FROM scratch\nCOPI alpha/hello /h\n");
    let output = site.run(&["build-images", "alpha"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("alpha-simple-optimized failed at alpha/Dockerfile.optimized:2\n"), "{text}");
    assert!(text.contains("unknown instruction: COPI"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn neither_an_env_file_nor_a_folders_name_changes_a_build() {
    let _turn = crate::support::turn::take(module_path!());
    let prefix = format!("xt-env-{}", std::process::id());
    let mut folder = repository(&prefix);
    // Bake expands templates in the strings of its definition.
    let odd = folder.0.with_file_name(format!("{prefix} ${{HOME}} %{{ if x }}"));
    std::fs::rename(&folder.0, &odd).unwrap();
    folder.0 = odd;
    let site = Site { folder, prefix };
    for env in ["X=${TEAM:?say it}\n", "X=\"no end of se-cret\n", "HTTP_PROXY=http://se-cret@127.0.0.1:1\n"] {
        site.folder.write(".env", env);
        let mut command = site.command(&["-v", "build-images", "--bases", "upstream"]);
        // Run from the checkout, as users do.
        let output = command.current_dir(&site.folder.0).output().unwrap();
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(0), "{env}: {text}");
        assert!(!text.contains("se-cret") && !text.contains("say it"), "{text}");
    }
    assert_eq!(site.tag_names().len(), 4);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn bakes_of_one_run_share_what_they_build_without_cache() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("fresh");
    let manifest = site.folder.read("xtask/images.toml");
    let base =
        format!("[base.shared]\nimage = \"{}-shared\"\ndockerfile = \"shared/Dockerfile\"\n", site.prefix);
    site.folder.write("xtask/images.toml", &(manifest + &base));
    site.folder.write(
        "shared/Dockerfile",
        "FROM debian:trixie-slim\nRUN cat /proc/sys/kernel/random/uuid > /made\n",
    );
    for name in ["alpha", "beta"] {
        let text = format!("FROM scratch\nCOPY --from={}-shared /made /made\n", site.prefix);
        site.folder.write(&format!("{name}/Dockerfile.optimized"), &text);
    }
    let layer = |name: &str| {
        let image = format!("{}-{name}:latest-simple-optimized", site.prefix);
        docker(&["image", "inspect", "--format", "{{index .RootFS.Layers 0}}", &image])
    };
    let mut before = String::new();
    for _ in 0..2 {
        let output = site.run(&["build-images", "--no-cache", "--jobs", "1"]);
        assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
        assert_eq!(layer("alpha"), layer("beta"), "the second bake rebuilt the base");
        assert_ne!(layer("alpha"), before, "the cache was used");
        before = layer("alpha");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_builder_that_does_not_work_is_named() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("builder");
    // Keeps the machine's list of builders unchanged.
    let config = site.folder.0.join("buildx");
    let run = |command: &mut Command| {
        let output = command.env("BUILDX_CONFIG", &config).output().unwrap();
        (output.status.code(), site.told(&output))
    };
    let create = ["buildx", "create", "--name", "far", "--driver", "remote", "tcp://127.0.0.1:1"];
    assert_eq!(run(Command::new("docker").args(create)).0, Some(0));
    site.folder.write("target/xtask/bases.json", "");
    for (builder, bases) in [("nobody", "auto"), ("nobody", "upstream"), ("far", "auto"), ("far", "upstream")]
    {
        let args = ["build-images", "--variant", "both", "--bases", bases];
        let by_option = run(site.command(&args).args(["--builder", builder]));
        let by_variable = run(site.command(&args).env("BUILDX_BUILDER", builder));
        for (code, text) in [by_option, by_variable] {
            assert_eq!(code, Some(3), "{text}");
            assert!(text.contains(&format!("the builder `{builder}` does not work: ")), "{text}");
            assert!(text.contains("help: ") && !text.contains("stand-ins made"), "{text}");
        }
        assert_eq!(site.folder.read("target/xtask/bases.json"), "", "a failure was recorded as a choice");
    }
}

/// A build on a second engine.
fn build(engine: &SecondEngine, site: &Site, args: &[&str]) -> Command {
    let mut command = site.command(&[&["build-images", "--bases", "stand-in"], args].concat());
    command.env("DOCKER_HOST", engine.host()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn images(engine: &SecondEngine) -> String {
    let output = engine.docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_engine_killed_during_a_build_is_reported_and_the_next_run_recovers() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("killed");
    site.folder.write(
        "alpha/Dockerfile.optimized",
        "FROM debian:trixie-slim\nRUN --network=none echo waiting && sleep 600\n",
    );
    let mut engine = SecondEngine::start();
    let mut run = build(&engine, &site, &[]).spawn().unwrap();
    let log = site.folder.0.join("target/xtask/logs/alpha-simple-optimized.log");
    super::engine::wait_for(&log, "waiting", &mut run);
    engine.kill();
    let output = run.wait_with_output().unwrap();
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("no Docker Engine answers") && text.contains("\nhelp: "), "{text}");

    engine.restart();
    site.folder.write("alpha/Dockerfile.optimized", "FROM scratch\nCOPY alpha/hello /hello\n");
    let output = build(&engine, &site, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    let tags = images(&engine);
    let ours = tags.lines().filter(|tag| tag.starts_with(&site.prefix)).count();
    // The engine also has the lock's image.
    assert_eq!(ours, 4, "{tags}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_full_engine_disk_is_an_environment_failure() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("full");
    let large = std::fs::File::create(site.folder.0.join("alpha/large")).unwrap();
    large.set_len(600_000_000).unwrap();
    site.folder.write("alpha/Dockerfile.optimized.dockerignore", "*\n!alpha/large\n");
    let only_in_its_log =
        "FROM debian:trixie-slim\nRUN --network=none head -c 600000000 /dev/zero > /large\n";
    let copied = "FROM scratch\nCOPY alpha/large /large\n";
    for (megabytes, containerd, dockerfile) in [
        (400, false, only_in_its_log),
        (400, true, only_in_its_log),
        (400, false, copied),
        (400, true, copied),
    ] {
        let engine = SecondEngine::small(megabytes, containerd);
        site.folder.write("alpha/Dockerfile.optimized", dockerfile);
        let output = build(&engine, &site, &["alpha"]).output().unwrap();
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(3), "{containerd} {dockerfile}: {text}");
        assert!(text.contains("cause:  disk") && text.contains("docker system df"), "{text}");
        assert_eq!(images(&engine), "", "a tag was left behind");
    }
}

/// A full tmpfs of 64 KB mounted over a folder.
struct FullDisk(std::path::PathBuf);

impl FullDisk {
    fn on(folder: std::path::PathBuf) -> FullDisk {
        std::fs::create_dir_all(&folder).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&folder).status();
        assert!(mount.unwrap().success(), "cannot mount a tmpfs of 64 KB");
        let disk = FullDisk(folder);
        // Fails once the disk is full.
        std::fs::write(disk.0.join("fill"), vec![0; 1_000_000]).unwrap_err();
        disk
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_full_disk_of_the_checkout_exits_3_with_help() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("own");
    assert_eq!(site.run(&["build-images"]).status.code(), Some(0));
    let before = site.tags();
    site.folder.write("alpha/hello", "changed");
    std::fs::remove_dir_all(site.folder.0.join("target")).unwrap();
    let _full = FullDisk::on(site.folder.0.join("target"));
    for command in
        [&["build-images", "--bases", "upstream"][..], &["compare"], &["check"], &["report"], &["ci"]]
    {
        // `ci` must report the full disk, not a failed check.
        let output = site.command(command).env("CARGO", "/bin/true").output().unwrap();
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {text}");
        assert!(text.contains("\nhelp: free ") && text.contains("space"), "{command:?}: {text}");
    }
    assert_eq!(site.tags(), before);
}

mod full {
    use super::*;

    /// Services in one plan: enough for several bakes, and more than BuildKit starts at once.
    const MANY: usize = 300;

    fn with_many_services(site: &Site) {
        let manifest = site.folder.read("xtask/images.toml");
        let head = manifest.split("[service.").next().unwrap();
        let base = format!(
            "[base.shared]\nimage = \"{}-shared\"\ndockerfile = \"shared/Dockerfile\"\n",
            site.prefix
        );
        site.folder.write("shared/hello", "shared");
        site.folder.write("shared/Dockerfile", "FROM scratch\nCOPY shared/hello /shared\n");
        site.folder.write("shared/Dockerfile.dockerignore", "*\n!shared/hello\n");
        let service = |i: usize| {
            let (name, port) = (format!("s{i:03}"), 2000 + i);
            site.folder.write(&format!("{name}/hello"), &name);
            for file in ["Dockerfile", "Dockerfile.optimized"] {
                let text = format!(
                    "FROM {}-shared\nARG VERSION\nCOPY {name}/hello /hello\nUSER 65532\n",
                    site.prefix
                );
                site.folder.write(&format!("{name}/{file}"), &text);
                site.folder.write(&format!("{name}/{file}.dockerignore"), &format!("*\n!{name}/hello\n"));
            }
            format!(
                "[service.{name}]\nimage = \"{}-{name}\"\ncompose = \"{name}\"\nport = {port}\n\
                 dockerfile = \"{name}/Dockerfile\"\noptimized = \"{name}/Dockerfile.optimized\"\n",
                site.prefix
            )
        };
        let services: String = (0..MANY).map(service).collect();
        site.folder.write("xtask/images.toml", &(head.to_owned() + &base + &services));
    }

    #[test]
    #[ignore = "needs an engine: cargo xtask ci --full"]
    fn one_build_of_hundreds_of_services_works() {
        let _turn = crate::support::turn::take(module_path!());
        let site = Site::new("many");
        with_many_services(&site);
        let output = site.run(&["build-images"]);
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        for i in 0..MANY {
            assert!(
                text.contains(&format!("s{i:03}-simple-optimized  done")),
                "no progress for s{i:03}: {text}"
            );
        }
        assert_eq!(site.tag_names().len(), 2 * MANY);
        // The second run uses cached data instead of asking docker about each image.
        for command in ["compare", "check"] {
            site.run(&[command]);
            let again = site.run(&["-v", command]);
            let text = site.told(&again);
            let calls = text.lines().filter(|line| line.starts_with("+ docker ")).count();
            assert!(calls < 10, "{command}: {calls} docker calls: {text}");
        }
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn timings_of_steps_are_shown_and_recorded() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("timings");
    for name in ["alpha", "beta"] {
        // The step contains the process ID, so the engine has never run it.
        let text = format!("FROM debian:trixie-slim\nRUN echo {} {name} > /made && sleep 0.2\n", site.prefix);
        site.folder.write(&format!("{name}/Dockerfile.optimized"), &text);
    }
    let step = |target: &str| {
        let file: serde_json::Value =
            serde_json::from_str(&site.folder.read("target/xtask/timings.json")).unwrap();
        let steps = file["steps"].as_array().unwrap().clone();
        let is_run = |step: &serde_json::Value| {
            step["target"] == target && step["step"].as_str().unwrap().contains("] RUN echo")
        };
        steps.into_iter().find(is_run).unwrap()
    };
    let built = |args: &[&str]| {
        let output = site.run(&[&["build-images", "--timings"], args].concat());
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let text = built(&[]);
    let row = |text: &str| {
        text.lines().any(|line| line.starts_with("alpha-simple-optimized ") && line.contains("RUN"))
    };
    assert!(row(&text) && text.contains(" ran, "), "{text}");
    let first = step("alpha-simple-optimized");
    assert!(first["seconds"].as_f64().unwrap() >= 0.2 && first["before"].is_null(), "{first}");
    // Only alpha is rebuilt; beta's times stay.
    let text = built(&["alpha", "--no-cache"]);
    assert!(row(&text) && !text.contains("beta"), "{text}");
    assert_eq!(step("alpha-simple-optimized")["before"], first["seconds"]);
    assert!(step("beta-simple-optimized")["seconds"].as_f64().unwrap() >= 0.2);
    // Nothing to do.
    assert!(built(&["alpha"]).contains("\n0 steps ran, 0 cached.\n"));
}
