//! Docker Compose for a site. A `docker` on PATH forwards every call to the test, which runs the Compose plugin directly and
//! caches its output by files, arguments and environment. This does not change the output and saves most of the time.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Folder, docker};

/// Folders of the fixture that Compose does not read.
pub const FIXTURE: [&str; 4] = ["alpha", "beta", "target", "xtask"];

/// Placeholder for the site's path in cached output.
const SITE: &str = "\u{1}site\u{1}";

/// Variables that cannot change Compose's model.
const IGNORED: [&str; 6] = ["PATH", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "_"];

/// What one call printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A call to Compose.
struct Call {
    /// Arguments after `docker compose`.
    args: Vec<String>,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    stdin: Option<Vec<u8>>,
}

/// Compose for one site.
pub struct Composer {
    shim: Folder,
    memory: Arc<Memory>,
}

struct Memory {
    plugin: PathBuf,
    /// A folder with the stdin of each call, in a file named after its process ID.
    shim: PathBuf,
    site: String,
    answers: Mutex<HashMap<u64, Answer>>,
}

impl Composer {
    pub fn new(site: &Path) -> Composer {
        let template = "{{range .ClientInfo.Plugins}}{{if eq .Name \"compose\"}}{{.Path}}{{end}}{{end}}";
        let plugin = PathBuf::from(docker(&["info", "--format", template]));
        let site = site.display().to_string();
        let shim = Folder::new();
        let memory = Arc::new(Memory { plugin, shim: shim.0.clone(), site, answers: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // The server cannot open a caller's stdin, which may be a socket.
        let script = format!(
            "#!/bin/bash\ncase \"$* \" in *\" - \"*) cat > {0}/$$ ;; esac\n\
             exec 3<>/dev/tcp/127.0.0.1/{1} 4>&1\necho $$ >&3\nread -r code <&3\nexit \"$code\"\n",
            shim.0.display(),
            listener.local_addr().unwrap().port()
        );
        shim.write("docker", &script);
        fs::set_permissions(shim.0.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        let served = Arc::clone(&memory);
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let memory = Arc::clone(&served);
                thread::spawn(move || memory.serve(&caller));
            }
        });
        Composer { shim, memory }
    }

    /// A PATH on which `docker` is this Compose.
    pub fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.shim.0.display())
    }

    /// Compose's model of these files, or of the default ones.
    pub fn config(&self, folder: &Path, files: &[PathBuf], environment: &BTreeMap<String, String>) -> Answer {
        let mut args = vec!["--profile".to_owned(), "*".to_owned()];
        for file in files {
            args.extend(["--file".to_owned(), file.display().to_string()]);
        }
        args.extend(["config", "--format", "json"].map(str::to_owned));
        let mut environment = environment.clone();
        environment.insert("LC_ALL".to_owned(), "C.UTF-8".to_owned());
        self.memory.answer(Call { args, folder: folder.to_owned(), environment, stdin: None })
    }

    /// Clears the cache.
    pub fn forget(&self) {
        self.memory.answers.lock().unwrap().clear();
    }
}

impl Memory {
    /// Handles a process that called `docker`.
    fn serve(&self, caller: &TcpStream) {
        let mut line = String::new();
        BufReader::new(caller).read_line(&mut line).ok();
        let Ok(process) = line.trim().parse::<u32>() else { return };
        let code = self.serve_process(Path::new(&format!("/proc/{process}"))).unwrap_or_else(|error| {
            eprintln!("the docker call of process {process} failed: {error}");
            125
        });
        let mut caller = caller;
        // The caller may have been killed.
        caller.write_all(format!("{code}\n").as_bytes()).ok();
    }

