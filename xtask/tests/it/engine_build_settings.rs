//! What Compose and bake files declare for a build besides its files reaches it, with a real engine: secrets, SSH, networks, hosts,
//! limits, labels.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;

use crate::support::{Site, docker};

/// Secret values, in parts: no file of this repository holds one.
const SECRETS: [(&str, [&str; 2]); 3] = [
    ("npmrc", ["npm-", "auth-words"]),
    ("shell", ["shell-", "pass-words"]),
    ("renamed", ["dotenv-", "pass-words"]),
];

/// A repository whose builds are those of a Compose file; `app` is a Dockerfile after FROM, `build` its entry in the file.
fn site(test: &str, app: &str, build: &str) -> Site {
    let site = Site::new(test);
    site.folder.write(
        "xtask/images.toml",
        "schema = 2\nproject = \"fixture\"\nenv-prefix = \"SUTRA_\"\ncompose = [\"compose.yaml\"]\n\
         [upstream.debian]\nreference = \"debian:trixie-slim\"\nstand-in = { bootstrap = \"trixie\" }\n",
    );
    let compose = format!(
        "services:\n  app:\n    image: {}-app\n    build:\n      context: app\n{}",
        site.prefix,
        build.lines().fold(String::new(), |text, line| text + "      " + line + "\n")
    );
    site.folder.write("compose.yaml", &compose);
    // The name differs from run to run, so that no step comes from the cache.
    site.folder.write("app/Dockerfile", &format!("FROM debian:trixie-slim\nENV RUN={}\n{app}", site.prefix));
    site
}

