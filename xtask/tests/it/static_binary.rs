//! The program `images` as one static file: its size, what it links, and whether it runs in an empty image.

/// Tests that `cargo xtask ci --full` alone runs: the build takes minutes.
mod full {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use contents::elf;
    use contents::excerpt::Excerpt;
    use contents::facts::Dynamic;

    use crate::support::{Folder, docker};

    /// Maximum size of the program.
    const MOST_BYTES: usize = 9_000_000;

    /// A replacement for docker in an empty image: reports a running service at an address.
    const DOCKER: &str = r#####"
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let address = std::env::var("ADDRESS").unwrap_or_default();
    let text = args.join(" ");
    if text.starts_with("container inspect -- ") && text.ends_with("-images-lock") {
        eprintln!("Error response from daemon: No such container: x");
        println!("[]");
        std::process::exit(1);
    }
    if text.starts_with("version") {
        println!("26.1.5");
    } else if text.contains(" ps --all ") {
        println!(r##"{{"Service":"alpha","ID":"a1","State":"running","Health":"healthy","Publishers":[{{"URL":"{address}","TargetPort":80,"PublishedPort":9,"Protocol":"tcp"}}]}}"##);
    } else if text.contains(" config ") {
        println!(r##"{{"name":"fixture","services":{{"alpha":{{}}}}}}"##);
    } else if text.starts_with("container inspect ") {
        println!(r##"[{{"Id":"a1","Image":"sha256:aaa","Config":{{}},"HostConfig":{{}},"State":{{}}}}]"##);
    }
}
"#####;

    const MANIFEST: &str = "schema = 1\nproject = \"fixture\"\nversion = \"1\"\nsource-date-epoch = 1\n\
        [service.alpha]\nimage = \"alpha\"\ncompose = \"alpha\"\nport = 80\n\
        original = \"Dockerfile\"\noptimized = \"Dockerfile\"\n\
        [service.alpha.sizes]\nsimple = { original = \"9MB\", target = \"9MB\", goal = \"9MB\" }\n\
        [[service.alpha.probe]]\nname = \"health\"\nrequest = { get = \"/\" }\n";

    fn target() -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
    }

    /// Builds it as the documentation says.
    fn build() -> PathBuf {
        let mut cargo = Command::new(env!("CARGO"));
        let cargo =
            cargo.args(["binary", "--quiet"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let output = cargo.env("CARGO_TARGET_DIR", target()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target().join(format!("{}-unknown-linux-gnu/binary/images", std::env::consts::ARCH))
    }

    #[test]
    #[ignore = "compiles for minutes: `cargo xtask ci --full` runs it"]
    fn it_is_small_and_needs_no_library() {
        let bytes = fs::read(build()).unwrap();
        assert!(bytes.len() <= MOST_BYTES, "{} bytes", bytes.len());
        let size = u64::try_from(bytes.len()).unwrap();
        let mut excerpt = Excerpt::default();
        excerpt.start(elf::parts(&bytes, size).unwrap());
        excerpt.feed(&bytes, 0);
        let dynamic = elf::read(&excerpt).unwrap().dynamic;
        let is_alone = |asks: &Dynamic| asks.needed.is_empty() && asks.interpreter.is_none();
        assert!(dynamic.as_deref().is_none_or(is_alone), "{dynamic:?}");
    }

    /// A panic ends the process, unless it is in the YAML parser.
    #[test]
    #[ignore = "compiles for minutes: `cargo xtask ci --full` runs it"]
    fn it_survives_yaml_that_its_parser_cannot_handle() {
        let folder = Folder::new();
        folder.write("Dockerfile", "FROM scratch\n");
        folder.write("skaffold.yaml", "{!,~");
        let output = Command::new(build())
            .args(["init", "--no-docker", "--dry-run"])
            .current_dir(&folder.0)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.contains("skaffold.yaml: line 1 or later: invalid YAML: a tag before a comma"),
            "{told}"
        );
    }

    #[test]
    #[ignore = "compiles for minutes: `cargo xtask ci --full` runs it"]
    fn it_resolves_names_in_an_empty_image() {
        let _turn = crate::support::turn::take(module_path!());
        let folder = Folder::new();
        fs::copy(build(), folder.0.join("images")).unwrap();
        folder.write("docker.rs", DOCKER);
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let rustc = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
            .args(["--edition=2024", "-C", "target-feature=+crt-static", "--target", &triple])
            .args(["-o", "docker", "docker.rs"])
            .current_dir(&folder.0)
            .output()
            .unwrap();
        assert!(rustc.status.success(), "{}", String::from_utf8_lossy(&rustc.stderr));
        folder.write("repository/images.toml", MANIFEST);
        folder.write("repository/docker-compose.yml", "services: {}\n");
        folder.write("repository/Dockerfile", "FROM scratch\n");
        // Services of glibc that a static program does not have come before those that it has.
        folder.write("nsswitch.conf", "hosts: mymachines mdns4_minimal files myhostname dns\n");
        folder.write(
            "Dockerfile",
            "FROM scratch AS plain\nENV PATH=/bin\nCOPY images docker /bin/\nCOPY repository /repository\n\
             WORKDIR /repository\nENTRYPOINT [\"images\"]\n\
             FROM plain AS switched\nCOPY nsswitch.conf /etc/nsswitch.conf\n",
        );
        for stage in ["plain", "switched"] {
            let name = format!("xt-static-{}-{stage}", std::process::id());
            let context = folder.0.display().to_string();
            docker(&["build", "--quiet", "--target", stage, "--tag", &name, &context]);
            let run = |address: &str, args: &[&str]| {
                let output = Command::new("docker")
                    .args(["run", "--rm", "--network=none", "--add-host=probe.test:127.0.0.1"])
                    .args(["--env", &format!("ADDRESS={address}"), &name])
                    .args(args)
                    .output()
                    .unwrap();
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr)
            };
            let version = run("", &["--version"]);
            let said = ["localhost", "probe.test", "unknown.invalid"]
                .map(|address| run(address, &["smoke", "--timeout", "1"]));
            docker(&["image", "rm", "--force", &name]);
            assert!(version.starts_with("images "), "{version}");
            let [localhost, hosts, unknown] = said;
            for said in [&localhost, &hosts] {
                assert!(said.contains("connection refused"), "{stage}: {said}");
            }
            assert!(
                !unknown.contains("connection refused") && unknown.contains("FAIL"),
                "{stage}: {unknown}"
            );
        }
    }
}
