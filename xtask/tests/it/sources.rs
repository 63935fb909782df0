//! `analyze` and `why` on images outside of the engine, in folders without a manifest.

use serde_json::{Value, json};

use crate::support::images::{debian, python};
use crate::support::oci::{ACCOUNT, Hub, Layout, Packing};
use crate::support::outside::{analyzed, error, record, run, run_with, with_curl, write};
use crate::support::saved::{self, Saved, gzip};
use crate::support::{FakeDocker, Folder, bare_machine, repository, told};
use contents::difference::Difference;

#[test]
fn an_image_has_the_same_record_wherever_it_comes_from() {
    let (image, folder) = (debian(), Folder::new());
    let docker = FakeDocker::new().holds(&image, saved::Layout::OciGzip);
    let output = docker.run(&repository("fx"), &["analyze", image.name, "--format", "json"]);
    let expected = record(&output, &folder);

    let layouts = [saved::Layout::Classic, saved::Layout::Oci, saved::Layout::OciGzip];
    for layout in layouts {
        write(&folder, "saved.tar", &image.save(layout));
        assert_eq!(analyzed(&folder, "saved.tar"), expected, "{layout:?}");
        assert_eq!(analyzed(&folder, &format!("docker-archive:saved.tar:{}", image.name)), expected);
    }
    write(&folder, "packed", &gzip(&image.save(saved::Layout::Oci)));
    assert_eq!(analyzed(&folder, "packed"), expected, "gzip");
    let stdin = run_with(&bare_machine(), &folder, &["analyze", "-", "--format", "json"], Some("packed"));
    assert_eq!(record(&stdin, &folder), expected, "standard input");
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let layout = Layout::of(&image, packing);
        layout.write(&folder, "layout");
        assert_eq!(analyzed(&folder, "layout"), expected, "{packing:?}");
        assert_eq!(analyzed(&folder, "oci:layout"), expected);
        std::fs::remove_dir_all(folder.0.join("layout")).unwrap();
        write(&folder, "layout.tar", &layout.tar());
        assert_eq!(analyzed(&folder, "layout.tar"), expected);
        assert_eq!(analyzed(&folder, &format!("oci-archive:layout.tar:{}", image.name)), expected);
        let hub = Hub::serve(&layout, false);
        let output = run_with(&with_curl(), &folder, &["analyze", &hub.image(), "--format", "json"], None);
        assert_eq!(record(&output, &folder), expected, "a registry");
    }
    // `tar -C FOLDER .` starts every name like this.
    let dotted = Layout::of(&image, Packing::Gzip)
        .files()
        .into_iter()
        .map(|(name, bytes)| (format!("./{name}"), bytes));
    write(&folder, "dotted.tar", &saved::archive(&dotted.collect::<Vec<_>>()));
    assert_eq!(analyzed(&folder, "dotted.tar"), expected);
    let left: Vec<String> = std::fs::read_dir(&folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["saved.tar", "packed", "layout.tar", "dotted.tar"].contains(&name.as_str()))
        .collect();
    assert!(left.is_empty(), "a run without a manifest left {left:?}");
}

#[test]
fn what_was_used_is_shown() {
    let (image, folder, bin) = (debian(), Folder::new(), with_curl());
    write(&folder, "saved.tar", &image.save(saved::Layout::Oci));
    let layout = Layout::of(&image, Packing::Gzip);
    layout.write(&folder, "layout");
    let hub = Hub::serve(&layout, false);
    let shown = |image: &str, stdin| {
        let output = run_with(&bin, &folder, &["analyze", image, "--format", "json"], stdin);
        String::from_utf8(output.stderr).unwrap().replace(&hub.address.to_string(), "HUB")
    };
    assert_eq!(shown("saved.tar", None), "reading archive saved.tar\n");
    assert_eq!(shown("-", Some("saved.tar")), "reading archive from standard input\n");
    assert_eq!(shown("layout", None), "reading OCI layout layout, image debian-like:1\n");
    assert_eq!(shown(&hub.image(), None), "reading registry image HUB/team/app:1 (linux/amd64)\n");
    let docker = FakeDocker::new().holds(&image, saved::Layout::Oci);
    let output = docker.run(&repository("fx"), &["analyze", image.name]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("debian-like:1: image of the engine\n"), "{text}");
}

#[test]
fn the_second_run_reads_an_image_of_a_registry_from_the_cache() {
    let (image, repository, bin) = (debian(), repository("fx"), with_curl());
    let hub = Hub::serve(&Layout::of(&image, Packing::Gzip), false);
    let run = || {
        let args = ["analyze", &hub.image(), "--format", "json"];
        record(&run_with(&bin, &repository, &args, None), &repository)
    };
    let first = run();
    let pulled = hub.count("/storage/");
    assert_eq!(run(), first);
    assert_eq!(hub.count("/storage/"), pulled + 1, "only the configuration");
    let why = ["why", &hub.image(), &hub.image()];
    assert_eq!(run_with(&bin, &repository, &why, None).status.code(), Some(0));
    assert_eq!(hub.count("/storage/"), pulled + 3, "two configurations");
}

