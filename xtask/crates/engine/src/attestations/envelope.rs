//! Signed statements: DSSE envelopes (secure-systems-lab/dsse, `envelope.md` and `protocol.md`), and Sigstore bundles around them.

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BUNDLE, STATEMENT};

/// The payload type of in-toto statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The type of a statement in the version before [`STATEMENT`].
const STATEMENT_0_1: &str = "https://in-toto.io/Statement/v0.1";

/// A signed document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    /// In base64.
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    #[serde(default)]
    keyid: String,
    /// In base64.
    sig: String,
}

impl Envelope {
    /// Signs an in-toto statement.
    ///
    /// # Errors
    /// Errors of `sign`, which returns a signature in base64.
    pub(super) fn sign(statement: &[u8], sign: &dyn Fn(&[u8]) -> Result<String>) -> Result<Envelope> {
        let sig = sign(&pre_authentication(IN_TOTO, statement))?;
        Ok(Envelope {
            payload_type: IN_TOTO.to_owned(),
            payload: STANDARD.encode(statement),
            signatures: vec![EnvelopeSignature { keyid: String::new(), sig }],
        })
    }

    /// The envelope in a Sigstore bundle.
    ///
    /// # Errors
    /// When the bytes are not a bundle with an envelope.
    pub(super) fn of_bundle(bytes: &[u8]) -> Result<Envelope> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bundle {
            dsse_envelope: Envelope,
        }
        let bundle: Bundle = serde_json::from_slice(bytes).context("invalid Sigstore bundle")?;
        Ok(bundle.dsse_envelope)
    }

    /// A Sigstore bundle (v0.3) for verifiers that have the key. `hint` identifies the key.
    pub(super) fn bundle(&self, hint: &str) -> Result<Vec<u8>> {
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": self,
        });
        Ok(serde_json::to_vec(&bundle)?)
    }

    /// The document.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn payload(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.payload).context("the envelope's payload is not base64")
    }

    /// The in-toto statement: type, subjects and predicate.
    ///
    /// # Errors
    /// When the document is something else.
    pub fn statement(&self) -> Result<Value> {
        let statement: Value =
            serde_json::from_slice(&self.payload()?).context("the envelope's payload is not JSON")?;
        // cosign 2 attaches v0.1, whose subjects and predicate are the same.
        if ![STATEMENT, STATEMENT_0_1].iter().any(|kind| statement["_type"] == *kind) {
            bail!("the envelope's payload is not an in-toto statement");
        }
        Ok(statement)
    }

    /// Whether a key signed it as an in-toto statement. `is_signed` gets bytes and a signature in base64.
    ///
    /// # Errors
    /// Errors of `is_signed`, and a payload that is not base64.
    pub fn is_signed(&self, is_signed: &dyn Fn(&[u8], &str) -> Result<bool>) -> Result<bool> {
        // A key may also sign documents of other types, which mean something else.
        if self.payload_type != IN_TOTO {
            return Ok(false);
        }
        let bytes = pre_authentication(&self.payload_type, &self.payload()?);
        for signature in &self.signatures {
            if is_signed(&bytes, &signature.sig)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The bytes to sign: type and document, with their lengths (DSSE protocol, "Signature Definition").
fn pre_authentication(kind: &str, document: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), document.len()).into_bytes();
    bytes.extend_from_slice(document);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_document_are_signed_with_their_lengths() {
        // The example from the specification.
        let expected = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pre_authentication("http://example.com/HelloWorld", b"hello world"), expected.as_bytes());
    }

    fn signed(statement: &Value) -> Envelope {
        Envelope::sign(statement.to_string().as_bytes(), &|bytes| Ok(STANDARD.encode(bytes))).unwrap()
    }

    fn is_signed(envelope: &Envelope) -> bool {
        envelope.is_signed(&|bytes, signature| Ok(STANDARD.encode(bytes) == signature)).unwrap()
    }

    #[test]
    fn a_bundle_holds_its_envelope() {
        let statement = json!({"_type": STATEMENT});
        let envelope = signed(&statement);
        let read = Envelope::of_bundle(&envelope.bundle("hint").unwrap()).unwrap();
        assert_eq!((read.statement().unwrap(), &read), (statement, &envelope));
        assert!(is_signed(&read));
        let forged = Envelope { payload: STANDARD.encode("{\"a\":2}"), ..read };
        assert!(!is_signed(&forged));
        for wrong in ["{}", "x", r#"{"dsseEnvelope":{"payload":1}}"#] {
            assert!(Envelope::of_bundle(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signed_document_of_another_type_is_not_a_statement() {
        let payload = json!({"_type": STATEMENT}).to_string();
        let bytes = pre_authentication("application/json", payload.as_bytes());
        let sig = EnvelopeSignature { keyid: String::new(), sig: STANDARD.encode(bytes) };
        let payload = STANDARD.encode(payload);
        let other = Envelope { payload_type: "application/json".to_owned(), payload, signatures: vec![sig] };
        assert!(!is_signed(&other));
        for (kind, is_statement) in [(STATEMENT, true), (STATEMENT_0_1, true), ("https://x.example/1", false)]
        {
            assert_eq!(signed(&json!({"_type": kind})).statement().is_ok(), is_statement, "{kind}");
        }
    }
}
