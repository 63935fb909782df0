//! A real registry, Debian's `docker-registry`, in a container of the test's own; and a proxy before it that can fail.

use std::collections::BTreeMap;
use std::io::{Read, Write, copy, sink};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::probe::{Body, HttpRequest, Method};
use serde_json::{Value, json};
use stack::http::Client;

use super::{Site, docker};

/// Whom a registry that asks knows. The image holds the bcrypt hash of this password.
pub const NAME: &str = "pusher";
/// See [`NAME`].
pub const PASSWORD: &str = "open-sesame-4711";
const HASH: &str = "$2y$05$AWGMqHfB2XD1tzXQuguFlOm1FWmyYbmh8dP9aRORMZimaNW678gEC";

pub struct Registry {
    pub id: String,
    /// Removed with the registry.
    _site: Site,
}

impl Registry {
    /// One that everyone may push to.
    pub fn start(test: &str) -> Registry {
        Registry::run(test, &[])
    }

    /// One that asks for name and password.
    pub fn that_asks(test: &str) -> Registry {
        let ask = ["--env=REGISTRY_AUTH_HTPASSWD_REALM=test", "--env=REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd"];
        Registry::run(test, &ask)
    }

    /// A registry that still knows its uploads after a restart: it signs their state with this secret instead of a random one.
    pub fn that_remembers(test: &str) -> Registry {
        Registry::run(test, &[&format!("--env=REGISTRY_HTTP_SECRET={test}")])
    }

    /// A registry with this much storage.
    pub fn with_room(test: &str, bytes: u32) -> Registry {
        Registry::run(test, &[&format!("--tmpfs=/registry:size={bytes}")])
    }

    /// Built as any image of a site is: the network of the engine is what the builds have.
    fn run(test: &str, options: &[&str]) -> Registry {
        let site = Site::new(&format!("{test}-registry"));
        site.folder.write(
            "beta/Dockerfile.optimized",
            &format!(
                "FROM debian:trixie-slim\nRUN apt-get update && apt-get install -y --no-install-recommends docker-registry && \
                 rm -rf /var/lib/apt/lists/*\nRUN printf 'version: 0.1\\nstorage: {{filesystem: {{rootdirectory: /registry}}}}\\n\
                 http: {{addr: \":5000\"}}\\n' > /config.yml && printf '%s:%s\\n' {NAME} '{HASH}' > /htpasswd\n\
                 CMD [\"docker-registry\", \"serve\", \"/config.yml\"]\n"
            ),
        );
        let built = site.run(&["build-images", "beta"]);
        assert_eq!(built.status.code(), Some(0), "{}", site.told(&built));
        let image = format!("{}-beta:latest-simple-optimized", site.prefix);
        let mut args = vec!["run", "--detach", "--publish=127.0.0.1::5000"];
        args.extend(options);
        args.push(&image);
        let registry = Registry { id: docker(&args), _site: site };
        registry.wait();
        registry
    }

    /// Where it listens; another port after each start.
    pub fn address(&self) -> String {
        docker(&["port", &self.id, "5000/tcp"]).lines().next().unwrap().to_owned()
    }

    /// What it answers on its own interface (OCI Distribution Specification, "API"), to a client that knows image manifests.
    pub fn says(&self, path: &str) -> Value {
        let manifests = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
        let headers = BTreeMap::from([("Accept".to_owned(), manifests.to_owned())]);
        let request = HttpRequest { method: Method::Get, path: path.to_owned(), headers, body: Body::Empty };
        let answer = Client::new().send(&self.address(), &request, Duration::from_secs(30)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.shown());
        answer.json().unwrap()
    }

    /// Docker's own forwarding accepts connections before the registry does.
    fn wait(&self) {
        let address = self.address();
        let up = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            answers(&address)
        });
        assert!(up, "no registry: {}", docker(&["logs", &self.id]));
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        docker(&["kill", &self.id]);
    }

    /// Starts it again, with what it had.
    pub fn restart(&self) {
        docker(&["start", &self.id]);
        self.wait();
    }
}

/// Whether a registry answers at this address.
pub fn answers(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = write!(stream, "GET /v2/ HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.")
}

impl Drop for Registry {
    fn drop(&mut self) {
        Command::new("docker").args(["rm", "--force", "--volumes", &self.id]).output().ok();
    }
}

