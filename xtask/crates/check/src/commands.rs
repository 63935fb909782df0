//! Programs the image itself runs: its command and its health check.

use std::path::Path;

use crate::prune_finding::PruneFinding;
use crate::wrappers;
use contents::facts::{EntryKind, Metadata, MetadataFile};
use contents::tree::Tree;
use engine::compose::ComposeService;
use engine::inspect::{ContainerConfig, Healthcheck};

/// Docker's PATH for images that set none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs, interpreters and Python modules that these commands need and the image does not have.
pub fn missing(tree: &Tree<'_>, notes: &[&MetadataFile], config: &ContainerConfig) -> Vec<PruneFinding> {
    let health = health_check(config).map(|words| ("HEALTHCHECK", words));
    let commands = [("the command", start(config))].into_iter().chain(health);
    commands.filter_map(|(label, words)| check(tree, notes, config, label, &words)).collect()
}

/// The same for what a Compose service runs instead of the image's own command and health check, with the key in the Compose file.
pub fn missing_in_service(
    tree: &Tree<'_>,
    notes: &[&MetadataFile],
    config: &ContainerConfig,
    service: &ComposeService,
) -> Vec<(&'static str, PruneFinding)> {
    let mut own = config.clone();
    own.working_dir = service.working_dir.clone().unwrap_or(own.working_dir);
    if let Some(Some(path)) = service.environment.get("PATH") {
        own.env = Some(vec![format!("PATH={path}")]);
    }
    // An entrypoint that is not empty also drops the image's command (moby, `daemon.merge`).
    let is_set = |words: &Option<Vec<String>>| words.iter().flatten().any(|word| !word.is_empty());
    let (entrypoint, command) = (is_set(&service.entrypoint), is_set(&service.command));
    own.entrypoint = service.entrypoint.clone().or(own.entrypoint);
    if command || entrypoint {
        own.cmd = service.command.clone();
    }
    own.healthcheck = service
        .healthcheck
        .as_ref()
        .filter(|check| !check.disable)
        .map(|check| Healthcheck { test: check.test.clone(), ..Healthcheck::default() });
    let start = match (service.entrypoint.is_some(), command) {
        (false, false) => None,
        _ if entrypoint || !command => Some(("entrypoint", start(&own))),
        _ => Some(("command", start(&own))),
    };
    let health = health_check(&own).map(|words| ("healthcheck", words));
    let commands = start.into_iter().chain(health).filter(|(_, words)| !may_be_mounted(&own, service, words));
    commands.filter_map(|(key, words)| Some((key, check(tree, notes, &own, key, &words)?))).collect()
}

/// Whether the service mounts something where it may find one of these words, as a program, a script or a module.
fn may_be_mounted(config: &ContainerConfig, service: &ComposeService, words: &[String]) -> bool {
    let folders = || path_of(config).split(':').chain([config.working_dir.as_str()]);
    let targets = service.volumes.iter().map(|mount| mount.target.clone());
    let configs =
        service.configs.iter().map(|config| config.target.clone().unwrap_or(format!("/{}", config.source)));
    let mut targets = targets.chain(configs);
    targets.any(|target| {
        let is_in =
            |folder: &str| Path::new(&target).starts_with(folder) && folder != "/" && !folder.is_empty();
        let holds = |path: &str| Path::new(path).starts_with(&target);
        let text = words.join(" ");
        folders().any(|folder| is_in(folder) || holds(folder))
            || text.split(|c: char| c.is_whitespace() || "'\";()".contains(c)).any(holds)
    })
}

fn start(config: &ContainerConfig) -> Vec<String> {
    let words = [&config.entrypoint, &config.cmd].into_iter().flatten().flatten();
    // Compose resets an entrypoint with an empty word.
    words.skip_while(|word| word.is_empty()).cloned().collect()
}

fn health_check(config: &ContainerConfig) -> Option<Vec<String>> {
    let (kind, words) = config.healthcheck.as_ref()?.test.as_ref()?.split_first()?;
    match kind.as_str() {
        "CMD" => Some(words.to_vec()),
        "CMD-SHELL" => {
            let shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            Some(shell.into_iter().chain(words.iter().cloned()).collect())
        }
        _ => None,
    }
}

fn check(
    tree: &Tree<'_>,
    notes: &[&MetadataFile],
    config: &ContainerConfig,
    label: &str,
    words: &[String],
) -> Option<PruneFinding> {
    let program = words.first()?;
    let Some(path) = find(tree, config, program) else {
        let what = format!("{label} runs `{program}`, which is not in the image");
        return Some(PruneFinding::new(None, what, "copy the program into the image, or run another one"));
    };
    let interpreter = notes.iter().find_map(|note| match &note.metadata {
        Metadata::Script(words) if note.path == path => Some(words),
        _ => None,
    });
    if let Some(missing) = interpreter.and_then(|words| missing_program(tree, config, words)) {
        let what = format!("{label} runs /{path}, but its interpreter `{missing}` is not in the image");
        return Some(PruneFinding::new(Some(&path), what, "copy the interpreter into the image"));
    }
    if let Some(name) = missing_module(tree, words) {
        let what = format!("{label} runs the Python module `{name}`, which is not in the image");
        return Some(PruneFinding::new(None, what, "copy the module into the image, or run another one"));
    }
    check(tree, notes, config, label, &wrappers::inner(words)?)
}

