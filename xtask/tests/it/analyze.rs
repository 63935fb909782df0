//! `analyze` on images made by the tests, in every archive format that engines write.

use crate::support::images::{APT, GCC, LIBX, LOCAL, RECORD, debian, layered, metadata, python};
use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, repository};
use contents::owner::OwnerKind;
use contents::record::Contents;
use contents::tree::Hidden;
use model::opportunity_kind::OpportunityKind;
use serde_json::json;

const LAYOUTS: [Layout; 3] = [Layout::Classic, Layout::Oci, Layout::OciGzip];

/// What `analyze` says of an image, the same in every form in which it can be saved.
fn analyzed(image: &Saved) -> Contents {
    let [first, others @ ..] = LAYOUTS.map(|layout| analyzed_as(image, layout));
    others.iter().for_each(|other| assert_eq!(other, &first, "the layouts differ"));
    assert!(first.adds_up(), "{first:#?}");
    first
}

fn analyzed_as(image: &Saved, layout: Layout) -> Contents {
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(image, layout));
    let output = docker.run(&repository, &["analyze", image.name, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bytes of one owner.
fn owned(contents: &Contents, kind: OwnerKind, label: &str) -> u64 {
    let found = contents.owners.iter().find(|owner| owner.kind == kind && owner.label() == label);
    found.unwrap_or_else(|| panic!("no {kind} {label} in {:#?}", contents.owners)).bytes.0
}

/// Bytes of one kind of opportunity.
fn could_go(contents: &Contents, kind: OpportunityKind) -> u64 {
    contents.opportunities.iter().find(|found| found.kind == kind).map_or(0, |found| found.bytes.0)
}

#[test]
fn a_debian_image_is_its_packages() {
    let contents = analyzed(&debian());
    // The library, its two documents, and the list of its files.
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "libx1 1.0-1"), 5300 + LIBX.len() as u64);
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "gcc-14 14"), 7300 + GCC.len() as u64);
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "apt 3.0"), 400 + 900 + APT.len() as u64);
    assert!(contents.owners.iter().all(|owner| owner.name != "gone"), "a removed package owns something");
    let purls: Vec<&str> = contents.owners.iter().filter_map(|owner| owner.purl.as_deref()).collect();
    assert!(purls.contains(&"pkg:deb/debian/libx1@1.0-1?arch=amd64&distro=debian-13"), "{purls:?}");
    assert_eq!(contents.surface.packages, 3);

    assert_eq!(
        could_go(&contents, OpportunityKind::Compilers),
        7300 + GCC.len() as u64,
        "all that gcc brings"
    );
    assert_eq!(could_go(&contents, OpportunityKind::Docs), 200, "the copyright stays");
    assert_eq!(could_go(&contents, OpportunityKind::Locales), 400);
    assert_eq!(could_go(&contents, OpportunityKind::Caches), 950);
    assert_eq!(contents.layers[1].instruction.as_deref(), Some("RUN apt-get update"));
}

