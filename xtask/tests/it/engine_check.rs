//! `check` on images built by a real engine: every guard fails for its own reason.

use crate::support::Site;

/// Builds both services and checks the first: whether it passed, and its output.
fn checked(site: &Site, edition: &str, args: &[&str]) -> (bool, String) {
    let built = site.run(&["build-images", "alpha", "--edition", edition, "--quiet"]);
    assert!(built.status.success(), "{}", site.told(&built));
    let output = site.run(&[["check", "alpha", "--edition", edition].as_slice(), args].concat());
    (output.status.success(), site.told(&output))
}

fn dockerfile(site: &Site, text: &str) {
    site.folder.write("alpha/Dockerfile.optimized", text);
    let reads = "FROM scratch\nCOPY beta/hello /hello\nARG EDITION\nARG VERSION\nENV E=$EDITION V=$VERSION\n";
    site.folder.write("beta/Dockerfile.optimized", reads);
    let original = "FROM debian:trixie-slim\nARG EDITION\nRUN echo $EDITION > /fat\n";
    site.folder.write("alpha/Dockerfile", original);
}

/// A program with its loader and library.
const SOUND: &str = "FROM debian:trixie-slim AS root\n\
    RUN mkdir -p /out/bin /out/lib64 /out/lib && cp /bin/true /out/bin/ \\\n\
     && cp -L /lib64/ld-linux-x86-64.so.2 /out/lib64/ && cp -L /lib/x86_64-linux-gnu/libc.so.6 /out/lib/\n\
    FROM scratch\n\
    COPY --from=root /out /\n\
    ARG EDITION\n\
    ARG VERSION\n\
    ENV E=$EDITION V=$VERSION\n\
    USER 65532:65532\n\
    CMD [\"true\"]\n";

const ACCEPT: [&str; 3] = ["--accept", "--reason", "the test says so"];

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_pruned_library_is_a_breach() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("linked");
    dockerfile(&site, SOUND);
    let (green, text) = checked(&site, "simple", &ACCEPT);
    assert!(green, "{text}");
    dockerfile(&site, &SOUND.replace(" && cp -L /lib/x86_64-linux-gnu/libc.so.6 /out/lib/", ""));
    let (green, text) = checked(&site, "simple", &[]);
    assert!(!green && text.contains("/bin/true needs libc.so.6, which is not in the image"), "{text}");
    assert!(text.contains("alpha/Dockerfile.optimized:5"), "its line is missing: {text}");
    dockerfile(&site, &SOUND.replace("cp /bin/true /out/bin/", "true"));
    let (green, text) = checked(&site, "simple", &[]);
    assert!(!green && text.contains("the command runs `true`, which is not in the image"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_unused_edition_is_a_breach() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("editions");
    let manifest = site.folder.read("xtask/images.toml");
    let limits = "[service.alpha.editions]\nsimple.limits = { texts = 1 }\ncommunity.limits = { texts = 2 }\n\
                  enterprise.limits = { texts = 3 }\n";
    site.folder.write("xtask/images.toml", &format!("{manifest}{limits}"));
    dockerfile(&site, SOUND);
    let (green, text) = checked(&site, "all", &ACCEPT);
    assert!(green, "{text}");
    dockerfile(&site, &SOUND.replace("ENV E=$EDITION V=$VERSION", "ENV V=$VERSION"));
    let (green, text) = checked(&site, "all", &[]);
    assert!(!green && text.contains("ARG EDITION is not used in its stage"), "{text}");
    assert!(
        text.contains("alpha (community, enterprise): the image differs from simple in labels only"),
        "{text}"
    );
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_key_that_a_later_layer_deletes_is_found() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("secret");
    let key =
        concat!("-----BEGIN PRIVATE", " KEY-----\\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAbCd\\n");
    let text = format!(
        "FROM debian:trixie-slim\nRUN printf -- '{}' | tr _ - > /key.pem\nRUN rm /key.pem\nUSER 1\n",
        key.replace('-', "_")
    );
    dockerfile(&site, &text);
    let (green, text) = checked(&site, "simple", &[]);
    assert!(!green && text.contains("a private key is in /key.pem, which a later layer hides"), "{text}");
    assert!(text.contains("alpha/Dockerfile.optimized:2") && !text.contains("MIGHAgEA"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn growth_in_small_steps_adds_up_to_a_breach() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("creep");
    let weigh = |kilobytes: usize, args: &[&str]| {
        site.folder.write("alpha/hello", &"x".repeat(kilobytes * 1000));
        dockerfile(&site, &(SOUND.to_owned() + "COPY alpha/hello /hello\n"));
        checked(&site, "simple", args)
    };
    assert!(weigh(100, &ACCEPT).0);
    let lock = site.folder.read("xtask/sizes.lock.toml");
    for kilobytes in [500, 900] {
        let (green, text) = weigh(kilobytes, &[]);
        assert!(green, "{text}");
    }
    let (green, text) = weigh(1300, &[]);
    assert!(!green && text.contains("1.2MB above the baseline"), "{text}");
    assert_eq!(site.folder.read("xtask/sizes.lock.toml"), lock);
}
