//! Downloads with curl, which uses this machine's proxies, private CAs and `.netrc` as every other program does. Whole
//! databases are kept, so that they can be used when their source does not answer.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use engine::context::Context;
use host::files;
use host::process::Cmd;

/// How long a download is used without asking for a newer one.
const FRESH: Duration = Duration::from_hours(24);

/// Longest time for one download.
const SECONDS: &str = "300";

/// An earlier download.
pub(crate) struct Kept {
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// When it was downloaded.
    pub(crate) at: SystemTime,
}

/// What one URL answered.
pub(crate) enum Answer {
    /// Status 2xx.
    Found(Vec<u8>),
    /// Another status.
    Status(String),
    /// No answer.
    Failed(String),
}

/// Downloads into a folder.
pub(crate) struct Fetcher<'a> {
    pub(crate) context: &'a Context,
    pub(crate) folder: PathBuf,
    pub(crate) now: SystemTime,
}

impl Fetcher<'_> {
    /// An earlier download of a URL.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn kept(&self, url: &str) -> Result<Option<Kept>> {
        let path = self.path(url);
        let Some(bytes) = files::read_bytes_if_there(&path)? else { return Ok(None) };
        let at = std::fs::metadata(&path).and_then(|file| file.modified()).unwrap_or(self.now);
        Ok(Some(Kept { bytes, at }))
    }

    /// Whether a download is recent enough to be used without asking for a newer one.
    pub(crate) fn is_fresh(&self, at: SystemTime) -> bool {
        self.now.duration_since(at).is_ok_and(|age| age < FRESH)
    }

    /// Keeps a download.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(&self, url: &str, bytes: &[u8]) -> Result<()> {
        files::write_atomically(&self.path(url), bytes)
    }

    fn path(&self, url: &str) -> PathBuf {
        self.folder.join(url.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"))
    }

    /// Downloads one URL.
    ///
    /// # Errors
    /// As for [`Fetcher::all`].
    pub(crate) fn get(&self, url: &str) -> Result<Answer> {
        self.context.terminal.say(format!("Downloading {url} …"));
        let answers = self.all(&[url.to_owned()])?;
        Ok(answers.into_iter().next().unwrap_or(Answer::Failed("no answer".to_owned())))
    }

    /// Downloads all of some URLs, several at once.
    ///
    /// # Errors
    /// When the folder cannot be written, or the user interrupts.
    pub(crate) fn all(&self, urls: &[String]) -> Result<Vec<Answer>> {
        self.request(self.curl(), urls)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As for [`Fetcher::all`].
    pub(crate) fn post(&self, url: &str, json: &str) -> Result<Answer> {
        let body = ["--header", "content-type: application/json", "--data-binary", "@-"];
        let answers = self.request(self.curl().args(body).stdin(json), &[url.to_owned()])?;
        Ok(answers.into_iter().next().unwrap_or(Answer::Failed("no answer".to_owned())))
    }

    fn curl(&self) -> Cmd {
        // One line per URL: its index, the status, the error.
        let line = "%{urlnum} %{http_code} %{errormsg}\n";
        self.context.docker.runner.cmd("curl").long().args([
            "--silent",
            "--location",
            "--compressed",
            "--netrc-optional",
            "--parallel",
            "--parallel-max",
            "8",
            "--connect-timeout",
            "20",
            "--max-time",
            SECONDS,
            "--write-out",
            line,
        ])
    }

    fn request(&self, curl: Cmd, urls: &[String]) -> Result<Vec<Answer>> {
        let folder = self.folder.join(format!("partial-{}", std::process::id()));
        files::remove_dir(&folder)?;
        files::create_dir(&folder)?;
        let file = |index: usize| folder.join(index.to_string());
        let pairs = urls.iter().enumerate();
        let curl = curl.args(pairs.flat_map(|(index, url)| {
            ["--output".to_owned(), file(index).display().to_string(), "--url".to_owned(), url.clone()]
        }));
        let output = match curl.capture() {
            Ok(output) => output,
            Err(_) => {
                let why = "curl is not installed".to_owned();
                return Ok(urls.iter().map(|_| Answer::Failed(why.clone())).collect());
            }
        };
        self.context.docker.runner.interrupt.check()?;
        let answers = (0..urls.len()).map(|index| match status(&output.stdout, index) {
            Some((code, _)) if code.starts_with('2') => match files::read_bytes_if_there(&file(index))? {
                Some(bytes) => Ok(Answer::Found(bytes)),
                None => Ok(Answer::Found(Vec::new())),
            },
            Some(("000", error)) => Ok(Answer::Failed(lower(error))),
            Some((code, _)) => Ok(Answer::Status(format!("HTTP status {code}"))),
            None => Ok(Answer::Failed(lower(output.stderr.trim()))),
        });
        let answers = answers.collect();
        files::remove_dir(&folder)?;
        answers
    }
}

/// The status and the error of a URL in what curl wrote.
fn status(lines: &str, index: usize) -> Option<(&str, &str)> {
    lines.lines().find_map(|line| {
        let rest = line.strip_prefix(&index.to_string())?.strip_prefix(' ')?;
        Some(rest.split_once(' ').unwrap_or((rest, "")))
    })
}

/// An error of curl in the middle of a sentence.
fn lower(error: &str) -> String {
    let mut chars = error.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "no answer".to_owned(),
    }
}

/// Whole days since a time.
pub(crate) fn days_since(at: SystemTime, now: SystemTime) -> u64 {
    now.duration_since(at).unwrap_or_default().as_secs() / (24 * 3600)
}