#[test]
fn why_compares_images_from_different_places() {
    let (small, large, folder) = (python(5000), python(9000), Folder::new());
    write(&folder, "small.tar", &small.save(saved::Layout::Classic));
    Layout::of(&large, Packing::Zstd).write(&folder, "large");
    let output = run(&folder, &["why", "small.tar", "large", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &folder));
    let difference: Difference = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(difference.bytes, 4000);
    assert_eq!(difference.owners.iter().map(|owner| owner.bytes).sum::<i64>(), 4000);
    let twice = run(&folder, &["why", "-", "-"]);
    assert!(error(&twice, &folder).starts_with("exit: 2 `-` can be used for only one of the two images"));
}

/// Images of two platforms in an index inside of the index, with attestations.
fn of_two_platforms() -> (Layout, Saved) {
    let (image, mut layout) = (debian(), Layout::default());
    let other = Saved { architecture: "s390x", ..python(5000) };
    let mut proof =
        layout.blob("application/vnd.oci.image.manifest.v1+json", b"{\"no\": \"image\"}".to_vec());
    proof["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    proof["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let images = [layout.add(&other, Packing::Gzip), proof, layout.add(&image, Packing::Gzip)];
    let nested = layout.nested(&images);
    layout.index.push(nested);
    (layout, other)
}

#[test]
fn a_platform_is_chosen_from_indexes_inside_of_indexes() {
    let ((layout, other), folder, bin) = (of_two_platforms(), Folder::new(), with_curl());
    layout.write(&folder, "layout");
    write(&folder, "layout.tar", &layout.tar());
    let hub = Hub::serve(&layout, false);
    for place in ["layout", "layout.tar", &hub.image()] {
        let on = |platform: &str| {
            run_with(&bin, &folder, &["analyze", place, "--format", "json", "--platform", platform], None)
        };
        let json = record(&on("linux/s390x"), &folder);
        assert_eq!((&json["platform"], &json["id"]), (&json!("linux/s390x"), &json!(other.id())), "{place}");
        let missing = error(&on("linux/riscv64"), &folder);
        let expected = "it has linux/amd64, linux/s390x\nhelp: choose one with --platform, such as `--platform linux/amd64`";
        assert!(
            missing.starts_with("exit: 2 no image for linux/riscv64") && missing.contains(expected),
            "{missing}"
        );
    }
    write(&folder, "saved.tar", &debian().save(saved::Layout::Oci));
    let wrong = run(&folder, &["analyze", "saved.tar", "--platform", "linux/arm64"]);
    assert_eq!(
        error(&wrong, &folder),
        "exit: 2 saved.tar is an image for linux/amd64, not for linux/arm64\n"
    );
}

/// One archive of two images, as `docker save A B` writes it.
fn of_two_images() -> Vec<u8> {
    let (mut files, mut manifest) = (Vec::new(), Vec::new());
    for image in [debian(), python(5000)] {
        let mut own = image.files(saved::Layout::Oci);
        let (_, last) = own.pop().unwrap();
        manifest.extend(serde_json::from_slice::<Vec<Value>>(&last).unwrap());
        files.extend(own);
    }
    files.push(("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()));
    saved::archive(&files)
}

#[test]
fn one_of_several_images_is_chosen_by_name() {
    let folder = Folder::new();
    write(&folder, "two.tar", &of_two_images());
    let image = python(5000);
    for name in [image.name, &image.id()] {
        assert_eq!(analyzed(&folder, &format!("two.tar:{name}"))["id"], json!(image.id()));
    }
    let mut layout = Layout::of(&debian(), Packing::Gzip);
    let other = Layout::of(&image, Packing::Gzip);
    layout.blobs.extend(other.blobs);
    layout.index.extend(other.index);
    layout.write(&folder, "layout");
    assert_eq!(analyzed(&folder, &format!("layout:{}", image.name))["id"], json!(image.id()));
    let tell = |args: &[&str]| error(&run(&folder, args), &folder);
    let told = [
        tell(&["analyze", "two.tar"]),
        tell(&["analyze", "two.tar:three:1"]),
        tell(&["analyze", "layout"]),
        tell(&["analyze", "layout:three:1"]),
    ];
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("sources_several", told.concat());
    });
}

#[test]
fn credentials_are_those_of_docker_login_and_stay_secret() {
    use base64::Engine as _;
    let (folder, bin) = (Folder::new(), with_curl());
    let hub = Hub::serve(&Layout::of(&debian(), Packing::Gzip), true);
    let run = || run_with(&bin, &folder, &["-v", "analyze", &hub.image()], None);
    let refused = told(&run(), &folder);
    assert!(
        refused.contains("access denied (401)") && refused.contains("help: sign in with `docker login"),
        "{refused}"
    );
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1));
    let config = json!({"auths": {hub.address.to_string(): {"auth": auth}}});
    folder.write("config.json", &config.to_string());
    let output = run();
    let text = told(&output, &folder);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // A helper instead of the file.
    let helper = format!(
        "#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {}' ] && echo '{}'\n",
        hub.address,
        json!({"ServerURL": "x", "Username": ACCOUNT.0, "Secret": ACCOUNT.1})
    );
    bin.write("docker-credential-test", &helper);
    let path = bin.0.join("docker-credential-test");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder.write("config.json", r#"{"credsStore": "test"}"#);
    let helped = run();
    let text = text + &told(&helped, &folder);
    assert_eq!(helped.status.code(), Some(0), "{text}");
    for secret in [ACCOUNT.1, &auth, "a-token-of-the-hub"] {
        assert!(!text.contains(secret), "{secret} was printed: {text}");
    }
}

