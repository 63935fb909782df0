//! The sites that campaigns work on: two services that run, in two generations.

use std::process::Command;

use crate::support::{Site, fixture};

/// A repository of two services, in a project of its own: its lock and labels are nobody else's.
pub fn site(name: &str) -> Site {
    let site = fixture::site(name, &["alpha", "beta"]);
    let manifest = site.folder.read("xtask/images.toml");
    let own = format!("project = \"{}\"", site.prefix);
    site.folder.write("xtask/images.toml", &manifest.replace("project = \"fixture\"", &own));
    site
}

/// The name of the site's Compose project.
pub fn project(site: &Site) -> &str {
    site.folder.0.file_name().unwrap().to_str().unwrap()
}

/// Changes the sources of both services; the same name gives the same sources.
pub fn generation(site: &Site, name: &str) {
    for service in ["alpha", "beta"] {
        let path = format!("{service}/serve");
        let text = site.folder.read(&path);
        let program = text.split("# generation").next().unwrap_or_default();
        site.folder.write(&path, &format!("{program}# generation {name}\n"));
    }
}

/// Runs commands that must succeed.
pub fn all(site: &Site, commands: &[&[&str]]) {
    for args in commands {
        let output = site.run(args);
        assert!(output.status.success(), "{args:?}: {}", site.told(&output));
    }
}

/// Removes what a finding left behind, so that it is not found again and again.
pub fn clear(site: &Site) {
    let (prefix, project, folder) = (&site.prefix, project(site), site.folder.0.display());
    let script = format!(
        "docker ps --all --no-trunc --format '{{{{.ID}}}} {{{{.Image}}}} {{{{.Names}}}} {{{{.Labels}}}}' | \
         grep -e {prefix} -e {project} | cut -d' ' -f1 | xargs --no-run-if-empty docker rm --force --volumes; \
         docker network ls --format '{{{{.Name}}}}' | grep -e {prefix} -e {project} | \
         xargs --no-run-if-empty docker network rm; \
         docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep -e {prefix} | grep -v none | \
         xargs --no-run-if-empty docker image rm --force; \
         rm -f {folder}/.env; find {folder} -name '.*.new' -delete; cd {folder}/target/xtask && \
         find . -type f ! -name bases.json ! -name rootfs.tar ! -name keep -delete; rm -rf trials"
    );
    Command::new("sh").args(["-c", &script]).output().unwrap();
}
