//! Debian's static busybox for several architectures: a program for images without a base image.

use std::path::Path;

use super::{Folder, Site, docker};

/// The architectures, as Debian and Docker call them.
pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Writes `bin/ARCHITECTURE/busybox` into a folder. The packages are downloaded in an image build.
pub fn write(test: &str, folder: &Folder) {
    let site = Site::new(&format!("{test}-busybox"));
    let names = ARCHITECTURES.map(|name| format!("busybox-static:{name}")).join(" ");
    site.folder.write(
        "beta/Dockerfile.optimized",
        &format!(
            "FROM debian:trixie-slim AS packages\nRUN dpkg --add-architecture arm64 && apt-get update && cd /tmp && apt-get download {names} && \
             for a in {}; do dpkg-deb -x busybox-static_*_$a.deb /$a && mkdir -p /bin-of/$a && \
             cp -p /$a/*/busybox /bin-of/$a/ 2>/dev/null || cp -p /$a/*/*/busybox /bin-of/$a/; done\n\
             FROM scratch\nCOPY --from=packages /bin-of /bin\n",
            ARCHITECTURES.join(" ")
        ),
    );
    let built = site.run(&["build-images", "beta"]);
    assert_eq!(built.status.code(), Some(0), "{}", site.told(&built));
    let id = docker(&["create", &format!("{}-beta:latest-simple-optimized", site.prefix), "none"]);
    docker(&["cp", &format!("{id}:/bin"), &folder.0.join("bin").display().to_string()]);
    docker(&["rm", &id]);
    assert!(
        ARCHITECTURES.iter().all(|name| Path::new(&folder.0)
            .join("bin")
            .join(name)
            .join("busybox")
            .is_file())
    );
}
