//! Repositories other than Sutra: no editions, one build a service, several services in one repository, images that are only pulled,
//! services of some editions.

use std::process::Output;

use crate::check::holding;
use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, Folder};
use serde_json::{Value, json};

/// A repository with this manifest and an ordinary Dockerfile in each of these folders.
fn repository(manifest: &str, folders: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.write("xtask/images.toml", &format!("schema = 2\nproject = \"shop\"\n{manifest}"));
    for name in folders {
        // Neither declared as an upstream image nor on an allow-list.
        let text = "FROM debian:trixie-slim\nARG VERSION=3.2\nCOPY app /app\nCMD [\"/app\"]\n";
        folder.write(&format!("{name}/Dockerfile"), text);
        folder.write(&format!("{name}/.dockerignore"), "node_modules\n");
    }
    folder
}

fn image(name: &'static str, bytes: usize, labels: &Value) -> Saved {
    let tar = LayerTar::new().program("app", 0o755, &vec![7; bytes]);
    let config = json!({"Cmd": ["/app"], "User": "65532:65532", "Labels": labels});
    Saved::new(name, vec![("COPY app /app # buildkit", tar)]).config(config)
}

fn labels(title: &str) -> Value {
    json!({"shop.images.variant": "original", "org.opencontainers.image.title": title})
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// The bake definition that `build-images --dry-run` prints.
fn targets(repository: &Folder, args: &[&str]) -> Value {
    let output = FakeDocker::new().run(repository, &[&["build-images", "--dry-run"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let definition: Value = serde_json::from_slice(&output.stdout).unwrap();
    definition["target"].clone()
}

const VOTE: &str = "[service.vote]\nimage = \"team/vote\"\ncontext = \"vote\"\n";

#[test]
fn a_service_with_one_build_has_plain_tags() {
    let repository = repository(VOTE, &["vote"]);
    let output = FakeDocker::new().run(&repository, &["build-images", "--dry-run"]);
    snapshot!("anyones_build", output, repository);
    // For every variant there is the same image, and its Dockerfile's own VERSION is kept.
    let both = targets(&repository, &["--variant", "both", "--tag", "1.0-optimized"]);
    let built = both.as_object().unwrap();
    assert_eq!(built.keys().collect::<Vec<_>>(), ["vote"]);
    assert!(built["vote"]["args"].get("VERSION").is_none(), "{both}");
}

#[test]
fn editions_that_are_not_declared_are_refused() {
    let repository = repository(VOTE, &["vote"]);
    for args in
        [["check", "--edition=all"], ["compare", "--edition=simple"], ["build-images", "--edition=simple"]]
    {
        let output = FakeDocker::new().run(&repository, &args);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains("the manifest declares no editions") && text.contains("help: omit --edition"),
            "{text}"
        );
    }
}

#[test]
fn images_of_one_build_are_guarded_by_the_lock() {
    let repository = repository(VOTE, &["vote"]);
    let docker = holding(&[image("team/vote:latest", 1_000_000, &labels("team/vote"))]);
    snapshot!("anyones_check_new", docker.run(&repository, &["check"]), repository);
    let accepted = docker.run(&repository, &["check", "--accept", "--reason", "first"]);
    assert_eq!(accepted.status.code(), Some(0), "{}", text(&accepted));
    let lock = repository.read("xtask/sizes.lock.toml");
    assert!(lock.contains("[vote]\n\"linux/amd64\" = { own = 1_000_000, base = 0,"), "{lock}");
    snapshot!("anyones_check_accepted", docker.run(&repository, &["check"]), repository);
    let image = image("team/vote:latest", 3_000_000, &labels("team/vote"));
    let mut inspected = image.inspect();
    inspected["Size"] = json!(3_000_000);
    let grown = FakeDocker::new()
        .alive()
        .on("image inspect*", 0, &json!([inspected]).to_string(), "")
        .holds(&image, Layout::Oci);
    snapshot!("anyones_compare_grown", grown.run(&repository, &["compare"]), repository);
    snapshot!("anyones_check_grown", grown.run(&repository, &["check"]), repository);
    let allow = ["check", "--allow-growth", "label accept, added by someone", "--format", "markdown"];
    snapshot!("anyones_check_grown_as_allowed", grown.run(&repository, &allow), repository);
    let empty = grown.run(&repository, &["check", "--allow-growth", " "]);
    assert_eq!(empty.status.code(), Some(2), "{}", text(&empty));
    // Records have no edition in their names, and the report reads them.
    assert!(repository.0.join("target/xtask/records/check.json").is_file());
    let report = grown.run(&repository, &["report", "--format", "markdown"]);
    let report = text(&report);
    assert!(report.contains("| vote | 3MB | 1MB | +2MB |"), "{report}");
    assert!(
        !report.contains("Edition") && !report.contains("arity") && !report.contains("--edition"),
        "{report}"
    );
}

#[test]
fn a_target_is_the_projects_own() {
    let manifest = format!("{VOTE}size = {{ target = \"2MB\", goal = \"1MB\" }}\n");
    let repository = repository(&manifest, &["vote"]);
    let docker = holding(&[image("team/vote:latest", 3_000_000, &labels("team/vote"))]);
    let text = text(&docker.run(&repository, &["check"]));
    assert!(text.contains("3MB, 1MB above your target of 2MB") && !text.contains("guide"), "{text}");
}

#[test]
fn what_needs_an_original_says_so() {
    // Its builds need no Compose, which fails here.
    let repository = repository(&format!("compose = []\n{VOTE}compose = \"vote\"\n"), &["vote"]);
    repository.write("docker-compose.yml", "services:\n  vote:\n    image: team/vote:latest\n");
    let docker =
        || holding(&[image("team/vote:latest", 1_000, &labels("team/vote"))]).on("compose*", 1, "", "x\n");
    let why = docker().run(&repository, &["why", "vote"]);
    assert_eq!(why.status.code(), Some(2));
    assert!(text(&why).contains("`vote` has one build and no original"), "{}", text(&why));
    let optimized = docker().run(&repository, &["analyze", "vote", "--variant", "optimized"]);
    assert!(
        text(&optimized).contains("`vote` has no optimized image, only one: omit --variant"),
        "{}",
        text(&optimized)
    );
    let analyzed = docker().run(&repository, &["analyze", "vote"]);
    assert!(text(&analyzed).contains("vote/Dockerfile:3  COPY app /app"), "{}", text(&analyzed));
    let parity = docker().run(&repository, &["test", "--parity"]);
    assert!(text(&parity).contains("no service has both"), "{}", text(&parity));
    let switched = docker().run(&repository, &["compose-switch", "optimized", "--dry-run"]);
    assert!(text(&switched).contains("nothing to switch: no service has both"), "{}", text(&switched));
    assert!(!text(&switched).contains("-optimized"), "{}", text(&switched));
}

#[test]
fn a_build_declares_context_target_arguments_and_platform() {
    let manifest = "[service.web]\ncontext = \"web\"\ndockerfile = \"docker/web.Dockerfile\"\ntarget = \"final\"\n\
        args = { PORT = \"80\" }\nplatforms = [\"linux/arm64\"]\ncontexts = { lib = \"lib\", base = \"docker-image://alpine\" }\n";
    let repository = repository(manifest, &["web"]);
    repository.write("docker/web.Dockerfile", "FROM scratch AS final\nCOPY --from=lib x /x\n");
    let target = &targets(&repository, &[])["web"];
    let root = repository.0.display();
    assert_eq!(target["context"], format!("{root}/web"));
    assert_eq!(target["dockerfile"], format!("{root}/docker/web.Dockerfile"));
    assert_eq!(target["target"], "final");
    assert_eq!(target["args"], json!({"PORT": "80"}));
    assert_eq!(target["platforms"], json!(["linux/arm64"]));
    assert_eq!(target["contexts"], json!({"lib": format!("{root}/lib"), "base": "docker-image://alpine"}));
}

#[test]
fn a_dry_run_shows_no_secret_of_a_build() {
    let manifest =
        "[service.web]\ncontext = \"web\"\nargs = { NPM_TOKEN = \"not-for-the-log\", PORT = \"80\" }\n";
    let repository = repository(manifest, &["web"]);
    assert_eq!(targets(&repository, &[])["web"]["args"], json!({"NPM_TOKEN": "***", "PORT": "80"}));
    let output = FakeDocker::new().run(&repository, &["--verbose", "build-images", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!text(&output).contains("not-for-the-log"), "{}", text(&output));
}

/// Two services that share a repository.
const SHARED: &str = "[service.ad]\nimage = \"ghcr.io/acme/demo__x\"\ntag = \"{tag}-ad\"\ncontext = \"ad\"\n\
    [service.cart]\nimage = \"ghcr.io/acme/demo__x\"\ntag = \"{tag}-cart\"\ncontext = \"cart\"\n";

#[test]
fn services_share_a_repository() {
    let repository = repository(SHARED, &["ad", "cart"]);
    let planned = targets(&repository, &["--tag", "2.0"]);
    let runs = ["ad", "cart"].map(|name| planned[name]["tags"][0].as_str().unwrap().to_owned());
    assert!(runs[0].ends_with("-ad") && runs[1].ends_with("-cart"), "run tags must differ: {runs:?}");
    let docker = holding(&[
        image("ghcr.io/acme/demo__x:latest-ad", 1_000, &labels("ad")),
        image("ghcr.io/acme/demo__x:latest-cart", 2_000, &labels("cart")),
    ]);
    let checked = text(&docker.run(&repository, &["check"]));
    assert!(checked.contains("ad         1kB") && checked.contains("cart       2kB"), "{checked}");
    let cleaned = text(&docker.on("ps*", 0, "", "").run(&repository, &["clean", "cart", "--dry-run"]));
    assert!(cleaned.contains("demo__x:latest-cart") && !cleaned.contains("latest-ad"), "{cleaned}");
}

#[test]
fn no_two_services_have_the_same_tags() {
    let repository = repository(&SHARED.replace("-cart", "-ad"), &["ad", "cart"]);
    let text = text(&FakeDocker::new().run(&repository, &["build-images", "--dry-run"]));
    assert!(text.contains("`ghcr.io/acme/demo__x:{tag}-ad` is already the image of `ad`"), "{text}");
}

#[test]
fn a_switch_keeps_tags_of_pulled_images_and_templates_of_long_tags() {
    let manifest = format!("compose = []\n{SHARED}[service.cache]\npulled = \"docker.io/library/redis:7\"\n");
    let repository = repository(&manifest, &["ad", "cart"]);
    let compose = "services:\n  cache:\n    image: docker.io/library/redis:6\n  ad:\n    image: ghcr.io/acme/demo__x:1-ad\n";
    repository.write("docker-compose.yml", compose);
    let tag = "t".repeat(99);
    let args = ["compose-switch", "original", "--tag", &tag, "--allow-missing", "--dry-run"];
    let output = FakeDocker::new().run(&repository, &args);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("+    image: ghcr.io/acme/demo__x:{tag}-ad\n")), "{text}");
    assert!(!text.contains("redis:7"), "{text}");
}

#[test]
fn a_switch_keeps_a_pulled_reference_that_ends_like_an_optimized_one() {
    let pulled = "[service.proxy]\npulled = \"hub.example/vendor/proxy:2-optimized\"\n";
    let manifest = format!(
        "compose = []\nregistries = [\"hub.example/vendor\"]\n{VOTE}optimized = \"vote/Dockerfile\"\n{pulled}"
    );
    let repository = repository(&manifest, &["vote"]);
    let compose = "services:\n  proxy:\n    image: hub.example/vendor/proxy:2-optimized\n  old:\n    \
                   image: hub.example/vendor/proxy:1-optimized\n  vote:\n    image: team/vote:1-optimized\n";
    repository.write("docker-compose.yml", compose);
    for (variant, tag) in [("original", "team/vote:1\n"), ("optimized", "team/vote:1-optimized\n")] {
        let output = FakeDocker::new().run(&repository, &["compose-switch", variant, "--allow-missing"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let expected = compose.replace("team/vote:1-optimized\n", tag);
        assert_eq!(repository.read("docker-compose.yml"), expected, "{variant}");
    }
}

#[test]
fn a_pulled_image_is_checked_and_never_built() {
    let manifest = format!("{VOTE}[service.cache]\npulled = \"docker.io/library/redis:7\"\n");
    let repository = repository(&manifest, &["vote"]);
    assert_eq!(targets(&repository, &[]).as_object().unwrap().keys().collect::<Vec<_>>(), ["vote"]);
    let nothing = text(&FakeDocker::new().run(&repository, &["build-images", "cache"]));
    assert!(nothing.contains("cache: pulled, not built: docker.io/library/redis:7"), "{nothing}");
    let tar = LayerTar::new().program("redis", 0o755, &[7; 5_000]);
    let redis =
        Saved::new("redis:7", vec![("COPY redis /redis # buildkit", tar)]).config(json!({"Cmd": ["/redis"]}));
    let docker = holding(&[image("team/vote:latest", 1_000, &labels("team/vote")), redis]);
    let checked = docker.run(&repository, &["check", "--accept", "--reason", "first"]);
    snapshot!("anyones_pulled", checked, repository);
    let missing = holding(&[image("team/vote:latest", 1_000, &labels("team/vote"))]);
    let text = text(&missing.run(&repository, &["check"]));
    assert!(text.contains("help: docker pull docker.io/library/redis:7"), "{text}");
}

#[test]
fn a_service_may_exist_in_some_editions_only() {
    let manifest = "editions = [\"small\", \"large\"]\n\
        [service.vote]\nimage = \"vote\"\ncontext = \"vote\"\n[service.gpu]\nimage = \"gpu\"\ncontext = \"gpu\"\nonly = [\"large\"]\n";
    let repository = repository(manifest, &["vote", "gpu"]);
    let of = |edition: &str| {
        let planned = targets(&repository, &["--edition", edition]);
        planned.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (of("small"), of("all")),
        ("vote-small".to_owned(), "gpu-large vote-large vote-small".to_owned())
    );
    let docker = holding(&[image("vote:latest-small", 1_000, &labels("vote"))]);
    let checked = text(&docker.run(&repository, &["check", "--accept", "--reason", "first"]));
    assert!(checked.contains("1 image checked") && !checked.contains("gpu"), "{checked}");
    let one = text(&docker.run(&repository, &["analyze", "gpu", "--edition", "small"]));
    assert!(one.contains("`gpu` is not in edition small, only in large"), "{one}");
    let unknown = text(&docker.run(&repository, &["check", "--edition", "lage"]));
    assert!(
        unknown.contains("unknown edition `lage`; did you mean `large`? (known: small, large, all)"),
        "{unknown}"
    );
}

#[test]
fn a_changed_file_concerns_the_services_whose_context_has_it() {
    let repository = repository(SHARED, &["ad", "cart"]);
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
        let output =
            std::process::Command::new("git").args(identity).args(args).current_dir(&repository.0).output();
        assert!(output.as_ref().is_ok_and(|output| output.status.success()), "git {args:?}: {output:?}");
    };
    repository.write(".gitignore", "/target\n*.log\n");
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=x"]);
    let docker = FakeDocker::new().with_git();
    let planned = || {
        let output = docker.run(&repository, &["build-images", "--dry-run", "--changed-since", "HEAD"]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    repository.write("ad/noise.log", "ignored");
    assert!(planned().contains("No service changed"), "{}", planned());
    repository.write("cart/src/main.py", "new");
    let told = planned();
    assert!(
        told.contains("1 of 2 services changed") && told.contains("  cart: cart/src/main.py\n"),
        "{told}"
    );
}

#[test]
fn the_program_measures_itself_only_beside_its_source() {
    let repository = Folder::new();
    repository.write("images.toml", &format!("schema = 2\n{VOTE}"));
    repository.write("vote/Dockerfile", "FROM scratch\nCOPY app /app\n");
    let output = FakeDocker::new().alive().run(&repository, &["measure", "--self"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("does not contain the source") && text.contains("help: omit --self"), "{text}");
}
