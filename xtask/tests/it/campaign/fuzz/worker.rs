//! A child process with limited memory, and its watchdog.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::formats::{FORMATS, Format};
use super::{corpus, folder};
use crate::campaign::seed;

/// Address space of a child, in KiB. Readers keep up to 64 MB of JSON, plus what is parsed from it.
const MEMORY: &str = "1000000";

/// Time limit for one input, far above any normal one.
const HANG: Duration = Duration::from_secs(20);

/// Polling interval of the watchdog.
const LOOK: Duration = Duration::from_millis(20);

/// Environment variable with a child's format, first input, number of inputs and record file.
const TASK: &str = "XTASK_CAMPAIGN_FUZZ";

/// The Compose reader catches panics in this crate.
const CONTAINED: &str = "libyaml-safer";

/// Runs inputs in a child process. Returns how many were accepted; `Err` describes the first finding.
pub fn watch(format: &Format, inputs: Range<u64>) -> Result<u64, String> {
    let note = folder().join(format!("{}-{}-{}.note", format.name, seed(), inputs.start));
    fs::write(&note, inputs.start.to_le_bytes()).unwrap();
    let log = note.with_extension("log");
    let mut child = start(format, &inputs, &note, &log);
    let ended = wait(&mut child, &note);
    let number = current(&note);
    let text = fs::read_to_string(&log).unwrap_or_default();
    for file in [&note, &log] {
        fs::remove_file(file).unwrap();
    }
    let accepted = text.lines().find_map(|line| line.strip_prefix("accepted ")?.parse().ok());
    match (ended, accepted) {
        (Ok(status), Some(accepted)) if status.success() => Ok(accepted),
        (Ok(status), _) => Err(report(format, number, &format!("{status}\n{}", essence(&text)))),
        (Err(hang), _) => Err(report(format, number, &hang)),
    }
}

fn start(format: &Format, inputs: &Range<u64>, note: &Path, log: &Path) -> Child {
    let log = File::create(log).unwrap();
    let limits = "ulimit -c 0; ulimit -v \"$0\" && exec \"$@\"";
    let test = format!("{}::inputs", module_path!().split_once("::").expect("a module of a crate").1);
    let task = format!("{} {} {} {}", format.name, inputs.start, inputs.end - inputs.start, note.display());
    Command::new("sh")
        .args(["-c", limits, MEMORY])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &test, "--nocapture"])
        .env(TASK, task)
        .env("XTASK_CAMPAIGN_SEED", seed().to_string())
        // Otherwise each thread reserves its own arena of address space.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stderr(log.try_clone().unwrap())
        .stdout(log)
        .spawn()
        .unwrap()
}

/// Waits for a child's end; kills it if one input takes too long.
fn wait(child: &mut Child, note: &Path) -> Result<std::process::ExitStatus, String> {
    let (mut number, mut since) = (current(note), Instant::now());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Ok(status);
        }
        let now = current(note);
        if now != number {
            (number, since) = (now, Instant::now());
        }
        if since.elapsed() > HANG {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(format!("took more than {} s", HANG.as_secs()));
        }
        sleep(LOOK);
    }
}

/// The number of the input that runs.
fn current(note: &Path) -> u64 {
    let bytes = fs::read(note).unwrap();
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Describes a finding: the start of its input, and the path of the whole input.
fn report(format: &Format, number: u64, what: &str) -> String {
    let input = format.input(&corpus::of(format.name), seed(), number);
    let path = folder().join(format!("{}-{}-{number}.input", format.name, seed()));
    fs::write(&path, &input).unwrap();
    let start = input[..input.len().min(400)].escape_ascii();
    let more = if input.len() > 400 { "…" } else { "" };
    format!(
        "{}, seed {}, input {number} ({} bytes, saved as {}): {what}\n{start}{more}",
        format.name,
        seed(),
        input.len(),
        path.display()
    )
}

/// A child's output without the lines of the test harness.
fn essence(text: &str) -> String {
    let is_noise = |line: &&str| line.is_empty() || line.starts_with("running 1 test");
    text.lines().filter(|line| !is_noise(line)).take(10).collect::<Vec<_>>().join("\n")
}

/// The last panic's place and message.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

fn take_panic() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[test]
#[ignore = "started by the campaign"]
fn inputs() {
    let task = std::env::var(TASK).expect("the campaign sets the task");
    let mut words = task.splitn(4, ' ');
    let mut word = || words.next().expect("a task has four words");
    let name = word();
    let format = FORMATS.iter().find(|format| format.name == name).expect("the format exists");
    let [first, count]: [u64; 2] = [(); 2].map(|()| word().parse().unwrap());
    let note = File::options().write(true).open(PathBuf::from(word())).unwrap();
    let files = corpus::of(format.name);
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
    }));
    let mut accepted = 0;
    for number in first..first + count {
        note.write_all_at(&number.to_le_bytes(), 0).unwrap();
        match one(format, &format.input(&files, seed(), number), number) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(finding) => {
                println!("{finding}");
                std::process::exit(1);
            }
        }
    }
    println!("\naccepted {accepted}");
}

/// Runs one input. A panic is a finding even if the reader catches it, except in [`CONTAINED`].
fn one(format: &Format, input: &[u8], number: u64) -> Result<bool, String> {
    let mut rng = fastrand::Rng::with_seed(number);
    let result = catch_unwind(AssertUnwindSafe(|| (format.check)(input, &mut rng)));
    match (take_panic(), result) {
        (Some(panic), Err(_)) => Err(panic),
        (Some(panic), Ok(_)) if !panic.contains(CONTAINED) => Err(panic),
        (_, Ok(result)) => result,
        (None, Err(_)) => Err("unwound without a panic".to_owned()),
    }
}
