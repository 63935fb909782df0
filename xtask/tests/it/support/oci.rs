//! OCI image layouts made in memory, and a registry that serves them.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use super::Folder;
use super::registry::head;
use super::saved::{Saved, archive, digest, gzip};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Blobs by their digests, and an index of them.
#[derive(Default, Clone)]
pub struct Layout {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub index: Vec<Value>,
}

impl Layout {
    /// A layout of one image with a name.
    pub fn of(image: &Saved, packing: Packing) -> Layout {
        let mut layout = Layout::default();
        let mut one = layout.add(image, packing);
        one["annotations"] = json!({"org.opencontainers.image.ref.name": image.name});
        layout.index.push(one);
        layout
    }

    /// Adds a blob. Returns its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let hex = digest(&bytes);
        let descriptor =
            json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()});
        self.blobs.insert(hex, bytes);
        descriptor
    }

    /// Adds an image that no index lists. Returns its descriptor.
    pub fn add(&mut self, image: &Saved, packing: Packing) -> Value {
        let mut layers = Vec::new();
        for layer in &image.layers {
            let (media_type, bytes) = match packing {
                Packing::Plain => ("application/vnd.oci.image.layer.v1.tar", layer.clone()),
                Packing::Gzip => ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(layer)),
                Packing::Zstd => (
                    "application/vnd.oci.image.layer.v1.tar+zstd",
                    compress_to_vec(layer.as_slice(), CompressionLevel::Fastest),
                ),
            };
            layers.push(self.blob(media_type, bytes));
        }
        let config = self.blob("application/vnd.oci.image.config.v1+json", image.saved_config());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": image.architecture});
        descriptor
    }

    /// Adds an index of descriptors. Returns its own descriptor.
    pub fn nested(&mut self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.blob(INDEX, index.to_string().into_bytes())
    }

    fn root(&self) -> Vec<u8> {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.index}).to_string().into_bytes()
    }

    /// The files of a layout (OCI image specification, "Image layout").
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let version = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        let mut files = vec![("oci-layout".to_owned(), version), ("index.json".to_owned(), self.root())];
        files.extend(self.blobs.iter().map(|(hex, bytes)| (format!("blobs/sha256/{hex}"), bytes.clone())));
        files
    }

    pub fn tar(&self) -> Vec<u8> {
        archive(&self.files())
    }

    /// Writes the layout to a folder.
    pub fn write(&self, folder: &Folder, name: &str) {
        for (file, bytes) in self.files() {
            let path = folder.0.join(name).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// The account that a [`Hub`] accepts.
pub const ACCOUNT: (&str, &str) = ("puller", "open-sesame-4712");
const TOKEN: &str = "a-token-of-the-hub";

/// A registry with one repository, `team/app`, whose tag `1` is the index of a layout. It redirects blobs, as large ones do.
pub struct Hub {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    pub fn serve(layout: &Layout, asks: bool) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Hub { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (seen, layout, address) = (Arc::clone(&hub.seen), layout.clone(), hub.address);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(head) = head(&client) else { continue };
                seen.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
                let (status, headers, body) = answer(&head, &layout, asks, address);
                let mut client: &TcpStream = &client;
                let length = body.len();
                write!(
                    client,
                    "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                )
                .ok();
                client.write_all(&body).ok();
            }
        });
        hub
    }

    pub fn image(&self) -> String {
        format!("{}/team/app:1", self.address)
    }

    /// How many requests had this in their first line.
    pub fn count(&self, words: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }
}

fn answer(head: &str, layout: &Layout, asks: bool, address: SocketAddr) -> (&'static str, String, Vec<u8>) {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let authorization = head.lines().find_map(|line| line.strip_prefix("Authorization: "));
    if let Some(query) = path.strip_prefix("/token?") {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1));
        let is_known = authorization == Some(&format!("Basic {basic}"));
        // Versions of curl encode differently.
        let query = query.to_lowercase().replace("%20", "+").replace("%3a", ":").replace("%2f", "/");
        return match is_known && query == "service=hub+of+tests&scope=repository:team/app:pull" {
            true => ("200 OK", String::new(), json!({"token": TOKEN}).to_string().into_bytes()),
            false => ("401 Unauthorized", String::new(), Vec::new()),
        };
    }
    if let Some(hex) = path.strip_prefix("/storage/") {
        return match layout.blobs.get(hex) {
            Some(bytes) => ("200 OK", String::new(), bytes.clone()),
            None => ("404 Not Found", String::new(), Vec::new()),
        };
    }
    if asks && authorization != Some(&format!("Bearer {TOKEN}")) {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"hub of tests\",\
             scope=\"repository:team/app:pull\"\r\n"
        );
        return ("401 Unauthorized", challenge, Vec::new());
    }
    let manifest = |bytes: &[u8]| {
        let headers =
            format!("Content-Type: {MANIFEST}\r\nDocker-Content-Digest: sha256:{}\r\n", digest(bytes));
        ("200 OK", headers, bytes.to_vec())
    };
    match path.strip_prefix("/v2/team/app/").and_then(|rest| rest.split_once('/')) {
        Some(("manifests", "1")) => manifest(&layout.root()),
        Some(("manifests", version)) => match layout.blobs.get(version.trim_start_matches("sha256:")) {
            Some(bytes) => manifest(bytes),
            None => ("404 Not Found", String::new(), Vec::new()),
        },
        Some(("blobs", version)) => {
            let location = format!("Location: /storage/{}\r\n", version.trim_start_matches("sha256:"));
            ("307 Temporary Redirect", location, b"gone".to_vec())
        }
        _ => ("404 Not Found", String::new(), Vec::new()),
    }
}