#[test]
fn a_node_image_is_its_runtime_its_modules_and_the_applications_own_code() {
    let package = |name: &str| format!("{{\"name\":\"{name}\",\"version\":\"1.2.3\",\"license\":\"MIT\"}}");
    let older = r#"{"name":"left","version":"0.9"}"#;
    let runtime = LayerTar::new()
        .program("usr/local/bin/node", 0o755, &[1; 3000])
        .file("usr/local/include/node/node_version.h", [2; 30])
        .file("usr/local/lib/node_modules/npm/package.json", package("npm"));
    let app = LayerTar::new()
        .file("app/server.js", [3; 70])
        .file("app/node_modules/.package-lock.json", [4; 11])
        .file("app/node_modules/left/package.json", package("left"))
        .file("app/node_modules/left/index.js", [5; 500])
        .file("app/node_modules/left/index.js.map", [6; 600])
        .file("app/node_modules/left/test/all.js", [7; 80])
        // Not a package: a part of one.
        .file("app/node_modules/left/esm/package.json", "{\"type\":\"module\"}")
        .file("app/node_modules/@scope/right/package.json", package("@scope/right"))
        .file("app/node_modules/@scope/right/node_modules/left/package.json", older)
        .file("app/node_modules/@scope/right/lib.js", [8; 900]);
    let image = Saved::new("node-like:1", vec![("ADD / /", runtime), ("COPY . /app # buildkit", app)])
        .config(json!({"WorkingDir": "/app", "Env": ["NODE_VERSION=20.1.0"], "Cmd": ["node", "server.js"]}));
    let contents = analyzed(&image);
    let json = |name: &str| package(name).len() as u64;
    assert_eq!(owned(&contents, OwnerKind::Runtime, "node 20.1.0"), 3030);
    assert_eq!(owned(&contents, OwnerKind::Npm, "left 1.2.3"), json("left") + 1180 + 17);
    assert_eq!(owned(&contents, OwnerKind::Npm, "left 0.9"), older.len() as u64);
    assert_eq!(owned(&contents, OwnerKind::Npm, "@scope/right 1.2.3"), json("@scope/right") + 900);
    assert_eq!(owned(&contents, OwnerKind::Own, "/app"), 70);
    assert_eq!(contents.unowned().0, 0);
    assert_eq!(could_go(&contents, OpportunityKind::SourceMaps), 600);
    assert_eq!(could_go(&contents, OpportunityKind::Tests), 80);
    assert_eq!(could_go(&contents, OpportunityKind::Headers), 30);
    let scoped = contents.owners.iter().find(|owner| owner.name == "@scope/right").unwrap();
    assert_eq!(scoped.purl.as_deref(), Some("pkg:npm/%40scope/right@1.2.3"));
    assert_eq!((scoped.licence.as_deref(), scoped.main_layer()), (Some("MIT"), Some(1)));
}

#[test]
fn a_distroless_nginx_image_is_its_packages_and_its_site() {
    let status = "Package: nginx\nArchitecture: amd64\nVersion: 1.26\n";
    let base = LayerTar::new()
        .program("usr/sbin/nginx", 0o755, &[1; 4000])
        .program("usr/bin/su", 0o4755, &[2; 10])
        .file("var/lib/dpkg/status.d/nginx", status)
        .file("var/lib/dpkg/status.d/nginx.md5sums", "0123  usr/sbin/nginx\n")
        .file("var/lib/dpkg/status.d/libc6", "Package: libc6\nVersion: 2.41\n")
        .file("usr/lib/arch/libc.so.6", [3; 2000])
        .file("usr/lib/arch/ld.so", [4; 20]);
    let site = LayerTar::new()
        .file("usr/share/nginx/html/index.html", [5; 600])
        .file("usr/share/nginx/html/a.css", [6; 700])
        .file("usr/share/nginx/html/a.css.gz", [7; 60])
        .file("usr/share/nginx/html/tiny.css", [8; 20])
        .file("srv/other/index.html", [9; 100])
        .file("srv/other/logo.png", [10; 1000]);
    let contents = analyzed(&Saved::new("nginx-like:1", vec![("COPY / /", base), ("COPY dist /x", site)]));
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "nginx 1.26"), 4000 + status.len() as u64 + 21);
    // Without a list of files a library is told by its name, and the rest stands together.
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "libc6 2.41"), 2000 + 29);
    assert_eq!(owned(&contents, OwnerKind::Dpkg, "packages without file lists"), 20 + 10);
    assert_eq!(owned(&contents, OwnerKind::Static, "/usr/share/nginx/html"), 1380);
    assert_eq!(owned(&contents, OwnerKind::Static, "/srv/other"), 1100);
    assert_eq!(could_go(&contents, OpportunityKind::WebTwice), 700);
    assert_eq!(could_go(&contents, OpportunityKind::WebPlain), 600);
    assert_eq!((contents.surface.executables, contents.surface.setuid), (2, 1));
}