#[test]
fn where_nothing_matches_all_that_was_tried_is_listed() {
    let (folder, repository, bin) = (Folder::new(), repository("fx"), with_curl());
    folder.write("nginx/index.html", "no layout");
    folder.write("not.tar", "text");
    let hub = Hub::serve(&Layout::default(), false);
    let missing = format!("{}/team/other:2", hub.address);
    let gone = "Error response from daemon: No such image: x\n";
    let docker = FakeDocker::new().on("image inspect *", 1, "[]\n", gone);
    let down =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
    let version = "Docker version 26.1.5, build a72d7cd\n";
    let no_engine = FakeDocker::new().on("--version", 0, version, "").on("*", 1, "", down);
    let tell = |args: &[&str]| error(&run(&folder, args), &folder);
    let told = [
        tell(&["analyze", "nginx"]),
        tell(&["analyze", "nginx:1.26"]),
        tell(&["analyze", "./nginx.tar"]),
        tell(&["analyze", "sha256:0123456789ab"]),
        tell(&["analyze", "Not A Name"]),
        tell(&["analyze", "not.tar"]),
        tell(&["analyze", "oci:nginx"]),
        tell(&["analyze", "docker-archive:gone.tar"]),
        tell(&["analyze", "x", "--edition", "simple"]),
        tell(&["analyze", "x", "--platform", "linux"]),
        error(&run_with(&bin, &folder, &["analyze", &missing], None), &folder),
        error(&docker.run(&repository, &["analyze", "nginx:1.26"]), &repository),
        error(&no_engine.run(&repository, &["analyze", "docker:nginx"]), &repository),
    ];
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false,
        filters => vec![(r"127\.0\.0\.1:\d+", "HUB")]}, {
        insta::assert_snapshot!("sources_nothing", told.concat());
    });
}

#[test]
fn commands_that_need_a_manifest_say_so() {
    let folder = Folder::new();
    snapshot!("sources_needs_a_manifest", run(&folder, &["compare"]), folder);
    let doctor = run(&folder, &["doctor", "--format", "json"]);
    let checks: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let names: Vec<&str> =
        checks["checks"].as_array().unwrap().iter().filter_map(|check| check["name"].as_str()).collect();
    assert!(names.contains(&"Docker Engine") && !names.contains(&"networked RUN"), "{names:?}");
    let script = run(&folder, &["completions", "bash"]);
    assert_eq!(script.status.code(), Some(0), "{}", told(&script, &folder));
    assert!(String::from_utf8(script.stdout).unwrap().contains("analyze"));
}

#[test]
fn a_registry_is_read_only_for_services_and_its_errors_are_shown() {
    let (repository, bin) = (repository("fx"), with_curl());
    let run = |args: &[&str]| {
        let output = crate::support::xtask(&bin.0, &repository, args).output().unwrap();
        (output.status.code(), told(&output, &repository))
    };
    for name in ["docker:x:1", "nginx:1.26", "x.tar", "registry:nginx"] {
        for command in [&["analyze", name][..], &["why", name, "alpha"]] {
            let (code, text) = run(&[command, &["--registry", "127.0.0.1:1"]].concat());
            assert_eq!(code, Some(2), "{command:?}: {text}");
            assert!(text.contains(&format!("unknown service `{name}`")), "{command:?}: {text}");
            assert!(text.contains("; --registry applies only to services\nhelp: "), "{command:?}: {text}");
        }
    }
    // Nothing listens on this port. The machine has no engine, and the command needs none.
    let (code, text) = run(&["analyze", "alpha", "--registry", "127.0.0.1:1"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("127.0.0.1:1") && !text.contains("docker"), "{text}");
}
