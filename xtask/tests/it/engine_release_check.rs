//! `release-check --cadence monthly` on a real engine: a build asks Debian's archive for newest versions.

use std::fs;
use std::path::Path;

use crate::support::Site;

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn outdated_debian_packages_are_faults_with_both_versions() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("newest");
    let asks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/bases/newest");
    for file in ["Dockerfile", "Dockerfile.dockerignore"] {
        let text = fs::read_to_string(asks.join(file)).unwrap();
        site.folder.write(&format!("packages/bases/newest/{file}"), &text);
    }
    let old = "Package: libc6\\nVersion: 2.0-1\\n";
    let gone = "Package: libneverwas\\nVersion: 1\\n";
    for name in ["alpha", "beta"] {
        let text = format!(
            "FROM debian:trixie-slim AS root\n\
             RUN mkdir -p /out/var/lib/dpkg/status.d && cd /out && echo x > file && echo y > other \\\n \
             && printf '{old}' > var/lib/dpkg/status.d/libc6 && printf 'd  file\\n' > var/lib/dpkg/status.d/libc6.md5sums \\\n \
             && printf '{gone}' > var/lib/dpkg/status.d/libneverwas && printf 'd  other\\n' > var/lib/dpkg/status.d/libneverwas.md5sums\n\
             FROM scratch\nCOPY --from=root /out /\nUSER 1\n"
        );
        site.folder.write(&format!("{name}/Dockerfile.optimized"), &text);
    }
    let built = site.run(&["build-images", "--quiet"]);
    assert!(built.status.success(), "{}", site.told(&built));
    let output = site.run(&["release-check", "--cadence", "monthly", "--edition", "simple"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("libc6 2.0-1 → 2."), "{text}");
    assert!(text.contains("libneverwas 1: no longer in Debian (alpha, beta (simple))"), "{text}");
    assert!(text.contains("0 of 2 Debian packages in 2 images are up to date"), "{text}");
}