/// What the proxy does with a request.
pub enum Answer {
    /// Hands it on.
    Forward,
    /// Says this instead: status and reason.
    Status(&'static str),
    /// Answers with an nginx error page: status and reason.
    Page(&'static str),
    /// Answers with an error (OCI Distribution Specification): status and reason, code, message.
    Error(&'static str, &'static str, &'static str),
    /// Answers with these head lines and a JSON body.
    Json(String, Value),
    /// Breaks the connection off.
    Cut,
    /// Hands it on, and breaks the connection off when the registry has answered.
    Lose,
}

/// Stands before a registry: one request a connection, each first shown to a rule.
pub struct Proxy {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    received: Arc<AtomicU64>,
}

impl Proxy {
    /// The rule gets the request line and the headers.
    pub fn start(
        registry: &Arc<Registry>,
        rule: impl Fn(&str, &Registry) -> Answer + Send + Sync + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy =
            Proxy { address: listener.local_addr().unwrap(), seen: Arc::default(), received: Arc::default() };
        let received = Arc::clone(&proxy.received);
        let (seen, rule, registry) = (Arc::clone(&proxy.seen), Arc::new(rule), Arc::downgrade(registry));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The test is over when its registry is gone.
                let Some(registry) = registry.upgrade() else { return };
                let (seen, rule) = (Arc::clone(&seen), Arc::clone(&rule));
                let received = Arc::clone(&received);
                std::thread::spawn(move || {
                    let Some(head) = head(&client) else { return };
                    let line = head.lines().next().unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(line.clone());
                    match rule(&head, &registry) {
                        Answer::Forward => {
                            forward(&client, &head, &registry.address(), &mut &client, &received)
                        }
                        Answer::Lose => forward(&client, &head, &registry.address(), &mut sink(), &received),
                        Answer::Status(status) => refuse(&client, status),
                        Answer::Page(status) => say(&client, status, "text/html", &page(status)),
                        Answer::Error(status, code, message) => {
                            let errors = json!({"errors": [{"code": code, "message": message}]});
                            say(&client, status, "application/json", &errors.to_string());
                        }
                        Answer::Json(head, body) => {
                            say(&client, &head, "application/json", &body.to_string())
                        }
                        Answer::Cut => {
                            client.shutdown(Shutdown::Both).ok();
                        }
                    }
                    finish(&client);
                });
            }
        });
        proxy
    }

    /// The number of body bytes forwarded so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// How many requests so far hold all of these in their first line.
    pub fn count(&self, words: &[&str]) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

/// Closes a connection after the client has read the response. Closing with unread input would reset the connection (RFC 1122,
/// 4.2.2.13), and the client would report that instead of the response.
fn finish(mut client: &TcpStream) {
    client.shutdown(Shutdown::Write).ok();
    client.set_read_timeout(Some(Duration::from_secs(30))).ok();
    copy(&mut client, &mut sink()).ok();
}

/// Reads up to the empty line, and not a byte of the body.
pub(super) fn head(mut client: &TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        // Docker tries TLS first; this answer makes it fall back to plain HTTP.
        if bytes.is_empty() && !byte[0].is_ascii_uppercase() {
            client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").ok();
            return None;
        }
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

/// nginx's error page.
fn page(status: &str) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
         <hr><center>nginx/1.26.3</center>\r\n</body>\r\n</html>\r\n"
    )
}

fn say(mut client: &TcpStream, head: &str, content_type: &str, body: &str) {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {head}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok();
}

pub(super) fn refuse(mut client: &TcpStream, status: &str) {
    write!(client, "HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .ok();
}

/// Hands a request on, and the registry's answer to `receiver`.
fn forward(client: &TcpStream, head: &str, address: &str, receiver: &mut impl Write, received: &AtomicU64) {
    let Ok(server) = TcpStream::connect(address) else { return };
    // One request a connection: every request is shown to the rule.
    let kept = head.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let asked: Vec<&str> = kept.collect();
    if write!(&server, "{}\r\nConnection: close\r\n\r\n", asked.join("\r\n")).is_err() {
        return;
    }
    relay(client, &mut Counted(&server, received), &server, receiver);
}

/// Counts the bytes that are written.
struct Counted<'a>(&'a TcpStream, &'a AtomicU64);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Forwards the client's data to `sender` and the server's response to `receiver`, until the server has sent everything.
pub(super) fn relay(
    client: &TcpStream,
    sender: &mut (impl Write + Send),
    server: &TcpStream,
    receiver: &mut impl Write,
) {
    std::thread::scope(|scope| {
        scope.spawn(|| copy(&mut { client }, sender).ok());
        copy(&mut { server }, receiver).ok();
        server.shutdown(Shutdown::Both).ok();
        // The client may keep its side open; nothing more is expected from it.
        finish(client);
    });
}
