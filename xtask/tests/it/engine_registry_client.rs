//! The registry client writes to a real registry, Debian's `docker-registry`.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::registry::{Answer, Proxy, Registry};
use engine::registry_client::{BlobDelivery, BlobToUpload, Delivered, Referrer, RegistryClient};
use host::process::Runner;
use sha2::{Digest as _, Sha256};

/// Three chunks.
const SIZE: usize = 40_000_000;

fn client(address: &str, repository: &str) -> RegistryClient {
    RegistryClient::new(format!("{address}/{repository}:1").parse().unwrap(), &Runner::default())
}

fn content() -> (Vec<u8>, String) {
    let content: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(SIZE).collect();
    let hash = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    (content, format!("sha256:{hash}"))
}

fn deliver(client: &RegistryClient, content: &[u8], digest: &str) -> BlobDelivery {
    let open = || Ok(Box::new(Cursor::new(content.to_vec())) as Box<dyn Read>);
    client.deliver(&BlobToUpload { digest, size: content.len() as u64, open: &open }).unwrap()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_upload_continues_after_the_registry_died() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::that_remembers("resume"));
    let chunks = AtomicU32::new(0);
    // It is killed when the second chunk arrives.
    let proxy = Proxy::start(&registry, move |line, registry| {
        if line.starts_with("PATCH") && chunks.fetch_add(1, Ordering::SeqCst) == 1 {
            registry.kill();
            registry.restart();
            return Answer::Cut;
        }
        Answer::Forward
    });
    let address = proxy.address.to_string();
    let (content, digest) = content();
    let uploaded = deliver(&client(&address, "team/a"), &content, &digest);
    assert_eq!(uploaded, BlobDelivery { how: Delivered::Uploaded, sent: SIZE as u64 });
    assert_eq!(proxy.received(), SIZE as u64, "no byte is sent twice");
    assert_eq!(proxy.count(&["POST", "/blobs/uploads/"]), 1);

    let again = deliver(&client(&address, "team/a"), &content, &digest);
    assert_eq!(again, BlobDelivery { how: Delivered::Present, sent: 0 });
    assert_eq!(client(&address, "team/a").read_blob(&digest, SIZE as u64).unwrap(), content);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_referrer_is_listed_under_the_fallback_tag() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("referrer");
    let client = client(&registry.address(), "team/a");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let (config, _) = client.deliver_bytes(b"{}").unwrap();
    let manifest = |subject: Option<&str>| {
        let config = serde_json::json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2});
        let mut manifest =
            serde_json::json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []});
        if let Some(digest) = subject {
            manifest["subject"] = serde_json::json!({"mediaType": kind, "digest": digest, "size": 1});
        }
        manifest.to_string().into_bytes()
    };
    let subject = client.put_manifest("1", kind, &manifest(None)).unwrap().digest;
    assert_eq!(client.referrers(&subject).unwrap(), []);
    let bytes = manifest(Some(&subject));
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let referrer = Referrer {
        media_type: kind.to_owned(),
        digest: format!("sha256:{hash}"),
        size: bytes.len() as u64,
        ..Referrer::default()
    };
    let put = client.put_referrer(&subject, &referrer, &bytes).unwrap();
    assert_eq!(put.subject, None, "it has no referrers API");
    assert_eq!(client.referrers(&subject).unwrap(), [referrer]);
    let fallback = subject.replace(':', "-");
    assert!(client.find_manifest(&fallback).unwrap().is_some());
}
