//! A private CA, a web server that only it vouches for, and a proxy that asks for a password; all where builds reach them.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::registry::{head, refuse, relay};
use super::{Folder, docker};

/// The address of this machine that steps of builds reach.
fn gateway() -> String {
    docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"])
}

fn openssl(folder: &Folder, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(&folder.0).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A CA of the test's own: `NAME.crt` and `NAME.key`.
pub fn authority(folder: &Folder, name: &str, subject: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let files = ["-keyout", key.as_str(), "-out", certificate.as_str()];
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject];
    openssl(folder, &[request.as_slice(), files.as_slice()].concat());
}

/// A web server whose certificate only the test's CA vouches for.
pub struct Server {
    process: Child,
    /// Holds `ca.crt`.
    pub folder: Folder,
    /// What answers with [`Server::BODY`].
    pub url: String,
}

impl Server {
    pub const BODY: &str = "it came through the private CA\n";

    pub fn start() -> Server {
        let folder = Folder::new();
        let address = gateway();
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        authority(&folder, "ca", "/CN=the test's own CA");
        openssl(
            &folder,
            &words("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server"),
        );
        folder.write("extensions", &format!("subjectAltName=IP:{address}\n"));
        openssl(
            &folder,
            &words(
                "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 \
                 -extfile extensions",
            ),
        );
        let length = Server::BODY.len();
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        folder.write("hello", &(head + Server::BODY));
        let process = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                &format!("{address}:{port}"),
                "-cert",
                "server.crt",
                "-key",
                "server.key",
                "-HTTP",
                "-quiet",
            ])
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Server { process, folder, url: format!("https://{address}:{port}/hello") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A proxy that leads whoever says the password to the server that is asked for (RFC 9110, "CONNECT"), and nobody else.
pub struct Tunnel {
    /// With name and password, as `HTTPS_PROXY` has it.
    pub url: String,
    led: Arc<AtomicU32>,
}

impl Tunnel {
    pub const PASSWORD: &str = "a-password-4713";

    pub fn start() -> Tunnel {
        let listener = TcpListener::bind((gateway().as_str(), 0)).unwrap();
        let (who, address) = (format!("someone:{}", Tunnel::PASSWORD), listener.local_addr().unwrap());
        let said = format!("Basic {}", BASE64_STANDARD.encode(&who));
        let tunnel = Tunnel { url: format!("http://{who}@{address}"), led: Arc::default() };
        let led = Arc::clone(&tunnel.led);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (said, led) = (said.clone(), Arc::clone(&led));
                std::thread::spawn(move || lead(&client, &said, &led));
            }
        });
        tunnel
    }

    /// How often somebody was led.
    pub fn led(&self) -> u32 {
        self.led.load(Ordering::SeqCst)
    }
}

fn lead(client: &TcpStream, said: &str, led: &AtomicU32) {
    let Some(head) = head(client) else { return };
    let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let (Some(to), true) = (to, head.contains(said)) else {
        return refuse(client, "407 Proxy Authentication Required");
    };
    let Ok(server) = TcpStream::connect(to) else { return refuse(client, "502 Bad Gateway") };
    led.fetch_add(1, Ordering::SeqCst);
    answer(client, "200 Connection established");
    relay(client, &mut &server, &server, &mut { client });
}

fn answer(mut client: &TcpStream, status: &str) {
    write!(client, "HTTP/1.1 {status}\r\n\r\n").ok();
}

/// All of an image, as one text would be searched: every layer, its configuration and its history.
pub struct Saved(Vec<u8>);

impl Saved {
    pub fn of(image: &str) -> Saved {
        let output = Command::new("docker").args(["save", image]).output().unwrap();
        assert!(output.status.success(), "docker save {image}: {}", String::from_utf8_lossy(&output.stderr));
        Saved(output.stdout)
    }

    pub fn holds(&self, text: &str) -> bool {
        self.0.windows(text.len()).any(|window| window == text.as_bytes())
    }
}
