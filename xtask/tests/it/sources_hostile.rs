//! Damaged and hostile images outside of the engine: each gives an error, never a record.

use serde_json::{Value, json};

use crate::support::Folder;
use crate::support::images::debian;
use crate::support::oci::{Hub, Layout, Packing};
use crate::support::outside::{error, run, run_with, with_curl, write};
use crate::support::saved::{self, LayerTar, digest, gzip};

#[test]
fn damage_is_an_error_wherever_the_image_is() {
    let (image, bin) = (debian(), with_curl());
    let whole = Layout::of(&image, Packing::Gzip);
    let layer = digest(&gzip(&image.layers[0]));
    let mut cases: Vec<(&str, Layout)> = Vec::new();
    let mut wrong = whole.clone();
    let evil = gzip(&LayerTar::new().file("evil", "x").done());
    wrong.blobs.insert(layer.clone(), evil.clone());
    cases.push(("another layer", wrong));
    let mut padded = whole.clone();
    padded.blobs.get_mut(&layer).unwrap().extend(b"more");
    cases.push(("a longer layer", padded));
    let mut cut = whole.clone();
    let bytes = cut.blobs.get_mut(&layer).unwrap();
    bytes.truncate(bytes.len() / 2);
    cases.push(("half a layer", cut));
    let mut absent = whole.clone();
    absent.blobs.remove(&layer);
    cases.push(("no layer", absent));
    let mut config = whole.clone();
    config.blobs.insert(digest(&image.saved_config()), b"{\"os\": \"linux\"}".to_vec());
    cases.push(("another configuration", config));
    // The manifest lists a layer that does not match the configuration.
    let mut swapped = Layout::default();
    let mut lying = image.clone();
    lying.layers[0] = LayerTar::new().file("evil", "x").done();
    let evil_config = swapped.blob("application/vnd.oci.image.config.v1+json", image.saved_config());
    swapped.add(&lying, Packing::Gzip);
    let layers: Vec<Value> =
        lying.layers.iter().map(|layer| swapped.blob("x.tar.gzip", gzip(layer))).collect();
    let manifest = json!({"schemaVersion": 2, "config": evil_config, "layers": layers}).to_string();
    let manifest = swapped.blob("application/vnd.oci.image.manifest.v1+json", manifest.into_bytes());
    swapped.index.push(manifest);
    cases.push(("a layer of another image", swapped));

    let mut told = String::new();
    for (case, layout) in &cases {
        let folder = Folder::new();
        layout.write(&folder, "layout");
        write(&folder, "layout.tar", &layout.tar());
        let hub = Hub::serve(layout, false);
        for place in ["layout", "layout.tar", &hub.image()] {
            let output = run_with(&bin, &folder, &["analyze", place], None);
            assert_eq!(output.status.code(), Some(1), "{case}: {}", crate::support::told(&output, &folder));
            assert!(output.stdout.is_empty(), "{case}");
            told += &format!("── {case}: {}", error(&output, &folder));
        }
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false,
        filters => vec![(r"127\.0\.0\.1:\d+", "HUB"), (r"[0-9a-f]{64}", "[DIGEST]")]}, {
        insta::assert_snapshot!("sources_damaged", told);
    });
}

#[test]
fn hostile_archives_are_refused() {
    let (image, folder) = (debian(), Folder::new());
    let whole = Layout::of(&image, Packing::Gzip);
    let mut escape = whole.clone();
    escape.index = vec![json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
        "digest": "sha256:../../../../etc/passwd"})];
    let mut foreign = Layout::default();
    let config = foreign.blob("application/vnd.oci.image.config.v1+json", image.saved_config());
    let layer = json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "size": 9,
        "digest": format!("sha256:{}", "0".repeat(64)), "urls": ["https://example.invalid/layer"]});
    let layers = vec![layer; image.layers.len()];
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
    let manifest = foreign.blob("application/vnd.oci.image.manifest.v1+json", manifest.into_bytes());
    foreign.index.push(manifest);
    let mut chart = Layout::default();
    let config = chart.blob("application/vnd.cncf.helm.config.v1+json", b"{\"name\": \"chart\"}".to_vec());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
    let manifest = chart.blob("application/vnd.oci.image.manifest.v1+json", manifest.into_bytes());
    chart.index.push(manifest);
    let mut told = String::new();
    for (case, layout) in [("a path", &escape), ("foreign layers", &foreign), ("no image", &chart)] {
        layout.write(&folder, case);
        write(&folder, &format!("{case}.tar"), &layout.tar());
        for place in [case.to_owned(), format!("{case}.tar")] {
            told += &format!("── {}", error(&run(&folder, &["analyze", &place]), &folder));
        }
        std::fs::remove_dir_all(folder.0.join(case)).unwrap();
    }
    let save = image.save(saved::Layout::Oci);
    let mut wrong = image.files(saved::Layout::Classic);
    wrong[0].1 = LayerTar::new().file("evil", "x").done();
    let files: [(&str, Vec<u8>); 5] = [
        ("cut", save[..save.len() / 2].to_vec()),
        ("cut.gz", gzip(&save)[..gzip(&save).len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("other.xz", b"\xfd7zXZ\x00rest".to_vec()),
        ("wrong", saved::archive(&wrong)),
    ];
    for (name, bytes) in &files {
        write(&folder, name, bytes);
        told += &format!("── {}", error(&run(&folder, &["analyze", name]), &folder));
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false,
        filters => vec![(r"[0-9a-f]{64}", "[DIGEST]")]}, {
        insta::assert_snapshot!("sources_hostile", told);
    });
}
