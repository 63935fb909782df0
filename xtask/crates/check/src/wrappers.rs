//! Programs that run another program: init processes, `env`, shells. That program must exist as well.

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];

/// Shell keywords and built-ins that do not name the program to run.
const SHELL_BUILTINS: [&str; 34] = [
    "[", "[[", ":", ".", "case", "cd", "command", "echo", "eval", "exit", "export", "false", "for", "if",
    "kill", "local", "printf", "pwd", "read", "set", "shift", "source", "test", "time", "trap", "true",
    "type", "ulimit", "umask", "unset", "until", "wait", "while", "!",
];

/// A wrapper: its options that take a value, and the number of arguments before the command.
struct Wrapper {
    names: &'static [&'static str],
    with_value: &'static [&'static str],
    arguments: usize,
}

const WRAPPERS: [Wrapper; 7] = [
    Wrapper { names: &["tini", "tini-static", "docker-init"], with_value: &["-p", "-e"], arguments: 0 },
    Wrapper { names: &["dumb-init"], with_value: &["-r", "--rewrite"], arguments: 0 },
    Wrapper { names: &["catatonit", "nohup", "setsid"], with_value: &[], arguments: 0 },
    Wrapper {
        names: &["env"],
        with_value: &["-u", "--unset", "-C", "--chdir", "-a", "--argv0"],
        arguments: 0,
    },
    Wrapper { names: &["gosu", "su-exec", "s6-setuidgid", "setuidgid"], with_value: &[], arguments: 1 },
    Wrapper { names: &["nice", "ionice"], with_value: &["-n", "--adjustment", "-c"], arguments: 0 },
    Wrapper { names: &["timeout"], with_value: &["-k", "--kill-after", "-s", "--signal"], arguments: 1 },
];

/// The command behind a wrapper or a shell; `None` if the first word is an ordinary program, or the shell's line starts with a
/// built-in or an expansion.
pub fn inner(words: &[String]) -> Option<Vec<String>> {
    let name = words.first()?.rsplit('/').next()?;
    if SHELLS.contains(&name) {
        let line = words.iter().position(|word| word == "-c" || word == "-ec" || word == "-exc")? + 1;
        return of_line(words.get(line)?);
    }
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name))?;
    let mut rest = &words[1..];
    let mut arguments = wrapper.arguments;
    while let Some(word) = rest.first() {
        let is_assignment = name == "env" && word.contains('=') && !word.starts_with('-');
        match word.as_str() {
            "--" => {
                rest = &rest[1..];
                break;
            }
            // One word holds the whole command (env(1), "-S/--split-string").
            "-S" | "--split-string" if name == "env" => return split(&rest[1..]),
            option if wrapper.with_value.contains(&option) => rest = rest.get(2..).unwrap_or_default(),
            option if option.starts_with('-') && option.len() > 1 => rest = &rest[1..],
            _ if is_assignment => rest = &rest[1..],
            _ if arguments > 0 => {
                arguments -= 1;
                rest = &rest[1..];
            }
            _ => break,
        }
    }
    (!rest.is_empty()).then(|| rest.to_vec())
}

fn split(words: &[String]) -> Option<Vec<String>> {
    let words: Vec<String> =
        words.iter().flat_map(|word| word.split_whitespace()).map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// The first command of a shell's line, without `exec` and assignments.
fn of_line(line: &str) -> Option<Vec<String>> {
    let is_plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-".contains(c));
    let is_assignment = |word: &str| word.split_once('=').is_some_and(|(name, _)| is_plain(name));
    let words = line.split_whitespace().skip_while(|word| *word == "exec" || is_assignment(word));
    let words: Vec<String> = words.take_while(|word| is_plain(word)).map(str::to_owned).collect();
    let first = words.first()?;
    (!SHELL_BUILTINS.contains(&first.as_str())).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_behind_a_wrapper_is_found() {
        for (line, expected) in [
            ("/usr/bin/tini -g -- /app/x 1", Some("/app/x 1")),
            ("tini -p SIGTERM /app/x", Some("/app/x")),
            ("dumb-init --rewrite 15:3 -- python3 -m a", Some("python3 -m a")),
            ("/usr/bin/env python3 -u", Some("python3 -u")),
            ("env -i -u HOME A=1 B= prog", Some("prog")),
            ("env -S python3 -u", Some("python3 -u")),
            ("gosu app:app redis-server", Some("redis-server")),
            ("timeout -k 1 5 curl x", Some("curl x")),
            ("nice -n 5 prog", Some("prog")),
            ("/app/x --", None),
            ("tini", None),
            ("tini --version", None),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(inner(&words).map(|words| words.join(" ")).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn the_first_program_of_a_shells_line_is_found() {
        for (line, expected) in [
            ("curl -f http://x || exit 1", Some("curl -f")),
            ("exec A=1 prog $X", Some("prog")),
            ("A=b ./run", Some("./run")),
            ("test -e /x", None),
            ("$PROGRAM x", None),
            ("(curl x)", None),
            ("", None),
        ] {
            for shell in ["/bin/sh", "bash"] {
                let words = [shell, "-c", line].map(str::to_owned);
                assert_eq!(inner(&words).map(|words| words.join(" ")).as_deref(), expected, "{line}");
            }
        }
    }
}
