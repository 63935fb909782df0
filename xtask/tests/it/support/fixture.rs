//! A repository whose services really run: Debian's perl answers for each, confined as in production.

use std::process::Command;

use super::{Site, docker};

/// A service that can run confined: Debian's perl answers on its port. `made` differs at each build without cache.
/// The cache is this fixture's own: with several records of a step, nobody could say which one a build finds.
const DOCKERFILE: &str = r#"FROM debian:trixie-slim
RUN echo PREFIX-NAME && cat /proc/sys/kernel/random/uuid > /made
COPY NAME/serve /serve
ARG VERSION
ENV VERSION=$VERSION
USER 65532
HEALTHCHECK --interval=1s CMD ["perl", "-MIO::Socket::INET", "-e", "exit !IO::Socket::INET->new('127.0.0.1:PORT')"]
CMD ["perl", "/serve", "PORT"]
"#;

const SERVE: &str = r#"use IO::Socket::INET;
$SIG{TERM} = sub { exit };
my $door = IO::Socket::INET->new(LocalPort => shift, Listen => 16, ReuseAddr => 1) or die $!;
while (my $guest = $door->accept) {
    while (<$guest>) { last if /^\r?$/ }
    print $guest "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n";
    print $guest '{"status":"ok"}';
}
"#;

const MANIFEST: &str = r#"schema = 2
project = "fixture"
version = "0.1.0"
source-date-epoch = 1767225600
editions = ["simple", "community", "enterprise"]
env-prefix = "SUTRA_"
compose = []
[upstream.debian]
reference = "debian:trixie-slim"
stand-in = { bootstrap = "trixie" }

[test]
user = 65532
read-only = true
capabilities = []
own-command = true
"#;

const SERVICE: &str = r#"
[service.NAME]
image = "PREFIX-NAME"
compose = "NAME"
port = PORT
dockerfile = "NAME/Dockerfile"
optimized = "NAME/Dockerfile.optimized"
[service.NAME.sizes]
simple = { original = "150MB", target = "120MB", goal = "110MB" }
[[service.NAME.probe]]
name = "health"
request = { get = "/" }
expect = [{ at = "/status", is = "ok" }]
"#;

const COMPOSE: &str = r#"  NAME:
    image: PREFIX-NAME:latest-optimized
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    ports: ["127.0.0.1::PORT"]
"#;

/// A repository with images of its own, named `PREFIX-SERVICE`, of services that bear the names that documents say.
pub fn site(test: &str, services: &[&str]) -> Site {
    let site = Site::new(test);
    site.folder.write("xtask/images.toml", MANIFEST);
    site.folder.write("docker-compose.yml", "services:\n");
    services.iter().for_each(|service| add(&site, service));
    site
}

/// A service more: its Dockerfiles, its declaration, and its place in the Compose file.
pub fn add(site: &Site, name: &str) {
    let folder = &site.folder;
    let (manifest, compose) = (folder.read("xtask/images.toml"), folder.read("docker-compose.yml"));
    let port = 1001 + manifest.matches("\nport = ").count();
    let filled = |text: &str| {
        text.replace("NAME", name).replace("PORT", &port.to_string()).replace("PREFIX", &site.prefix)
    };
    folder.write("xtask/images.toml", &(manifest + &filled(SERVICE)));
    folder.write("docker-compose.yml", &(compose + &filled(COMPOSE)));
    let optimized = filled(DOCKERFILE);
    folder.write(&format!("{name}/Dockerfile.optimized"), &optimized);
    folder.write(&format!("{name}/Dockerfile"), &with_bytes(&optimized, "fat", 30_000_000));
    for file in ["Dockerfile", "Dockerfile.optimized"] {
        folder.write(&format!("{name}/{file}.dockerignore"), &format!("*\n!{name}/serve\n"));
    }
    folder.write(&format!("{name}/serve"), SERVE);
}

/// A Dockerfile of [`site`] with a line more, which makes a file of that many bytes; it becomes the third.
pub fn with_bytes(dockerfile: &str, file: &str, bytes: u32) -> String {
    dockerfile.replace("COPY", &format!("RUN head -c {bytes} /dev/zero > /{file}\nCOPY"))
}

/// `build-images ARGS…`, which must succeed.
pub fn build(site: &Site, args: &[&str]) {
    let output = site.run(&[&["build-images"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
}

/// An image that another takes the tags of: without one it would stay behind.
pub struct Replaced(String);

impl Replaced {
    /// The optimized image of a service, as it stands now.
    pub fn soon(site: &Site, service: &str) -> Replaced {
        let image = format!("{}-{service}:latest-simple-optimized", site.prefix);
        Replaced(docker(&["image", "inspect", "--format", "{{.Id}}", &image]))
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        Command::new("docker").args(["image", "rm", &self.0]).output().ok();
    }
}

/// The lines of comparisons that speak of a service.
pub fn rows<'t>(text: &'t str, service: &str) -> Vec<&'t str> {
    text.lines().filter(|line| line.split_whitespace().next() == Some(service)).collect()
}