fn built(site: &Site, output: &Output) -> String {
    let text = site.told(output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

/// A file of the image that was built.
fn file(site: &Site, path: &str) -> String {
    docker(&["run", "--rm", "--network=none", &format!("{}-app:latest", site.prefix), "cat", path])
}

/// All files in a folder that contain a text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn secrets_of_a_compose_file_reach_the_build_and_nothing_else() {
    let _turn = crate::support::turn::take(module_path!());
    let mounts: String =
        SECRETS.iter().map(|(id, _)| format!("--mount=type=secret,id={id},required=true ")).collect();
    let site = site(
        "secret",
        &format!(
            "RUN --network=none {mounts}for id in npmrc shell renamed; do echo \"seen: $(cat /run/secrets/$id)\"; \
             tr a-y b-z < /run/secrets/$id >> /shifted; echo >> /shifted; done\n"
        ),
        "secrets:\n  - npmrc\n  - shell\n  - {source: dotenv, target: renamed}\n",
    );
    let values = SECRETS.map(|(_, parts)| parts.concat());
    let compose = site.folder.read("compose.yaml")
        + "secrets:\n  npmrc: {file: ./private/npmrc}\n  shell: {environment: XT_SHELL}\n  dotenv: {environment: XT_DOTENV}\n";
    site.folder.write("compose.yaml", &compose);
    site.folder.write("private/npmrc", &values[0]);
    site.folder.write(".env", &format!("XT_DOTENV={}\nXT_SHELL=not-this-one\n", values[2]));
    let mut texts = Vec::new();
    for args in [&["build-images", "--dry-run"][..], &["-v", "build-images"]] {
        texts.push(built(&site, &site.command(args).env("XT_SHELL", &values[1]).output().unwrap()));
    }
    let shifted = |text: &String| {
        text.chars()
            .map(|c| if c.is_ascii_lowercase() { char::from(c as u8 + 1) } else { c })
            .collect::<String>()
    };
    let expected: Vec<String> = values.iter().map(shifted).collect();
    assert_eq!(file(&site, "/shifted").lines().collect::<Vec<_>>(), expected);
    // The log shows that the values were printed, but masked.
    let log = site.folder.read("target/xtask/logs/app.log");
    assert_eq!(log.matches("seen: ***").count(), 3, "{log}");
    assert!(texts[0].contains("\"id=renamed,env=XT_DOTENV\""), "{}", texts[0]);
    for value in &values {
        assert!(texts.iter().all(|text| !text.contains(value)), "{texts:?}");
        assert_eq!(holding(&site.folder.0.join("target/xtask"), value), [""; 0]);
    }
    // A missing one is reported with its name.
    site.folder.write(
        "app/Dockerfile",
        "FROM debian:trixie-slim\nRUN --mount=type=secret,id=npmrc,required=true true\n",
    );
    std::fs::remove_file(site.folder.0.join("private/npmrc")).unwrap();
    let output = site.run(&["build-images"]);
    let text = site.told(&output);
    assert!(output.status.code() == Some(1) && text.contains("private/npmrc"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_build_has_the_network_that_compose_gives_it() {
    let _turn = crate::support::turn::take(module_path!());
    let look = "ARG ROUND\nRUN ls /sys/class/net | tr '\\n' ' ' > /networks; readlink /proc/self/ns/net > /namespace\n";
    let own = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    for (network, is_host) in [("none", false), ("host", true)] {
        let site = site(
            &format!("network-{network}"),
            look,
            &format!("network: {network}\nargs: {{ROUND: {network}}}\n"),
        );
        built(&site, &site.run(&["build-images"]));
        assert_eq!(file(&site, "/networks") == "lo", !is_host, "{network}");
        assert_eq!(file(&site, "/namespace") == own, is_host, "{network}");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn limits_labels_ssh_and_shared_memory_reach_the_build() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site(
        "limits",
        "RUN --network=none --mount=type=ssh test -S $SSH_AUTH_SOCK && ulimit -Sn > /limit && ulimit -Hn >> /limit && df -k /dev/shm | tail -n 1 > /shm\n",
        "ssh: [default]\nshm_size: 96m\nulimits: {nofile: {soft: 1000, hard: 2000}}\nlabels: {team: \"a $$ b\", org.opencontainers.image.title: other}\n\
         privileged: true\n",
    );
    let socket = site.folder.0.join("agent");
    let _agent = UnixListener::bind(&socket).unwrap();
    let output = site.command(&["build-images"]).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    let text = built(&site, &output);
    assert!(text.contains("app: these parts of its build are ignored: privileged\nhelp: "), "{text}");
    assert_eq!(file(&site, "/limit"), "1000\n2000");
    assert!(file(&site, "/shm").split_whitespace().any(|word| word == "98304"), "{}", file(&site, "/shm"));
    let image = format!("{}-app:latest", site.prefix);
    let label = |name: &str| {
        docker(&["image", "inspect", "--format", &format!("{{{{index .Config.Labels \"{name}\"}}}}"), &image])
    };
    assert_eq!(label("team"), "a $ b");
    assert_eq!(label("org.opencontainers.image.title"), format!("{}-app", site.prefix));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn extra_hosts_reach_the_build_or_buildx_is_too_old() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("hosts", "RUN cat /etc/hosts > /seen\n", "extra_hosts: [\"registry.test=10.1.2.3\"]\n");
    let output = site.run(&["build-images"]);
    if output.status.success() {
        assert!(file(&site, "/seen").contains("10.1.2.3\tregistry.test"), "{}", file(&site, "/seen"));
        return;
    }
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains(" ignores the extra hosts of a build: app\nhelp: update Buildx to 0.25.0 or newer"),
        "{text}"
    );
    assert!(site.tag_names().is_empty());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn secrets_and_limits_of_a_bake_file_reach_the_build() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site(
        "bake",
        "RUN --network=none --mount=type=secret,id=a,required=true --mount=type=secret,id=b,required=true \
         wc -c /run/secrets/a /run/secrets/b > /counts && ulimit -Sn > /limit\n",
        "{}",
    );
    let manifest = site
        .folder
        .read("xtask/images.toml")
        .replace("compose = [\"compose.yaml\"]", "compose = []\nbake = [\"docker-bake.hcl\"]");
    site.folder.write("xtask/images.toml", &manifest);
    let bake = format!(
        "target \"default\" {{\n  name = \"app\"\n  matrix = {{ x = [1] }}\n  context = \"app\"\n  tags = [\"{}-app\"]\n  secret = [\"id=a,src=private/a\", \"id=b,env=XT_BAKE\"]\n  \
         ulimits = [\"nofile=1000:2000\"]\n}}\n",
        site.prefix
    );
    site.folder.write("docker-bake.hcl", &bake);
    site.folder.write("private/a", "12345");
    let run = |args: &[&str]| {
        let mut command = site.command(args);
        command.env("XT_BAKE", "1234567").env_remove("SSH_AUTH_SOCK").output().unwrap()
    };
    built(&site, &run(&["build-images"]));
    let counts = file(&site, "/counts");
    assert!(counts.contains("5 /run/secrets/a") && counts.contains("7 /run/secrets/b"), "{counts}");
    assert_eq!(file(&site, "/limit"), "1000"); // Reading a target that needs an SSH agent needs none.
    site.folder.write("docker-bake.hcl", &bake.replace("  ulimits", "  ssh = [\"default\"]\n  ulimits"));
    let text = built(&site, &run(&["build-images", "--dry-run"]));
    assert!(text.contains("\"ssh\": [\n        \"default\"\n      ]"), "{text}");
}
