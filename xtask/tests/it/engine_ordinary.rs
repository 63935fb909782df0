//! Ordinary images built from Debian, PyPI and npm packages pass `check` without false alarms.

use serde_json::Value;

use crate::support::Site;

const APT: &str = "RUN apt-get update && apt-get install -y --no-install-recommends";

/// `RUN` for commands that download and may need a private CA.
const FETCH: &str = "RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt";

/// A virtual environment with large Python packages.
fn python() -> String {
    format!(
        "{APT} python3 python3-venv ca-certificates && python3 -m venv /opt/venv\n\
         {FETCH} PIP_CERT=/etc/ssl/certs/ca-certificates.crt /opt/venv/bin/pip install --no-cache-dir scikit-learn flask \
         requests cryptography\nENV PATH=/opt/venv/bin:$PATH\n"
    )
}

/// Name, Debian release and Dockerfile after FROM.
fn images() -> Vec<(&'static str, &'static str, String)> {
    let apt = |packages: &str| format!("{APT} {packages}\n");
    vec![
        ("bookworm", "bookworm", apt("ca-certificates curl openssl gnupg git openssh-client")),
        ("trixie", "trixie", apt("ca-certificates curl openssl gnupg git openssh-client postgresql-client")),
        ("python", "trixie", python() + "CMD [\"python\", \"-c\", \"import sklearn\"]\n"),
        (
            "node",
            "trixie",
            format!(
                "{APT} nodejs npm ca-certificates\n{FETCH} npm install --global --cafile /etc/ssl/certs/ca-certificates.crt express\n\
             CMD [\"node\", \"--version\"]\n"
            ),
        ),
        ("nginx", "bookworm", format!("{}CMD [\"nginx\", \"-g\", \"daemon off;\"]\n", apt("nginx"))),
        (
            "go",
            "trixie",
            format!("{}ENTRYPOINT [\"gosu\", \"--version\"]\n", apt("gosu docker-registry caddy")),
        ),
        (
            "java",
            "bookworm",
            format!(
                "RUN mkdir -p /usr/share/man/man1\n{}CMD [\"ant\", \"-version\"]\n",
                apt("default-jre-headless ant")
            ),
        ),
    ]
}

/// A site with these services. Their originals do not matter.
fn site(images: &[(&str, &str, String)]) -> Site {
    let site = Site::new("ordinary");
    let mut manifest =
        "schema = 2\nproject = \"fixture\"\nversion = \"0.1.0\"\nsource-date-epoch = 1767225600\n\
         editions = [\"simple\", \"community\", \"enterprise\"]\nenv-prefix = \"SUTRA_\"\ncompose = []\n"
            .to_owned();
    for suite in ["bookworm", "trixie"] {
        manifest += &format!(
            "[upstream.{suite}]\nreference = \"debian:{suite}-slim\"\nstand-in = {{ bootstrap = \"{suite}\" }}\n"
        );
    }
    for (at, (name, suite, text)) in images.iter().enumerate() {
        manifest += &format!(
            "[service.{name}]\nimage = \"{}-{name}\"\ncompose = \"{name}\"\nport = {}\ndockerfile = \"{name}/Dockerfile\"\n\
             optimized = \"{name}/Dockerfile.optimized\"\n[service.{name}.sizes]\n\
             simple = {{ original = \"9GB\", target = \"9GB\", goal = \"9GB\" }}\n",
            site.prefix,
            2000 + at
        );
        site.folder.write(&format!("{name}/Dockerfile"), "FROM scratch\nCOPY alpha/hello /\n");
        let text = format!("FROM debian:{suite}-slim\n{text}USER 65532:65532\n");
        site.folder.write(&format!("{name}/Dockerfile.optimized"), &text);
    }
    site.folder.write("xtask/images.toml", &manifest);
    site
}

/// Breaches as service and message, except sizes and editions.
fn breaches(site: &Site) -> Vec<(String, String)> {
    let built = site.run(&["build-images", "--quiet"]);
    assert!(built.status.success(), "{}", site.told(&built));
    let report = site.run(&["check", "--edition", "simple", "--format", "json"]);
    let report: Value =
        serde_json::from_slice(&report.stdout).unwrap_or_else(|_| panic!("{}", site.told(&report)));
    let breaches = report["breaches"].as_array().unwrap().iter();
    let content = breaches
        .filter(|breach| ["pruned", "secret", "user", "volume"].contains(&breach["kind"].as_str().unwrap()));
    let found = content.flat_map(|breach| {
        let what = breach["what"].as_str().unwrap();
        let images = breach["images"].as_array().unwrap().iter();
        images.map(move |image| (image["service"].as_str().unwrap().to_owned(), what.to_owned()))
    });
    found.collect()
}

#[test]
#[ignore = "needs an engine and the network: cargo xtask ci"]
fn ordinary_images_have_no_findings() {
    let _turn = crate::support::turn::take(module_path!());
    let mut images = images();
    let site_packages = "/opt/venv/lib/python3.13/site-packages";
    let broken = |command: &str| format!("{}RUN {command}\n", python());
    images.extend([
        ("pruned", "trixie", broken(&format!("rm -r {site_packages}/scipy/sparse/csgraph"))),
        ("unrecorded", "trixie", broken(&format!("rm -r {site_packages}/*.dist-info"))),
        ("volume", "trixie", "RUN mkdir /cache && chown 65532 /cache\nVOLUME /data /cache\n".to_owned()),
    ]);
    let found = breaches(&site(&images));
    let of = |service: &str| -> Vec<&str> {
        found.iter().filter(|(name, _)| name == service).map(|(_, what)| what.as_str()).collect()
    };
    for (name, _, _) in &images[..7] {
        assert_eq!(of(name), [""; 0], "{name}");
    }
    let pruned = of("pruned");
    assert!(pruned.iter().any(|what| what.contains("scipy/sparse/csgraph, which")), "{pruned:?}");
    assert!(pruned.iter().all(|what| what.contains("csgraph")), "{pruned:?}");
    let [unrecorded] = of("unrecorded")[..] else { panic!("{:?}", of("unrecorded")) };
    assert!(unrecorded.contains("has a `*.dist-info` folder"), "{unrecorded}");
    let [volume] = of("volume")[..] else { panic!("{:?}", of("volume")) };
    assert!(volume.contains("user 65532 cannot write to volume /data"), "{volume}");
}
