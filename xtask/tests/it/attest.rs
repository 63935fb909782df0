//! Errors of `push --attest` and `verify` before anything is pushed, with a fake docker and a fake cosign.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::push_and_clean::{calls, docker_for_push, with_images};
use crate::support::{FakeDocker, Folder, repository};

/// A signature in base64 that is also the path of a file without end.
const SIGNATURE: &str = "////dev/zero";

/// A cosign that answers like the real one: it knows the key if the password is right, and reads signatures from files.
fn with_cosign(docker: &FakeDocker) {
    let script = format!(
        "#!/bin/sh\nfail() {{ echo \"Error: $1\" >&2; echo \"error during command execution: $1\" >&2; exit 1; }}\n\
         [ \"$COSIGN_PASSWORD\" = right-words ] || fail 'decrypt: encrypted: decryption failed'\n\
         case \"$1\" in\n\
         public-key) echo '-----BEGIN PUBLIC KEY-----'; echo AAAA; echo '-----END PUBLIC KEY-----' ;;\n\
         sign-blob) echo {SIGNATURE} ;;\n\
         verify-blob) [ -f \"$6\" ] && read -r found < \"$6\"; [ \"$found\" = {SIGNATURE} ] || fail 'invalid signature' ;;\nesac\n"
    );
    write_cosign(docker, &script);
}

fn write_cosign(docker: &FakeDocker, script: &str) {
    docker.folder.write("bin/cosign", script);
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
    let script = docker.folder.read("bin/cosign");
    let other = "fail 'must provide --bundle'";
    write_cosign(
        &docker,
        &script.replace(&format!("sign-blob) echo {SIGNATURE}"), &format!("sign-blob) {other}")),
    );
    snapshot!("attest_other_cosign", push(&docker, &repository, Some("right-words")), repository);
    write_cosign(&docker, &script.replace("verify-blob) ", &format!("verify-blob) {other} ; ")));
    snapshot!("attest_unknown_error", push(&docker, &repository, Some("right-words")), repository);
    write_cosign(&docker, &script.replace("verify-blob) ", "verify-blob) fail 'invalid signature' ; "));
    snapshot!("attest_wrong_signature", push(&docker, &repository, Some("right-words")), repository);
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
