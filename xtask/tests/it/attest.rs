//! Errors of `push --attest` and `verify` before anything is pushed, with a fake docker and a fake cosign.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::push_and_clean::{calls, docker_for_push, with_images};
use crate::support::{FakeDocker, Folder, repository};

/// A cosign that behaves like the real one: it accepts the key if the password is right.
fn with_cosign(docker: &FakeDocker) {
    docker.folder.write(
        "bin/cosign",
        "#!/bin/sh\nif [ \"$COSIGN_PASSWORD\" != right-words ]; then\n\
         \techo 'Error: decrypt: encrypted: decryption failed' >&2\n\
         \techo 'error during command execution: decrypt: encrypted: decryption failed' >&2\n\texit 1\nfi\n\
         echo '-----BEGIN PUBLIC KEY-----'; echo AAAA; echo '-----END PUBLIC KEY-----'\n",
    );
    fs::set_permissions(docker.folder.0.join("bin/cosign"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn push(docker: &FakeDocker, repository: &Folder, password: Option<&str>) -> Output {
    let key = repository.0.join("cosign.key").display().to_string();
    let args = ["push", "--tag", "1", "--registry", "hub.example/t", "--attest", "--key", &key];
    let mut command = docker.command(repository, &args);
    command.envs(password.map(|password| ("COSIGN_PASSWORD", password)));
    command.output().unwrap()
}

#[test]
fn nothing_is_pushed_that_cannot_be_attested() {
    let repository = repository("fx");
    let docker = with_images(docker_for_push());
    snapshot!("attest_without_cosign", push(&docker, &repository, Some("right-words")), repository);
    with_cosign(&docker);
    snapshot!("attest_without_a_password", push(&docker, &repository, None), repository);
    snapshot!("attest_without_the_key", push(&docker, &repository, Some("right-words")), repository);
    repository.write("cosign.key", "sealed");
    snapshot!("attest_wrong_password", push(&docker, &repository, Some("wrong-words")), repository);
    // The images have no commit label.
    snapshot!("attest_without_a_commit", push(&docker, &repository, Some("right-words")), repository);
    assert_eq!(calls(&docker, "push"), [""; 0]);
    assert_eq!(calls(&docker, "tag"), [""; 0]);
}

#[test]
fn options_that_need_each_other_are_named() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let to = ["push", "--registry", "hub.example/t"];
    snapshot!("attest_needs_a_key", docker.run(&repository, &[&to[..], &["--attest"]].concat()), repository);
    snapshot!("verify_needs_a_key", docker.run(&repository, &["verify", "hub.example/t/x:1"]), repository);
    let args = ["verify", "hub.example/t/x:1", "--key", "missing.pub"];
    snapshot!("verify_without_the_key", docker.run(&repository, &args), repository);
    assert_eq!(docker.calls(), [""; 0]);
}
