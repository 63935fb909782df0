//! `analyze` on package managers' databases and manifests, most of them recorded (`tests/fuzz/README.md`).

use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, repository};
use contents::owner::{Owner, OwnerKind};
use contents::record::Contents;
use serde_json::{Value, json};

/// A recorded file.
macro_rules! recorded {
    ($path:literal) => {
        include_bytes!(concat!("../fuzz/", $path)).as_slice()
    };
}

fn analyzed(layer: LayerTar, options: &[&str]) -> String {
    let image = Saved::new("fx-owners:1", vec![("COPY / /", layer)]).config(json!({"WorkingDir": "/srv"}));
    let (repository, docker) = (repository("fx"), FakeDocker::new().holds(&image, Layout::Oci));
    let output = docker.run(&repository, &[&["analyze", image.name], options].concat());
    assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
    String::from_utf8(output.stdout).unwrap()
}

fn contents(layer: LayerTar) -> Contents {
    let contents: Contents = serde_json::from_str(&analyzed(layer, &["--format", "json"])).unwrap();
    assert!(contents.adds_up(), "{contents:#?}");
    contents
}

fn owner<'c>(contents: &'c Contents, kind: OwnerKind, label: &str) -> &'c Owner {
    let found = contents.owners.iter().find(|owner| owner.kind == kind && owner.label() == label);
    found.unwrap_or_else(|| panic!("no {kind} {label} in {:#?}", contents.owners))
}

#[test]
fn packages_of_alpine_own_their_files_and_what_they_generate() {
    let database = recorded!("apk/alpine.txt");
    let contents = contents(
        LayerTar::new()
            .file("lib/apk/db/installed", database)
            .file("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n")
            .file("lib/ld-musl-x86_64.so.1", [1; 700])
            .file("bin/busybox", [2; 900])
            .file("etc/network/if-up.d/dad", [3; 50])
            .file("var/oddity/x", [4; 11]),
    );
    let musl = owner(&contents, OwnerKind::Apk, "musl 1.2.4-r2");
    assert_eq!(musl.purl.as_deref(), Some("pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4"));
    assert_eq!((musl.bytes.0, musl.licence.as_deref()), (700, Some("MIT")));
    assert_eq!(owner(&contents, OwnerKind::Apk, "busybox 1.36.1-r4").bytes.0, 950);
    // It owns its database, even where it is not installed.
    assert_eq!(owner(&contents, OwnerKind::Apk, "apk-tools").bytes.0, database.len() as u64);
    assert_eq!(contents.surface.packages, 2);
    let folders: Vec<(&str, u64)> =
        contents.unowned.iter().map(|folder| (folder.path.as_str(), folder.bytes.0)).collect();
    assert_eq!(folders, [("etc", 28), ("var/oddity", 11)]);
    assert_eq!(contents.unowned().0, 39);
}

#[test]
fn every_form_of_an_rpm_database_lists_the_same_packages() {
    for (path, database) in [
        ("var/lib/rpm/rpmdb.sqlite", recorded!("rpm/rpmdb.sqlite")),
        ("usr/lib/sysimage/rpm/Packages.db", recorded!("rpm/Packages.db")),
        ("var/lib/rpm/Packages", recorded!("rpm/Packages-little")),
        ("var/lib/rpm/Packages", recorded!("rpm/Packages-big")),
    ] {
        let contents = contents(
            LayerTar::new()
                .file(path, database)
                .file("etc/os-release", "ID=\"rocky\"\nVERSION_ID=\"9.3\"\n")
                .file("usr/bin/hello", [1; 300])
                .file("usr/share/hello/file-40.txt", [2; 30])
                // No package lists this file, but its folder belongs to one package.
                .file("usr/share/hello/cache/x", [3; 3])
                .file("usr/bin/other", [4; 80]),
        );
        let hello = owner(&contents, OwnerKind::Rpm, "hello 1.2-3.el9");
        let purl = "pkg:rpm/rocky/hello@1.2-3.el9?arch=noarch&distro=rocky-9.3&epoch=1&upstream=hello-1.2-3.el9.src.rpm";
        assert_eq!((hello.bytes.0, hello.purl.as_deref()), (333, Some(purl)), "{path}");
        assert_eq!(owner(&contents, OwnerKind::Rpm, "other 1.2-3.el9").bytes.0, 80);
        assert!(contents.notes.is_empty());
    }
}

