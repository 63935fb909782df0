//! Written files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::kubernetes::write::write;

fn secretive() -> KubernetesPlan {
    services(json!({ "door": { "image": "a", "environment": {
        "API_USERS": "hashed$value", "URL": format!("postgres://u:{}@db/x", "open-sesame"), "PLAIN": "yes $(HOME)",
        "TLS_PRIVATE_KEY": "line one\nline two" } } }))
}

#[test]
fn secrets_are_only_in_private_files_that_git_ignores() {
    let plan = secretive();
    let tree = tree(&plan);
    for (name, file) in tree.base.iter().chain(&tree.overlay) {
        let text = String::from_utf8_lossy(&file.content);
        let holds = ["hashed", "sesame", "line two"].iter().any(|secret| text.contains(secret));
        assert_eq!(holds, file.is_private, "{}", name.display());
        assert_eq!(file.is_private, name.starts_with("secrets"), "{}", name.display());
    }
    let text = |name: &str| String::from_utf8_lossy(&tree.overlay[Path::new(name)].content).into_owned();
    let lines = text("secrets/door.env");
    let url = format!("URL=postgres://u:{}@db/x", "open-sesame");
    assert!(lines.ends_with(&format!("\nAPI_USERS=hashed$value\n{url}\n")), "{lines}");
    assert_eq!(text("secrets/door.TLS_PRIVATE_KEY"), "line one\nline two");
    assert!(text(".gitignore").contains("\n/secrets/\n"));
    let env = &object(&plan, "Deployment", "door")["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(env[0], json!({ "name": "PLAIN", "value": "yes $$(HOME)" }));
    assert_eq!(
        env[1],
        json!({ "name": "API_USERS", "valueFrom": { "secretKeyRef": { "name": "env-door", "key": "API_USERS" } } })
    );
}

#[test]
fn a_tree_is_replaced_as_a_whole_and_private_files_stay_private() {
    let output = tempfile::tempdir().unwrap();
    let folder = write(&tree(&secretive()), output.path(), "production").unwrap();
    assert_eq!(folder, output.path().join("overlays/production"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("secrets/door.env")), 0o600);
    let smaller = services(json!({ "web": { "image": "w" } }));
    write(&tree(&smaller), output.path(), "production").unwrap();
    let mut names: Vec<String> = fs::read_dir(output.path().join("base"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["kustomization.yaml", "web.yaml"]);
    assert!(!folder.join("secrets").exists());
    let left: Vec<_> = fs::read_dir(output.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn files_of_others_and_changed_files_are_never_replaced() {
    let output = tempfile::tempdir().unwrap();
    let folder = write(&tree(&secretive()), output.path(), "production").unwrap();
    let own = folder.join("patch.yaml");
    fs::write(&own, "mine").unwrap();
    let changed = output.path().join("base/door.yaml");
    let text = fs::read_to_string(&changed).unwrap() + "# my note\n";
    fs::write(&changed, &text).unwrap();
    let error = write(&tree(&services(json!({ "web": { "image": "w" } }))), output.path(), "production");
    let error = error.unwrap_err().to_string();
    let names = format!("nothing was written: {}, {}\nhelp: ", changed.display(), own.display());
    assert!(error.contains(&names), "{error}");
    assert_eq!(fs::read_to_string(&changed).unwrap(), text);
    assert!(folder.join("secrets/door.env").exists() && !output.path().join("base/web.yaml").exists());
    // Other overlays are left alone.
    fs::remove_file(&own).unwrap();
    fs::remove_file(&changed).unwrap();
    fs::create_dir(output.path().join("overlays/mine")).unwrap();
    fs::write(output.path().join("overlays/mine/kustomization.yaml"), "resources: [../production]\n")
        .unwrap();
    write(&tree(&secretive()), output.path(), "production").unwrap();
    assert!(output.path().join("overlays/mine/kustomization.yaml").exists());
    // Secrets are unmarked; `.written` lists them.
    let (edited, added) = (folder.join("secrets/door.env"), folder.join("secrets/tls.key"));
    let written = fs::read_to_string(&edited).unwrap();
    for (path, text) in [(&edited, "API_USERS=mine\n"), (&added, "mine")] {
        fs::write(path, text).unwrap();
        let error = write(&tree(&secretive()), output.path(), "production").unwrap_err().to_string();
        assert!(error.contains(&format!("nothing was written: {}\nhelp: ", path.display())), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
        fs::write(&edited, &written).unwrap();
    }
    fs::remove_file(&added).unwrap();
    write(&tree(&secretive()), output.path(), "production").unwrap();
}

#[test]
fn rotated_secrets_replace_those_that_were_written() {
    let output = tempfile::tempdir().unwrap();
    let secret = |value: &str| {
        let environment = json!({ "DB_PASSWORD": value, "TLS_PRIVATE_KEY": format!("{value}\ntwo") });
        services(json!({ "door": { "image": "a", "environment": environment } }))
    };
    for value in ["first", "second", "second"] {
        let folder = write(&tree(&secret(value)), output.path(), "production").unwrap();
        let text = fs::read_to_string(folder.join("secrets/door.env")).unwrap();
        assert!(text.ends_with(&format!("\nDB_PASSWORD={value}\n")), "{text}");
        let list = folder.join("secrets/.written");
        assert_eq!(fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(list).unwrap();
        assert!(text.contains(" door.env\n") && text.contains(" door.TLS_PRIVATE_KEY\n"), "{text}");
        assert!(!text.contains(value), "{text}");
    }
}

#[test]
fn a_folder_named_secrets_of_someone_else_is_not_ours() {
    let output = tempfile::tempdir().unwrap();
    let secrets = output.path().join("overlays/production/secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::write(secrets.join("key"), "theirs").unwrap();
    write(&tree(&secretive()), output.path(), "production").unwrap_err();
    assert_eq!(fs::read_to_string(secrets.join("key")).unwrap(), "theirs");
}

#[test]
fn a_secret_or_config_without_a_source_is_an_error() {
    for (kind, all) in [("secret", "secrets"), ("config", "configs")] {
        let service = json!({ "image": "a", all: [{ "source": "s" }] });
        let project =
            json!({ "name": "demo", "services": { "a": service }, all: { "s": { "name": "demo_s" } } });
        let error = try_plan(&project, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{kind} s: no `file`, `content` or `environment`")), "{error}");
    }
}
