//! The build cache that machines share: what bake is told, and who is told that it cannot be written.

use crate::support::{FakeDocker, repository, told};

const REGISTRY: &str = "registry.example:5000/team";

fn definition(args: &[&str]) -> serde_json::Value {
    let repository = repository("fx");
    let manifest = repository.read("xtask/images.toml");
    let base = "[base.shared]\nimage = \"fx-shared\"\ndockerfile = \"shared/Dockerfile\"\n";
    repository.write("xtask/images.toml", &format!("{manifest}{base}"));
    repository.write("shared/Dockerfile", "FROM scratch\nCOPY beta/hello /hello\n");
    repository.write("beta/Dockerfile.optimized", "FROM fx-shared\n");
    let output = FakeDocker::new().run(&repository, &[&["build-images", "beta", "--dry-run"], args].concat());
    assert!(output.status.success(), "{}", told(&output, &repository));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_target_reads_its_own_cache_and_writes_it_where_that_was_asked_for() {
    let read = definition(&["--cache-registry", REGISTRY]);
    let both = definition(&["--cache-registry", REGISTRY, "--write-cache"]);
    for target in ["beta-simple-optimized", "base-shared"] {
        let place = format!("type=registry,ref={REGISTRY}/fixture-buildcache:{target}");
        assert_eq!(read["target"][target]["cache-from"], serde_json::json!([place]));
        assert_eq!(read["target"][target]["cache-to"], serde_json::Value::Null);
        assert_eq!(both["target"][target]["cache-from"], serde_json::json!([place]));
        assert_eq!(both["target"][target]["cache-to"], serde_json::json!([format!("{place},mode=max")]));
    }
    assert_eq!(definition(&[])["target"]["base-shared"]["cache-from"], serde_json::Value::Null);
}

#[test]
fn a_cache_without_a_registry_is_wrong_usage() {
    let repository = repository("fx");
    for (args, words) in [
        (&["build-images", "--write-cache"][..], "--cache-registry or SUTRA_CACHE_REGISTRY"),
        (&["build-images", "--cache-registry", "team"], "--cache-registry: invalid registry `team`"),
    ] {
        let docker = FakeDocker::new();
        let output = docker.run(&repository, args);
        let text = told(&output, &repository);
        assert!(output.status.code() == Some(2) && text.contains(words), "{text}");
        assert_eq!(docker.calls(), Vec::<String>::new());
    }
}

#[test]
fn a_builder_that_cannot_write_a_cache_is_named_before_anything_is_built() {
    let repository = repository("fx");
    let docker = FakeDocker::new().alive().on("buildx inspect", 0, "Name: default\nDriver: docker\n", "");
    let args = ["build-images", "--cache-registry", REGISTRY, "--write-cache"];
    snapshot!("cache_that_cannot_be_written", docker.run(&repository, &args), repository);
    assert!(docker.calls().iter().all(|call| !call.starts_with("buildx b")), "{:?}", docker.calls());
    // Reading asks nothing more of a builder, and another driver writes.
    let docker = FakeDocker::new().alive().on(
        "buildx --builder other inspect",
        0,
        "Name: other\nDriver: docker-container\n",
        "",
    );
    let output = docker.run(&repository, &[&args[..], &["--builder", "other"]].concat());
    assert!(!told(&output, &repository).contains("cannot write its cache"));
    assert!(docker.calls().contains(&"buildx --builder other inspect".to_owned()), "{:?}", docker.calls());
}
