//! `analyze` on archives that are damaged, or made to do harm: a reason, and nothing written.

use crate::support::images::debian;
use crate::support::saved::{LayerTar, Layout};
use crate::support::{FakeDocker, Folder, repository};
use serde_json::json;

/// Runs `analyze` on an archive that is not what it should be; it must fail, and write nothing.
fn refused(save: &[u8]) -> String {
    let image = debian();
    let inspected = json!([image.inspect()]).to_string();
    let docker = FakeDocker::new()
        .on("image inspect*", 0, &inspected, "")
        .on("history*", 0, &image.history(), "")
        .on_bytes("save*", save);
    let repository: Folder = repository("fx");
    let output = docker.run(&repository, &["analyze", image.name]);
    let told = crate::support::told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(!repository.0.join("target/xtask/contents").exists(), "something was written: {told}");
    assert!(!told.contains("panicked"), "{told}");
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| !line.starts_with("reading "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn hostile_and_damaged_archives_are_refused_with_a_reason() {
    let with = |layer: LayerTar| {
        let mut image = debian();
        image.layers[1] = layer.done();
        image.save(Layout::Classic)
    };
    let plain = debian().save(Layout::Oci);
    let lacking = |is_it: fn(&str) -> bool| {
        let files = debian().files(Layout::Classic).into_iter().filter(|(file, _)| !is_it(file));
        crate::support::saved::archive(&files.collect::<Vec<_>>())
    };
    let mut packed = debian();
    packed.layers[1] = b"BZh91AY".to_vec();
    let mut damaged = debian();
    damaged.layers[1] = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0];
    let mut cut = debian().files(Layout::OciGzip);
    cut[1].1.truncate(60);
    let regular = tar::EntryType::Regular;
    let cases = [
        ("cut off", plain[..plain.len() / 2].to_vec()),
        ("without an end", plain[..2048].to_vec()),
        ("no archive at all", b"<html>not found</html>".to_vec()),
        ("nothing", Vec::new()),
        ("without its configuration", lacking(|file| file.ends_with(".json") && file != "manifest.json")),
        ("without a layer", lacking(|file| file.ends_with("1/layer.tar"))),
        ("packed with bzip2", packed.save(Layout::Oci)),
        ("damaged zstd", damaged.save(Layout::Oci)),
        ("cut gzip", crate::support::saved::archive(&cut)),
        ("an absolute path", with(LayerTar::new().raw("/etc/passwd", regular, 0, ""))),
        ("a path that leads out", with(LayerTar::new().raw("a/../../etc/passwd", regular, 0, ""))),
        (
            "a hard link that leads out",
            with(LayerTar::new().raw("a", tar::EntryType::Link, 0, "../../etc/shadow")),
        ),
        ("an absolute hard link", with(LayerTar::new().raw("a", tar::EntryType::Link, 0, "/etc/shadow"))),
        ("terabytes", with(LayerTar::new().raw("a", regular, 5_000_000_000_000, ""))),
        ("a file that is not there", with(LayerTar::new().raw("a", regular, 5_000_000_000, ""))),
        ("holes of terabytes", with(LayerTar::new().pax_sparse("a", 5_000_000_000_000))),
        ("a name without end", with(LayerTar::new().file(&"n".repeat(5000), ""))),
        ("a header without end", with(LayerTar::new().file(&"n".repeat(3_000_000), ""))),
    ];
    let told: String = cases.iter().map(|(case, save)| format!("── {case}\n{}", refused(save))).collect();
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false,
        filters => vec![(r"[0-9a-f]{64}", "[DIGEST]")]}, {
        insta::assert_snapshot!("analyze_hostile", told);
    });
}

#[test]
fn a_save_that_fails_says_why() {
    let image = debian();
    let inspected = json!([image.inspect()]).to_string();
    let full = "Error response from daemon: write /var/lib/docker/tmp/x: no space left on device\n";
    let docker = FakeDocker::new()
        .on("image inspect*", 0, &inspected, "")
        .on("history*", 0, &image.history(), "")
        .on("save*", 1, "", full);
    let repository = repository("fx");
    snapshot!("analyze_save_fails", docker.run(&repository, &["analyze", image.name]), repository);
}

/// The image with a size, and a daemon whose data is in a folder of the test's.
fn on_a_disk(bytes: u64, data: &Folder) -> FakeDocker {
    let mut inspected = debian().inspect();
    inspected["Size"] = json!(bytes);
    let info = json!({"ServerVersion": "26.1.5", "DockerRootDir": data.0, "DriverStatus": [["Backing Filesystem", "extfs"]],
        "ClientInfo": {"Version": "26.1.5"}});
    FakeDocker::new()
        .on("image inspect*", 0, &json!([inspected]).to_string(), "")
        .on("history*", 0, &debian().history(), "")
        .on("info --format {{json .}}", 0, &info.to_string(), "")
        .on_bytes("save*", &debian().save(Layout::Oci))
}

#[test]
fn an_image_that_the_engines_disk_cannot_copy_is_not_tried() {
    let (data, repository) = (Folder::new(), repository("fx"));
    let run = |docker: &FakeDocker| docker.run(&repository, &["analyze", debian().name]);
    let saves = |docker: &FakeDocker| docker.calls().iter().filter(|call| call.starts_with("save")).count();
    // No disk is that large.
    let docker = on_a_disk(9_000_000_000_000_000_000, &data);
    data.write("tmp/keep", "");
    let output = run(&docker);
    let told = crate::support::told(&output, &repository);
    assert_eq!((output.status.code(), saves(&docker)), (Some(3), 0), "{told}");
    let folder = format!("{}/tmp has ", data.0.display());
    for part in ["no space left", "about 9000000000GB", &folder, "docker system df", "clean --cache-only"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("damaged"), "{told}");
    // One byte fits anywhere.
    let small = on_a_disk(1, &data);
    assert_eq!((run(&small).status.code(), saves(&small)), (Some(0), 1));
    std::fs::remove_dir_all(repository.0.join("target")).unwrap();
    // A daemon that copies to another place, of which nothing is known, is asked.
    std::fs::remove_dir_all(data.0.join("tmp")).unwrap();
    assert_eq!((run(&docker).status.code(), saves(&docker)), (Some(0), 1));
}
