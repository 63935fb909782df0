//! Debian's fixes on a real engine: a repository of packages that changes between builds, and the archive itself.

use std::path::Path;

use crate::support::{Site, docker};

/// A site whose service `alpha` publishes a package to a repository, and whose service `beta` installs it.
struct Updates {
    site: Site,
}

impl Updates {
    fn new() -> Updates {
        let site = Site::new("updates");
        let install = format!(
            "FROM debian:trixie-slim AS build\nARG PACKAGES_AS_OF\nRUN {} \\\n\
             rm -rf /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] file:/repository ./' > /etc/apt/sources.list \\\n\
             && apt-get update && cd /tmp && apt-get download -o APT::Sandbox::User=root greeting \\\n\
             && mkdir /out && dpkg-deb --extract greeting_*.deb /out && find /out -exec touch -hd @0 {{}} +\n\
             FROM scratch\nCOPY --from=build /out /\n",
            mount(&site)
        );
        site.folder.write("beta/Dockerfile.optimized", &install);
        Updates { site }
    }

    /// Puts a version of the package into the repository.
    fn publish(&self, version: &str) {
        let script = format!(
            "FROM debian:trixie-slim AS build\nRUN {} <<'END'\nset -eu\ncd /repository\nrm -rf ./*\n\
             mkdir -p /p/DEBIAN /p/usr/share/greeting\necho {version} > /p/usr/share/greeting/version\n\
             printf 'Package: greeting\\nVersion: {version}\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n' \
             > /p/DEBIAN/control\ndpkg-deb --build /p greeting.deb\n{{ cat /p/DEBIAN/control; echo \"Filename: ./greeting.deb\"\n\
             echo \"Size: $(stat -c %s greeting.deb)\"; echo \"SHA256: $(sha256sum greeting.deb | cut -c 1-64)\"; }} > Packages\n\
             echo {version} > /published\nEND\nFROM scratch\nCOPY --from=build /published /\n",
            mount(&self.site)
        );
        self.site.folder.write("alpha/Dockerfile.optimized", &script);
        self.build(&["alpha"]);
    }

    fn build(&self, args: &[&str]) {
        let output = self.site.run(&[&["build-images"], args].concat());
        assert!(output.status.success(), "{}", self.site.told(&output));
    }

    /// The image's ID and the version of the package in it, after a build for a date.
    fn installed(&self, date: &str) -> (String, String) {
        self.build(&["beta", "--packages-as-of", date]);
        let image = format!("{}-beta:latest-simple-optimized", self.site.prefix);
        let container = docker(&["create", &image, "x"]);
        let file = docker(&["cp", &format!("{container}:/usr/share/greeting/version"), "-"]);
        docker(&["rm", &container]);
        let version = file.lines().find_map(|line| line.rsplit('\0').find(|part| part.contains('.')));
        let id = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
        (id, version.unwrap_or_default().trim().to_owned())
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_archive_names_the_cves_that_newer_packages_fix() {
    let site = Site::new("archive");
    let newest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/bases/newest/Dockerfile");
    site.folder.write("packages/bases/newest/Dockerfile", &std::fs::read_to_string(newest).unwrap());
    let entry = "Package: libssl3t64\nSource: openssl\nVersion: 3.5.0-1\nArchitecture: amd64\n";
    let release = "ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\n";
    site.folder.write("alpha/root/usr/lib/os-release", release);
    site.folder.write("alpha/root/var/lib/dpkg/status.d/libssl3t64", entry);
    site.folder.write("alpha/Dockerfile.optimized", "FROM scratch\nCOPY alpha/root /\nCMD [\"x\"]\n");
    site.folder.write("alpha/Dockerfile.optimized.dockerignore", "*\n!alpha/root\n");
    let output = site.run(&["build-images", "alpha"]);
    assert!(output.status.success(), "{}", site.told(&output));
    // The tracker would find the same CVEs first.
    let tracker = ["--source", "debian-tracker=/nonexistent"];
    let output = site.run(&[&["vulnerabilities", "alpha", "--format", "json"], &tracker[..]].concat());
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sources"][1]["state"], "answered", "{text}");
    let found = report["images"][0]["vulnerabilities"].as_array().unwrap();
    // Fixed in 3.5.1-1+deb13u1 (DSA-6015-1).
    let known = found.iter().find(|one| one["id"] == "CVE-2025-9230").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(known["source"], "debian-archive");
    assert!(known["fixed_in"][0].as_str().unwrap().starts_with("3.5."), "{known}");
}

/// The repository: a cache of the builder, so that it can change although no input of a build does.
fn mount(site: &Site) -> String {
    format!("--mount=type=cache,id={}-repository,target=/repository", site.prefix)
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_newer_package_is_used_from_the_next_week_on_and_not_before() {
    let updates = Updates::new();
    updates.publish("1.0");
    let (first, version) = updates.installed("2026-01-05");
    assert_eq!(version, "1.0");
    // The week after, with the same packages: the same image, to the byte.
    assert_eq!(updates.installed("2026-01-12"), (first.clone(), "1.0".into()));
    updates.publish("1.1");
    assert_eq!(updates.installed("2026-01-12"), (first.clone(), "1.0".into()), "the week is not over");
    let (second, version) = updates.installed("2026-01-19");
    assert_eq!(version, "1.1");
    assert_ne!(first, second);
    assert_eq!(updates.installed("2026-01-26"), (second, "1.1".into()));
}
