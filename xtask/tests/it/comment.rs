//! The script that posts reports, run before an API of the test's own: a report goes to its own pull request, once, as data.

/// Tests that `cargo xtask ci --full` alone runs: GitHub's machines bring Python, a machine that builds need not.
mod full {
    use std::fs;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::process::{Command, Output};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use crate::support::Folder;
    use crate::support::workflows::{Workflow, texts};

    const MARKER: &str = "<!-- report of changed services -->";
    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    /// One request: method and path, whether the token came along, and the body.
    #[derive(Debug, Clone)]
    struct Seen {
        request: String,
        token: bool,
        body: String,
    }

    /// What GitHub answers.
    #[derive(Clone)]
    struct GitHub {
        artifacts: Value,
        archive: Vec<u8>,
        pull: Value,
        comments: Value,
    }

    impl GitHub {
        /// A run for pull request 7 from a fork, with nothing posted so far.
        fn new(archive: Vec<u8>) -> GitHub {
            GitHub {
                artifacts: json!([{"id": 5, "name": "report", "size_in_bytes": archive.len()}]),
                archive,
                pull: json!({"head": {"sha": SHA, "repo": {"full_name": "fork/repo"}}}),
                comments: json!([]),
            }
        }

        fn answer(&self, request: &str) -> (&'static str, Vec<u8>) {
            let json = |value: &Value| ("200 OK", value.to_string().into_bytes());
            match request {
                "GET /repos/o/r/actions/runs/3/artifacts?name=report" => {
                    json(&json!({"artifacts": self.artifacts}))
                }
                // As GitHub does: the archive is on another host.
                "GET /repos/o/r/actions/artifacts/5/zip" => ("302 Found\r\nLocation: /elsewhere", Vec::new()),
                "GET /elsewhere" => ("200 OK", self.archive.clone()),
                "GET /repos/o/r/pulls/7" => json(&self.pull),
                "GET /repos/o/r/issues/7/comments?per_page=100&page=1" => json(&self.comments),
                "POST /repos/o/r/issues/7/comments" | "PATCH /repos/o/r/issues/comments/13" => {
                    json(&json!({}))
                }
                _ => ("404 Not Found", b"{}".to_vec()),
            }
        }