/// The first missing program: the command's own, or one that its wrappers run.
fn missing_program(tree: &Tree<'_>, config: &ContainerConfig, words: &[String]) -> Option<String> {
    let program = words.first()?;
    if find(tree, config, program).is_none() {
        return Some(program.clone());
    }
    missing_program(tree, config, &wrappers::inner(words)?)
}

/// The executable file of a command, found as execvp(3) does.
fn find(tree: &Tree<'_>, config: &ContainerConfig, program: &str) -> Option<String> {
    let file = |path: &str| {
        let real = tree.real(&format!("{path}/."));
        let entry = tree.entry(tree.file_at(&real)?);
        (matches!(entry.kind, EntryKind::File { .. }) && entry.mode & 0o111 != 0).then_some(real)
    };
    if program.starts_with('/') {
        return file(program);
    }
    if program.contains('/') {
        return file(&format!("{}/{program}", config.working_dir));
    }
    path_of(config).split(':').find_map(|folder| file(&format!("{folder}/{program}")))
}

fn path_of(config: &ContainerConfig) -> &str {
    config.env.iter().flatten().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH)
}

/// The module of `python -m NAME …` if it is certainly missing: its package is in the image, or no archive could contain it.
fn missing_module<'w>(tree: &Tree<'_>, words: &'w [String]) -> Option<&'w str> {
    let program = words.first()?.rsplit('/').next()?;
    let at = words.iter().position(|word| word == "-m").filter(|_| program.starts_with("python"))?;
    let name = words.get(at + 1)?;
    let path = name.replace('.', "/");
    let ends =
        ["py", "pyc"].map(|kind| [format!("{path}.{kind}"), format!("{path}/__main__.{kind}")]).concat();
    let is_at = |whole: &str, end: &str| {
        whole.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    let top = path.split('/').next().unwrap_or_default();
    let (mut has_top, mut has_archive) = (false, false);
    for whole in tree.paths() {
        if ends.iter().any(|end| is_at(whole, end)) {
            return None;
        }
        has_top |= whole.split('/').any(|part| part == top) && whole.contains("-packages/");
        has_archive |= whole.starts_with("usr/lib/python3") && whole.ends_with(".zip");
    }
    (has_top || !has_archive).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{file, link};
    use contents::facts::LayerFacts;
    use serde_json::json;

    fn words(text: &[&str]) -> Option<Vec<String>> {
        Some(text.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn commands_are_found_as_in_a_container() {
        let script =
            MetadataFile { path: "app/run".into(), metadata: Metadata::Script(vec!["/bin/bash".into()]) };
        let envs = MetadataFile {
            path: "app/envs".into(),
            metadata: Metadata::Script(vec!["/bin/env".into(), "python3".into()]),
        };
        let layer = LayerFacts {
            entries: vec![
                link("bin", "usr/bin"),
                file("usr/bin/python3.13", 0o755),
                link("usr/bin/python", "python3.13"),
                file("usr/bin/sh", 0o755),
                file("usr/bin/data", 0o644),
                file("app/run", 0o755),
                file("app/envs", 0o755),
                file("usr/bin/env", 0o755),
                file("usr/bin/tini", 0o755),
            ],
            metadata: Vec::new(),
        };
        let tree = Tree::of(&[&layer]);
        let of = |cmd: &[&str], test: &[&str]| {
            let config = ContainerConfig {
                cmd: words(cmd),
                working_dir: "/app".into(),
                healthcheck: Some(Healthcheck { test: words(test), ..Default::default() }),
                ..ContainerConfig::default()
            };
            missing(&tree, &[&script, &envs], &config).into_iter().map(|found| found.what).collect::<Vec<_>>()
        };
        assert_eq!(of(&["python", "-c", "x"], &["CMD", "/bin/python3.13"]), [""; 0]);
        assert_eq!(of(&["python2"], &["NONE"]), ["the command runs `python2`, which is not in the image"]);
        assert_eq!(
            of(&["data"], &[]),
            ["the command runs `data`, which is not in the image"],
            "not executable"
        );
        assert_eq!(of(&["sh"], &["CMD-SHELL", "curl -f http://x || exit 1"]).len(), 1);
        assert_eq!(of(&["sh", "-c", "exec sh"], &["CMD-SHELL", "test -e /x"]), [""; 0]);
        assert_eq!(
            of(&["./run"], &[]),
            ["the command runs /app/run, but its interpreter `/bin/bash` is not in the image"]
        );
        assert_eq!(
            of(&["./envs"], &[]),
            ["the command runs /app/envs, but its interpreter `python3` is not in the image"]
        );
        for wrapped in [&["tini", "--", "/app/x"][..], &["env", "/app/x"], &["tini", "sh", "-c", "/app/x 1"]]
        {
            assert_eq!(
                of(wrapped, &[]),
                ["the command runs `/app/x`, which is not in the image"],
                "{wrapped:?}"
            );
        }
        assert_eq!(of(&["tini", "--", "python", "-c", "x"], &["CMD", "env", "A=1", "sh"]), [""; 0]);
    }

    #[test]
    fn a_compose_service_may_run_other_programs() {
        let entries = vec![file("app/serve", 0o755), file("bin/sh", 0o755), file("opt/tool", 0o755)];
        let layer = LayerFacts { entries, metadata: Vec::new() };
        let tree = Tree::of(&[&layer]);
        let image = ContainerConfig {
            entrypoint: words(&["/app/serve"]),
            cmd: words(&["gone"]),
            healthcheck: Some(Healthcheck { test: words(&["CMD", "gone"]), ..Healthcheck::default() }),
            ..ContainerConfig::default()
        };
        let found = |service: serde_json::Value| {
            let service: ComposeService = serde_json::from_value(service).unwrap();
            let found = missing_in_service(&tree, &[], &image, &service).into_iter();
            found.map(|(_, found)| found.what).collect::<Vec<_>>().join("; ")
        };
        let missing = |key: &str, program: &str| format!("{key} runs `{program}`, which is not in the image");
        for (service, what) in [
            (json!({}), String::new()),
            (json!({"command": ["--port", "1"]}), String::new()),
            (json!({"entrypoint": ["curl"]}), missing("entrypoint", "curl")),
            (json!({"entrypoint": [], "command": ["tool"]}), missing("command", "tool")),
            (json!({"entrypoint": [], "command": ["tool"], "environment": {"PATH": "/opt"}}), String::new()),
            (json!({"entrypoint": [], "command": ["./tool"], "working_dir": "/opt"}), String::new()),
            (json!({"entrypoint": [""], "command": ["tool"]}), missing("command", "tool")),
            (json!({"entrypoint": []}), missing("entrypoint", "gone")),
            (json!({"command": []}), String::new()),
            (json!({"entrypoint": ["/m/x"], "volumes": [{"target": "/m"}]}), String::new()),
            (
                json!({"entrypoint": ["sh", "-c", "exec /m/x"], "configs": [{"source": "c", "target": "/m/x"}]}),
                String::new(),
            ),
            (json!({"entrypoint": ["x"], "volumes": [{"target": "/usr/local/bin/x"}]}), String::new()),
            (json!({"entrypoint": ["x"], "volumes": [{"target": "/data"}]}), missing("entrypoint", "x")),
            (
                json!({"healthcheck": {"test": ["CMD-SHELL", "until /app/serve; do sleep 1; done"]}}),
                String::new(),
            ),
            (json!({"healthcheck": {"test": ["CMD", "curl", "-f", "x"]}}), missing("healthcheck", "curl")),
            (json!({"healthcheck": {"test": ["CMD-SHELL", "nc -z x 1"]}}), missing("healthcheck", "nc")),
            (json!({"healthcheck": {"test": ["CMD", "bash", "-c", "x"]}}), missing("healthcheck", "bash")),
            (json!({"healthcheck": {"test": ["CMD", "/app/serve"]}}), String::new()),
            (json!({"healthcheck": {"disable": true, "test": ["CMD", "curl"]}}), String::new()),
            (json!({"healthcheck": {"interval": "1s"}}), String::new()),
        ] {
            assert_eq!(found(service.clone()), what, "{service}");
        }
    }

    #[test]
    fn a_missing_module_is_reported_unless_an_archive_may_contain_it() {
        let site = "usr/lib/python3/dist-packages";
        let is_missing = |name: &str, zipped: bool| {
            let mut entries = vec![
                file(&format!("{site}/own/health.pyc"), 0o644),
                file(&format!("{site}/own/app/__main__.py"), 0o644),
            ];
            if zipped {
                entries.push(file("usr/lib/python313.zip", 0o644));
            }
            let layer = LayerFacts { entries, metadata: Vec::new() };
            let line: Vec<String> = ["/usr/bin/python3", "-B", "-m", name, "80"].map(str::to_owned).into();
            missing_module(&Tree::of(&[&layer]), &line).is_some()
        };
        assert!(!is_missing("own.health", true) && !is_missing("own.app", true));
        assert!(is_missing("own.gone", true) && is_missing("own", true));
        assert!(!is_missing("http.server", true) && is_missing("http.server", false));
    }
}