    fn serve_process(&self, process: &Path) -> io::Result<i32> {
        let list = |name: &str| -> io::Result<Vec<String>> {
            let text = fs::read(process.join(name))?;
            let items = text.split(|byte| *byte == 0).filter(|item| !item.is_empty());
            Ok(items.map(|item| String::from_utf8_lossy(item).into_owned()).collect())
        };
        // The first two arguments are the shell and its script.
        let args = list("cmdline")?.split_off(2);
        let variables = list("environ")?.into_iter();
        let pairs = variables.filter_map(|pair| {
            Some(pair.split_once('=')?).map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        let answer = if args.first().is_some_and(|first| first == "compose") {
            let folder = fs::read_link(process.join("cwd"))?;
            let environment = pairs.collect();
            let has_stdin = args.iter().any(|arg| arg == "-");
            let stdin = self.shim.join(process.file_name().unwrap_or_default());
            let stdin = has_stdin.then(|| fs::read(stdin)).transpose()?;
            self.answer(Call { args: args[1..].to_vec(), folder, environment, stdin })
        } else {
            let stderr = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. \
                          Is the docker daemon running?\n";
            Answer { code: 1, stdout: String::new(), stderr: stderr.to_owned() }
        };
        // The script reports its ID over stdout, which is the connection; the caller's stdout is on 4.
        for (stream, text) in [("fd/4", &answer.stdout), ("fd/2", &answer.stderr)] {
            File::options().write(true).open(process.join(stream))?.write_all(text.as_bytes())?;
        }
        Ok(answer.code)
    }

    fn answer(&self, call: Call) -> Answer {
        let prefix = self.prefix(&call);
        let here = format!("{prefix}{}", self.site);
        let Some(key) = self.key(&call, &prefix) else { return self.ask(call) };
        // Holds the lock while Compose runs: the switch often makes the same call twice at once.
        let mut answers = self.answers.lock().unwrap();
        if let Some(known) = answers.get(&key).cloned() {
            let local = |text: &str| text.replace(SITE, &here);
            return Answer { stdout: local(&known.stdout), stderr: local(&known.stderr), ..known };
        }
        let answer = self.ask(call);
        let common = |text: &str| text.replace(&here, SITE);
        let known =
            Answer { stdout: common(&answer.stdout), stderr: common(&answer.stderr), code: answer.code };
        // Output with other paths is valid for this copy only.
        let is_local = [&known.stdout, &known.stderr]
            .iter()
            .any(|text| !prefix.is_empty() && text.contains(&prefix) || text.contains(&self.site));
        if !is_local {
            answers.insert(key, known);
        }
        answer
    }

    fn ask(&self, call: Call) -> Answer {
        let mut running = Command::new(&self.plugin)
            .args(call.args)
            .current_dir(call.folder)
            .env_clear()
            .envs(call.environment)
            // Compose exits before garbage collection pays off.
            .env("GOGC", "off")
            // Compose asks the engine first, and goes on without it.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Compose may not read it to its end.
        running.stdin.take().unwrap().write_all(&call.stdin.unwrap_or_default()).ok();
        let output = running.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            code: output.status.code().unwrap_or(137),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The prefix of the site's path in this call: that of a copy, or none.
    fn prefix(&self, call: &Call) -> String {
        let folder = call.folder.display().to_string();
        let mut paths = call.args.iter().chain([&folder]);
        let found = paths.find_map(|path| Some(path[..path.find(&self.site)?].to_owned()));
        found.unwrap_or_default()
    }

    /// The cache key; `None` if the output cannot be cached.
    fn key(&self, call: &Call, prefix: &str) -> Option<u64> {
        let here = format!("{prefix}{}", self.site);
        let mut state = DefaultHasher::new();
        for arg in &call.args {
            arg.replace(&here, SITE).hash(&mut state);
        }
        call.folder.display().to_string().replace(&here, SITE).hash(&mut state);
        let environment: Vec<_> =
            call.environment.iter().filter(|(name, _)| !IGNORED.contains(&name.as_str())).collect();
        (environment, &call.stdin).hash(&mut state);
        self.hash_folder(Path::new(&here), &mut state).ok()?.then(|| state.finish())
    }

    /// Hashes file names and contents below a folder; `false` if one contains the site's path and so leads out of a copy.
    fn hash_folder(&self, folder: &Path, state: &mut DefaultHasher) -> io::Result<bool> {
        let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            if FIXTURE.iter().any(|fixture| name == *fixture) {
                continue;
            }
            name.hash(state);
            // Follows links, as Compose does.
            if path.is_dir() {
                if !self.hash_folder(&path, state)? {
                    return Ok(false);
                }
            } else {
                let text = fs::read(&path)?;
                text.hash(state);
                if String::from_utf8_lossy(&text).contains(&self.site) {
                    return Ok(false);
                }
            }
            "end".hash(state);
        }
        Ok(true)
    }
}