        fn serve(self) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
            let heard = Arc::clone(&seen);
            // It ends with the test's process.
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    self.converse(stream, &heard);
                }
            });
            (address, seen)
        }

        fn converse(&self, mut stream: TcpStream, heard: &Mutex<Vec<Seen>>) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_lowercase());
                if lines.len() == 1 {
                    lines[0] = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
                }
            }
            let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let token = lines.iter().any(|line| line == "authorization: bearer secret-token");
            let (status, content) = self.answer(&lines[0]);
            let body = String::from_utf8(body).unwrap();
            heard.lock().unwrap().push(Seen { request: lines[0].clone(), token, body });
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                content.len()
            )
            .unwrap();
            // A client that has read enough hangs up.
            stream.write_all(&content).ok();
        }
    }

    /// An archive of these files, made by Python itself.
    fn archive(files: &Value) -> Vec<u8> {
        let folder = Folder::new();
        let script = "import json, zipfile\n\
                      with zipfile.ZipFile('report.zip', 'w', zipfile.ZIP_DEFLATED) as archive:\n\
                      \x20   for name, text in json.load(open('files')).items(): archive.writestr(name, text)\n";
        folder.write("files", &files.to_string());
        let output = Command::new("python3").args(["-c", script]).current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(folder.0.join("report.zip")).unwrap()
    }

    fn report(number: &str, text: &str) -> Vec<u8> {
        archive(&json!({"number": number, "report.md": text}))
    }

    /// Runs the script; what it said and what the API was asked.
    fn run(github: GitHub) -> (Output, Vec<Seen>) {
        let text = texts().into_iter().find(|(name, _)| name == "comment.yml").unwrap().1;
        let steps = Workflow::parse(&text).steps();
        let [step] = steps.as_slice() else { panic!("the comment has one step") };
        assert_eq!(step.shell.as_deref(), Some("python"));
        let folder = Folder::new();
        folder.write("comment.py", step.run.as_deref().unwrap());
        let (address, seen) = github.serve();
        let output = Command::new("python3")
            .arg(folder.0.join("comment.py"))
            .current_dir(&folder.0)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs([
                ("GITHUB_API_URL", format!("http://{address}").as_str()),
                ("TOKEN", "secret-token"),
                ("REPOSITORY", "o/r"),
                ("RUN_ID", "3"),
                ("RUN_URL", "https://example.com/run/3"),
                ("HEAD_SHA", SHA),
                ("HEAD_REPOSITORY", "fork/repo"),
            ])
            .output()
            .unwrap();
        // Nothing of the archive became a file.
        assert_eq!(folder.0.read_dir().unwrap().count(), 1);
        let seen = seen.lock().unwrap().clone();
        (output, seen)
    }

    fn written(seen: &[Seen]) -> Vec<(&str, String)> {
        let writes = seen.iter().filter(|seen| !seen.request.starts_with("GET "));
        let body = |seen: &Seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            body["body"].as_str().unwrap().to_owned()
        };
        writes.map(|seen| (seen.request.as_str(), body(seen))).collect()
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn a_report_is_posted_once_and_rewritten_ever_after() {
        let first = GitHub::new(report("7\n", "### 3 images\n| a | `$(id)` |\n@everyone"));
        let (output, seen) = run(first.clone());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let [(request, body)] = &written(&seen)[..] else { panic!("{seen:?}") };
        assert_eq!(*request, "POST /repos/o/r/issues/7/comments");
        assert!(body.starts_with(MARKER) && body.contains("| a | `$(id)` |"), "{body}");
        assert!(!body.contains("@everyone"), "someone is called: {body}");
        // The token goes to the API, and not to where the archive is.
        assert!(seen.iter().all(|seen| seen.token == (seen.request != "GET /elsewhere")), "{seen:?}");

        let comment =
            |id: u32, login: &str, body: &str| json!({"id": id, "user": {"login": login}, "body": body});
        let comments = json!([
            comment(11, "a-person", &format!("{MARKER}\nmine")),
            comment(12, "github-actions[bot]", "of another workflow"),
            comment(13, "github-actions[bot]", &format!("{MARKER}\nold")),
        ]);
        let (output, seen) = run(GitHub { comments, ..first });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            written(&seen).iter().map(|(request, _)| *request).collect::<Vec<_>>(),
            ["PATCH /repos/o/r/issues/comments/13"]
        );
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn what_is_not_the_report_of_its_own_pull_request_is_posted_nowhere() {
        let good = GitHub::new(report("7", "x"));
        let numbers =
            ["8", "07", "0", "-7", "7; id", "../pulls/7", "７", "7\n8", "77777777777777777777777777", ""];
        let mut cases: Vec<GitHub> =
            numbers.into_iter().map(|number| GitHub::new(report(number, "x"))).collect();
        let head = |sha: &str, repo: Value| json!({"head": {"sha": sha, "repo": repo}});
        cases.extend([
            GitHub { pull: head(&SHA.replace('0', "1"), json!({"full_name": "fork/repo"})), ..good.clone() },
            GitHub { pull: head(SHA, json!({"full_name": "other/repo"})), ..good.clone() },
            GitHub { pull: head(SHA, Value::Null), ..good.clone() },
            GitHub { artifacts: json!([]), ..good.clone() },
            GitHub {
                artifacts: json!([{"id": 5, "name": "report", "size_in_bytes": 1_000_001}]),
                ..good.clone()
            },
            GitHub { archive: b"no archive".to_vec(), ..good.clone() },
            GitHub { archive: archive(&json!({"number": "7"})), ..good.clone() },
            GitHub { archive: archive(&json!({"../number": "7", "/report.md": "x"})), ..good.clone() },
        ]);
        for (index, case) in cases.into_iter().enumerate() {
            let (output, seen) = run(case);
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("Nothing is posted"), "case {index}: {said}");
            assert_eq!(written(&seen), [], "case {index}");
        }
        assert_eq!(written(&run(good).1).len(), 1, "the one that is right");
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn a_report_that_unpacks_to_more_than_a_comment_holds_is_cut() {
        let (output, seen) = run(GitHub::new(report("7", &"ä".repeat(5_000_000))));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let body = &written(&seen)[0].1;
        assert!(body.chars().count() < 65_536 && body.ends_with('ä'), "{}", body.len());
    }
}