#[test]
fn a_python_image_is_its_interpreter_its_distributions_its_model_and_its_own_code() {
    let contents = analyzed(&python(5000));
    assert_eq!(owned(&contents, OwnerKind::Runtime, "python 3.13.9"), 11_000);
    let records = (metadata("torch", "2.9").len() + RECORD.len()) as u64;
    assert_eq!(owned(&contents, OwnerKind::Python, "torch 2.9"), 5000 + 50 + 40 + 30 + 800 + 20 + records);
    assert_eq!(owned(&contents, OwnerKind::Model, "/opt/models/small"), 5100);
    assert_eq!(
        owned(&contents, OwnerKind::Own, "mine 1"),
        60 + (metadata("mine", "1").len() + LOCAL.len()) as u64 + 12
    );
    assert_eq!(contents.unowned().0, 0);
    assert_eq!(could_go(&contents, OpportunityKind::ByteCode), 2000 + 40);
    assert_eq!(could_go(&contents, OpportunityKind::Cuda), 800);
    assert_eq!(could_go(&contents, OpportunityKind::Tests), 30);
    let gpu = python(5000).config(json!({"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}));
    assert_eq!(could_go(&analyzed(&gpu), OpportunityKind::Cuda), 0, "an image for GPUs needs CUDA");
}

#[test]
fn what_later_layers_hide_is_waste_and_counts_once() {
    let (image, long, longer) = layered();
    let contents = analyzed(&image);
    let sizes: Vec<u64> = contents.layers.iter().map(|layer| layer.bytes.0).collect();
    assert_eq!(
        sizes,
        [10 + 20 + 40 + 80 + 160 + 320 + 640 + 1280 + 2560 + 5120 + 3 + 5 + 100_000 + 7_000_000, 315, 32]
    );
    let hidden: Vec<(&str, usize, usize, Hidden)> = contents
        .waste
        .largest
        .iter()
        .map(|file| (file.path.as_str(), file.layer, file.by, file.how))
        .collect();
    assert_eq!(
        hidden,
        [
            ("becomes-file/inner", 0, 1, Hidden::Overwritten),
            ("becomes-folder", 0, 1, Hidden::Overwritten),
            ("third", 0, 1, Hidden::Deleted),
            ("opaque/old", 0, 1, Hidden::Deleted),
            ("becomes-file", 1, 2, Hidden::Overwritten),
            ("folder/b/c", 0, 1, Hidden::Deleted),
            ("folder/a", 0, 1, Hidden::Deleted),
            ("deleted", 0, 1, Hidden::Deleted),
            ("overwritten", 1, 2, Hidden::Overwritten),
            ("overwritten", 0, 1, Hidden::Overwritten),
        ],
        "`first` lives on as `second`"
    );
    let paths: Vec<&str> = contents.largest.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths[..2], ["holes", "sparse"]);
    assert!(paths.contains(&long.as_str()) && paths.contains(&longer.as_str()), "{paths:?}");
    assert!(paths.contains(&"second") && !paths.contains(&"first"), "{paths:?}");
    assert_eq!(contents.duplicates.largest[0].paths, ["copy", "kept"]);
    assert_eq!(contents.duplicates.bytes.0, 10);
}

#[test]
fn the_second_run_asks_for_no_archive_and_a_damaged_cache_is_made_anew() {
    let image = python(5000);
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(&image, Layout::Oci));
    let run = || docker.run(&repository, &["analyze", image.name, "--format", "json"]).stdout;
    let saves = || docker.calls().iter().filter(|call| call.starts_with("save")).count();
    let first = run();
    assert_eq!(saves(), 1);
    assert_eq!(run(), first);
    assert_eq!(saves(), 1, "what is known was read again");

    let cache = repository.0.join("target/xtask/contents");
    let files = |kind: &str| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(cache.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!((files("images").len(), files("layers").len()), (1, 3));
    std::fs::remove_dir_all(cache.join("images")).unwrap();
    assert_eq!(run(), first);
    assert_eq!(saves(), 1, "layers are known without their image");

    for file in files("images").into_iter().chain(files("layers")) {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(run(), first);
    assert_eq!(saves(), 2);
    assert_eq!(run(), first);
    assert_eq!(saves(), 2, "it was not mended");
    std::fs::remove_dir_all(&cache).unwrap();
    assert_eq!(run(), first);
}

#[test]
fn tables_for_people() {
    let image = debian();
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(&image, Layout::Oci));
    snapshot!("analyze_table", docker.run(&repository, &["analyze", image.name, "--top", "3"]), repository);
    snapshot!(
        "analyze_markdown",
        docker.run(&repository, &["analyze", image.name, "--format", "markdown", "-q"]),
        repository
    );
}

/// A service's image finds the line that made it, and its base's layer is not taken for its own.
#[test]
fn layers_of_a_service_find_their_lines() {
    let layer = |path: &str, size: usize| LayerTar::new().file(path, vec![1; size]);
    let image = Saved::new(
        "fx-alpha:latest-simple-optimized",
        vec![
            ("ADD rootfs.tar / # buildkit", layer("base", 10)),
            ("COPY alpha/hello /hello # buildkit", layer("hello", 5)),
        ],
    )
    .config(json!({"Labels": {"fixture.images.variant": "optimized", "fixture.images.edition": "simple",
        "org.opencontainers.image.title": "fx-alpha"}}));
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(&image, Layout::Oci));
    let output = docker.run(&repository, &["analyze", "alpha", "--format", "json"]);
    let contents: Contents = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(contents.layers[0].origin, None);
    assert_eq!(contents.layers[1].place(), "alpha/Dockerfile.optimized:2");
}

#[test]
fn words_that_mean_nothing() {
    let repository = repository("fx");
    let gone = "Error response from daemon: No such image: x\n";
    let docker = FakeDocker::new().on("image inspect *", 1, "[]\n", gone);
    snapshot!("analyze_unknown", docker.run(&repository, &["analyze", "alhpa"]), repository);
    snapshot!(
        "analyze_not_built",
        docker.run(&repository, &["analyze", "alpha", "--variant", "original"]),
        repository
    );
    snapshot!("analyze_not_there", docker.run(&repository, &["analyze", "some/image:1"]), repository);
    snapshot!(
        "analyze_options_for_a_reference",
        docker.run(&repository, &["analyze", "x:1", "--edition", "simple"]),
        repository
    );
    snapshot!(
        "why_options_for_two_references",
        docker.run(&repository, &["why", "x:1", "y:1", "--edition", "simple"]),
        repository
    );
    snapshot!("why_without_a_second", docker.run(&repository, &["why", "x:1"]), repository);
    assert!(docker.calls().iter().all(|call| !call.starts_with("save")));
}

#[test]
fn links_out_of_the_image_are_followed_nowhere() {
    let layer = LayerTar::new()
        .link("lib", "../../../../../../etc")
        .link("loop", "loop")
        .file("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n")
        .file("var/lib/dpkg/info/a.list", "/lib/passwd\n/loop/x\n/lib/../../x\n");
    let contents = analyzed(&Saved::new("links:1", vec![("COPY / /", layer)]));
    assert_eq!(
        contents.bytes.0,
        owned(&contents, OwnerKind::Dpkg, "a 1") + owned(&contents, OwnerKind::Dpkg, "dpkg")
    );
}

#[test]
fn a_bill_of_materials_has_what_cyclonedx_requires() {
    let image = python(5000);
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(&image, Layout::Oci));
    let write = |path: &str| {
        let mut command = docker.command(&repository, &["analyze", image.name, "--sbom", path]);
        let output = command.current_dir(&repository.0).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
        String::from_utf8(output.stdout).unwrap()
    };
    write("bill.json");
    let first = repository.read("bill.json");
    assert_eq!(first, write("-"), "the same image has a different SBOM");
    let bill: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"], &bill["version"]),
        (&json!("CycloneDX"), &json!("1.6"), &json!(1))
    );
    let components = bill["components"].as_array().unwrap();
    // The enumeration of component types (CycloneDX 1.6, `components[].type`), as far as it is used here.
    let types = ["application", "library", "container", "platform", "data", "machine-learning-model"];
    let mut refs = vec![bill["metadata"]["component"]["bom-ref"].as_str().unwrap()];
    for component in components {
        assert!(types.contains(&component["type"].as_str().unwrap()), "{component}");
        assert!(component["name"].as_str().is_some_and(|name| !name.is_empty()), "{component}");
        refs.push(component["bom-ref"].as_str().unwrap());
    }
    let mut unique = refs.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), refs.len(), "a reference names two components");
    for dependency in bill["dependencies"].as_array().unwrap() {
        let named = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
        named.for_each(|name| assert!(refs.contains(&name.as_str().unwrap()), "{name} is no component"));
    }
    let torch = components.iter().find(|component| component["name"] == "torch").unwrap();
    assert_eq!((&torch["purl"], &torch["version"]), (&json!("pkg:pypi/torch@2.9"), &json!("2.9")));
}
