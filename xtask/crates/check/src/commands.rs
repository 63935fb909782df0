//! The programs that an image itself says will be run: its command and its health check.

use crate::pruned::Lack;
use contents::facts::{Kind, Note, Says};
use contents::tree::Tree;
use engine::inspect::ContainerConfig;

/// Where Docker looks for a program when the image says nothing of it.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a shell does by itself, or what says nothing of the program that follows.
const SHELLS_OWN: [&str; 20] = [
    "[", "[[", ":", "cd", "echo", "eval", "exec", "exit", "export", "false", "if", "printf", "read", "set",
    "test", "trap", "true", "umask", "unset", "while",
];

/// Those of them that are not there.
pub fn lacks(tree: &Tree<'_>, notes: &[&Note], config: &ContainerConfig) -> Vec<Lack> {
    let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let starts = [words(&config.entrypoint), words(&config.cmd)].into_iter().find(|words| !words.is_empty());
    let mut wanted = vec![("the command", starts.unwrap_or_default())];
    if let Some(test) = config.healthcheck.as_ref().and_then(|check| check.test.as_ref()) {
        let rest = || test.iter().skip(1).cloned();
        match test.first().map(String::as_str) {
            Some("CMD") => wanted.push(("HEALTHCHECK", rest().collect())),
            Some("CMD-SHELL") => {
                let shell = config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
                wanted.push(("HEALTHCHECK", shell.into_iter().chain(rest()).collect()));
            }
            _ => {}
        }
    }
    wanted.iter().flat_map(|(what, words)| command(tree, notes, config, what, words)).collect()
}

fn command(
    tree: &Tree<'_>,
    notes: &[&Note],
    config: &ContainerConfig,
    what: &str,
    words: &[String],
) -> Vec<Lack> {
    let remedy = "copy the program in, or name one that is there";
    let Some(program) = words.first() else { return Vec::new() };
    let Some(path) = find(tree, config, program) else {
        return vec![Lack::new(None, format!("{what} runs `{program}`, which is not in the image"), remedy)];
    };
    let script = notes.iter().find_map(|note| match &note.says {
        Says::Script(interpreter) if note.path == path => Some(interpreter),
        _ => None,
    });
    if let Some(interpreter) = script.filter(|interpreter| find(tree, config, interpreter).is_none()) {
        let what = format!("{what} runs /{path}, a script for `{interpreter}`, which is not in the image");
        return vec![Lack::new(Some(&path), what, remedy)];
    }
    if let Some(name) = module(tree, words) {
        let what = format!("{what} runs Python's module `{name}`, which is not in the image");
        return vec![Lack::new(None, what, "copy the module in, or name one that is there")];
    }
    // `sh -c "curl …"`: what the shell is to run.
    let is_shell = program.ends_with("sh") && words.get(1).is_some_and(|word| word == "-c");
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c));
    let inner =
        words.get(2).filter(|_| is_shell).and_then(|line| line.split_whitespace().next()).filter(plain);
    match inner.filter(|word| !SHELLS_OWN.contains(word)) {
        Some(inner) if find(tree, config, inner).is_none() => {
            vec![Lack::new(None, format!("{what} runs `{inner}`, which is not in the image"), remedy)]
        }
        _ => Vec::new(),
    }
}

/// The executable file that a word leads to, as execvp(3) looks for it.
fn find(tree: &Tree<'_>, config: &ContainerConfig, program: &str) -> Option<String> {
    let file = |path: &str| {
        let real = tree.real(&format!("{path}/."));
        let entry = tree.entry(tree.file_at(&real)?);
        (matches!(entry.kind, Kind::File { .. }) && entry.mode & 0o111 != 0).then_some(real)
    };
    if program.starts_with('/') {
        return file(program);
    }
    if program.contains('/') {
        return file(&format!("{}/{program}", config.working_dir));
    }
    let path = config.env.iter().flatten().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(USUAL_PATH);
    path.split(':').find_map(|folder| file(&format!("{folder}/{program}")))
}

/// Python's module in `python -m NAME …`, where it can be told that it is not there: of a package that stands in the image, or
/// of any where no archive may hold it.
fn module<'w>(tree: &Tree<'_>, words: &'w [String]) -> Option<&'w str> {
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
    use contents::facts::{Entry, LayerFacts};
    use engine::inspect::Healthcheck;

    fn file(path: &str, mode: u32) -> Entry {
        Entry { path: path.into(), mode, kind: Kind::File { bytes: 1, hash: None, elf: None } }
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry { path: path.into(), mode: 0o777, kind: Kind::Symlink(target.into()) }
    }

    fn whats(lacks: Vec<Lack>) -> Vec<String> {
        lacks.into_iter().map(|lack| lack.what).collect()
    }

    fn words(text: &[&str]) -> Option<Vec<String>> {
        Some(text.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn commands_are_found_as_a_container_finds_them() {
        let script = Note { path: "app/run".into(), says: Says::Script("/bin/bash".into()) };
        let layer = LayerFacts {
            entries: vec![
                link("bin", "usr/bin"),
                file("usr/bin/python3.13", 0o755),
                link("usr/bin/python", "python3.13"),
                file("usr/bin/sh", 0o755),
                file("usr/bin/data", 0o644),
                file("app/run", 0o755),
            ],
            notes: Vec::new(),
        };
        let tree = Tree::of(&[&layer]);
        let of = |cmd: &[&str], test: &[&str]| {
            let config = ContainerConfig {
                cmd: words(cmd),
                working_dir: "/app".into(),
                healthcheck: Some(Healthcheck { test: words(test), ..Default::default() }),
                ..ContainerConfig::default()
            };
            whats(lacks(&tree, &[&script], &config))
        };
        assert_eq!(of(&["python", "-c", "x"], &["CMD", "/bin/python3.13"]), [""; 0]);
        assert_eq!(of(&["python2"], &["NONE"]), ["the command runs `python2`, which is not in the image"]);
        assert_eq!(
            of(&["data"], &[]),
            ["the command runs `data`, which is not in the image"],
            "not executable"
        );
        assert_eq!(of(&["sh"], &["CMD-SHELL", "curl -f http://x || exit 1"]).len(), 1);
        assert_eq!(of(&["sh", "-c", "exec x"], &["CMD-SHELL", "test -e /x"]), [""; 0]);
        assert_eq!(
            of(&["./run"], &[]),
            ["the command runs /app/run, a script for `/bin/bash`, which is not in the image"]
        );
    }

    #[test]
    fn a_module_that_is_gone_is_missed_where_nothing_else_may_hold_it() {
        let site = "usr/lib/python3/dist-packages";
        let missed = |name: &str, zipped: bool| {
            let mut entries = vec![
                file(&format!("{site}/own/health.pyc"), 0o644),
                file(&format!("{site}/own/app/__main__.py"), 0o644),
            ];
            if zipped {
                entries.push(file("usr/lib/python313.zip", 0o644));
            }
            let layer = LayerFacts { entries, notes: Vec::new() };
            let line: Vec<String> = ["/usr/bin/python3", "-B", "-m", name, "80"].map(str::to_owned).into();
            module(&Tree::of(&[&layer]), &line).is_some()
        };
        assert!(!missed("own.health", true) && !missed("own.app", true));
        assert!(missed("own.gone", true) && missed("own", true));
        assert!(!missed("http.server", true) && missed("http.server", false));
    }
}