#[test]
fn packages_of_languages_own_their_files_without_a_lock_file() {
    let contents = contents(
        LayerTar::new()
            .file(
                "usr/local/bundle/specifications/fastsum-0.1.0.gemspec",
                recorded!("gem/fastsum-0.1.0.gemspec"),
            )
            .file("usr/local/bundle/gems/fastsum-0.1.0/lib/fastsum.rb", [1; 60])
            .file("usr/local/bundle/extensions/x86_64-linux/3.1.0/fastsum-0.1.0/fastsum/fastsum.so", [2; 500])
            .file("usr/local/bundle/cache/fastsum-0.1.0.gem", [3; 40])
            .file("opt/shop/vendor/composer/installed.json", recorded!("composer/first.json"))
            .file("opt/shop/vendor/monolog/monolog/src/Logger.php", [4; 70])
            .file("opt/shop/vendor/autoload.php", [5; 7])
            .file("opt/web/Shop.deps.json", recorded!("dotnet/shop.json"))
            .file("opt/web/Npgsql.dll", [6; 80])
            .file("opt/web/de/Humanizer.resources.dll", [7; 9])
            .file("opt/web/Shop.dll", [8; 20])
            .file("opt/conda/conda-meta/zlib-1.3.1-h4ab18f5_1.json", recorded!("conda/zlib.json"))
            .file("opt/conda/lib/libz.so.1.3.1", [9; 90])
            .file("opt/conda/pkgs/zlib-1.3.1-h4ab18f5_1/info/index.json", [10; 5])
            .file("opt/app.war", recorded!("jar/shop.war")),
    );
    let bytes = |kind, label: &str| owner(&contents, kind, label).bytes.0;
    let length = |file: &[u8]| file.len() as u64;
    assert_eq!(bytes(OwnerKind::Gem, "fastsum 0.1.0"), 600 + length(recorded!("gem/fastsum-0.1.0.gemspec")));
    assert_eq!(bytes(OwnerKind::Composer, "monolog/monolog 3.5.0"), 70);
    assert_eq!(bytes(OwnerKind::Composer, "autoloader"), 7 + length(recorded!("composer/first.json")));
    assert_eq!(bytes(OwnerKind::Nuget, "Npgsql 8.0.1"), 80);
    assert_eq!(bytes(OwnerKind::Nuget, "Humanizer.Core.de 2.14.1"), 9);
    assert_eq!(bytes(OwnerKind::Own, "Shop 1.0.0"), 20 + length(recorded!("dotnet/shop.json")));
    assert_eq!(bytes(OwnerKind::Conda, "zlib 1.3.1"), 95 + length(recorded!("conda/zlib.json")));
    assert_eq!(contents.unowned().0, 0, "{:#?}", contents.unowned);
    let war = contents.owners.iter().find(|owner| owner.kind == OwnerKind::Maven).unwrap();
    assert_eq!(
        (war.bytes.0, war.largest[0].path.as_str()),
        (length(recorded!("jar/shop.war")), "opt/app.war")
    );
    let parts: Vec<String> = war.parts.iter().map(|part| format!("{} {}", part.name, part.version)).collect();
    assert_eq!(parts, ["org.apache.commons:commons-text 1.9", "org.example:shop 1.0", "plain 2"]);
    assert!(war.inside.iter().any(|inside| inside.name == "org.example:shop 1.0" && inside.bytes > 0));
}

#[test]
fn the_bill_of_materials_names_what_is_inside_of_archives() {
    let layer = LayerTar::new().file("opt/shop.jar", recorded!("jar/shop.jar"));
    let bill: Value = serde_json::from_str(&analyzed(layer, &["--sbom", "-"])).unwrap();
    let components = bill["components"].as_array().unwrap();
    let purls: Vec<&str> = components.iter().filter_map(|component| component["purl"].as_str()).collect();
    let expected = ["pkg:maven/org.apache.commons/commons-text@1.9", "pkg:maven/org.example/shop@1.0"];
    assert_eq!(purls, expected);
    // Without a group there is no package URL, but a component.
    assert!(components.iter().any(|component| component["name"] == "plain" && component["version"] == "2"));
    let shop =
        bill["dependencies"].as_array().unwrap().iter().find(|entry| entry["ref"] == expected[1]).unwrap();
    assert_eq!(shop["dependsOn"], json!(["part:plain@2", expected[0]]));
}

#[test]
fn a_database_that_cannot_be_read_is_a_note() {
    let broken = || {
        LayerTar::new()
            .file("var/lib/rpm/Packages", [7; 600])
            .file("opt/x.jar", b"PK\x03\x04 cut off")
            .file("opt/vendor/composer/installed.json", "{}")
    };
    let contents = contents(broken());
    let notes: Vec<(&str, &str)> =
        contents.notes.iter().map(|note| (note.path.as_str(), note.note.as_str())).collect();
    let expected = [
        ("var/lib/rpm/Packages", "not read: not a SQLite, NDB or Berkeley DB hash database"),
        ("opt/x.jar", "not read: not a ZIP archive, or its central directory is missing"),
        ("opt/vendor/composer/installed.json", "not read: not a list of packages as Composer writes it"),
    ];
    assert_eq!(notes, expected);
    for format in ["table", "markdown"] {
        let text = analyzed(broken(), &["--format", format]);
        assert!(text.contains("note: /opt/x.jar: not read: not a ZIP archive"), "{text}");
        assert!(text.contains("Without an owner"), "{text}");
    }
}
