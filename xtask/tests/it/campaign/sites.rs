//! Sites for campaigns: two services that run, whose sources have named generations.

use std::process::Command;

use crate::support::{Site, fixture};

/// A repository with two services and a separate project name, hence a separate lock and labels.
pub fn site(name: &str) -> Site {
    let site = fixture::site(name, &["alpha", "beta"]);
    let manifest = site.folder.read("xtask/images.toml");
    let own = format!("project = \"{}\"", site.prefix);
    site.folder.write("xtask/images.toml", &manifest.replace("project = \"fixture\"", &own));
    site
}

/// A site of a scenario, with containers that restart with the daemon. `unless-stopped`, as in production, is not enough: after
/// a crash, docker 26 counts the containers that it stops as stopped by the user.
pub fn restarting(part: &str, scenario: &str) -> Site {
    let site = site(&format!("{part}{}", scenario.replace([' ', '-'], "")));
    let text = site.folder.read("docker-compose.yml");
    let restarts = "    restart: always\n    read_only: true\n";
    site.folder.write("docker-compose.yml", &text.replace("    read_only: true\n", restarts));
    site
}

/// The name of the site's Compose project.
pub fn project(site: &Site) -> &str {
    site.folder.0.file_name().unwrap().to_str().unwrap()
}

/// Changes the sources of both services; equal names give equal sources.
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

/// Removes leftovers of a finding, which would fail later cases too.
pub fn clear(site: &Site) {
    let (prefix, project, folder) = (&site.prefix, project(site), site.folder.0.display());
    let script = format!(
        "docker ps --all --no-trunc --format '{{{{.ID}}}} {{{{.Image}}}} {{{{.Names}}}} {{{{.Labels}}}}' | \
         grep -e {prefix} -e {project} | cut -d' ' -f1 | xargs --no-run-if-empty docker rm --force --volumes; \
         docker network ls --format '{{{{.Name}}}}' | grep -e {prefix} -e {project} | \
         xargs --no-run-if-empty docker network rm; \
         docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep -e {prefix} -e {project}-rollback: | grep -v none | \
         xargs --no-run-if-empty docker image rm --force; \
         docker image ls --quiet --filter dangling=true --filter label={prefix}.images.variant | \
         xargs --no-run-if-empty docker image rm --force; \
         rm -f {folder}/.env; find {folder} -name '.*.new' -delete; cd {folder}/target/xtask && \
         find . -type f ! -name bases.json ! -name rootfs.tar ! -name keep -delete; rm -rf trials"
    );
    Command::new("sh").args(["-c", &script]).output().unwrap();
}
