//! Tokens with a known prefix, and JSON Web Tokens.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token: its issuer's name for it, its prefix, the characters that follow, and their minimum number.
pub(super) type Token = (&'static str, &'static str, Alphabet, usize);

/// Formats of tokens, as their issuers document them.
pub(super) const TOKENS: [Token; 68] = [
    ("age key", "AGE-SECRET-KEY-1", Alphabet::Upper, 58),
    ("Anthropic key", "sk-ant-", Alphabet::Web, 80),
    ("Atlassian token", "ATATT3xFfGF0", Alphabet::Web, 150),
    ("AWS access key", "AKIA", Alphabet::Upper, 16),
    ("AWS access key", "ASIA", Alphabet::Upper, 16),
    ("Azure access key", "SharedAccessKey=", Alphabet::Base64, 43),
    ("Azure storage key", "AccountKey=", Alphabet::Base64, 86),
    ("crates.io token", "cio", Alphabet::Mixed, 32),
    ("Databricks token", "dapi", Alphabet::Mixed, 32),
    ("DigitalOcean token", "dop_v1_", Alphabet::Plain, 64),
    ("DigitalOcean token", "doo_v1_", Alphabet::Plain, 64),
    ("DigitalOcean token", "dor_v1_", Alphabet::Plain, 64),
    ("Docker Hub token", "dckr_pat_", Alphabet::Web, 20),
    ("Docker Hub token", "dckr_oat_", Alphabet::Web, 20),
    ("Doppler token", "dp.pt.", Alphabet::Plain, 40),
    ("GitHub token", "ghp_", Alphabet::Word, 36),
    ("GitHub token", "gho_", Alphabet::Word, 36),
    ("GitHub token", "ghu_", Alphabet::Word, 36),
    ("GitHub token", "ghs_", Alphabet::Word, 36),
    ("GitHub token", "ghr_", Alphabet::Word, 36),
    ("GitHub token", "github_pat_", Alphabet::Word, 60),
    ("GitLab token", "glpat-", Alphabet::Web, 20),
    ("GitLab token", "gldt-", Alphabet::Web, 20),
    ("GitLab token", "glrt-", Alphabet::Web, 20),
    ("GitLab token", "glptt-", Alphabet::Web, 40),
    ("GitLab token", "glcbt-", Alphabet::Web, 20),
    ("GitLab token", "glft-", Alphabet::Web, 20),
    ("GitLab token", "gloas-", Alphabet::Web, 40),
    ("GitLab token", "glsoat-", Alphabet::Web, 20),
    ("Google key", "AIza", Alphabet::Web, 35),
    ("Google OAuth secret", "GOCSPX-", Alphabet::Web, 28),
    ("Google OAuth token", "ya29.", Alphabet::Web, 60),
    ("Grafana token", "glsa_", Alphabet::Word, 41),
    ("Groq key", "gsk_", Alphabet::Plain, 48),
    ("Hugging Face token", "hf_", Alphabet::Plain, 34),
    ("Linear key", "lin_api_", Alphabet::Plain, 40),
    ("minisign key", "RWRTY0Iy", Alphabet::Base64, 200),
    ("New Relic key", "NRAK-", Alphabet::Upper, 27),
    ("npm token", "npm_", Alphabet::Word, 36),
    ("OpenAI key", "sk-proj-", Alphabet::Web, 40),
    ("OpenAI key", "sk-svcacct-", Alphabet::Web, 40),
    ("OpenAI key", "sk-", Alphabet::Mixed, 32),
    ("PlanetScale password", "pscale_pw_", Alphabet::Web, 32),
    ("PlanetScale token", "pscale_tkn_", Alphabet::Web, 32),
    ("Postman key", "PMAK-", Alphabet::Web, 59),
    ("Pulumi token", "pul-", Alphabet::Mixed, 40),
    ("PyPI token", "pypi-AgEIcHlwaS5vcmc", Alphabet::Web, 50),
    ("PyPI token", "pypi-AgENdGVzdC5weXBpLm9yZw", Alphabet::Web, 50),
    ("RubyGems key", "rubygems_", Alphabet::Plain, 48),
    ("SendGrid key", "SG.", Alphabet::Dotted, 66),
    ("Sentry token", "sntryu_", Alphabet::Plain, 64),
    ("Shopify token", "shpat_", Alphabet::Plain, 32),
    ("Slack token", "xoxb-", Alphabet::Web, 40),
    ("Slack token", "xoxp-", Alphabet::Web, 40),
    ("Slack token", "xoxa-", Alphabet::Web, 40),
    ("Slack token", "xoxs-", Alphabet::Web, 40),
    ("Slack token", "xapp-", Alphabet::Web, 40),
    ("Slack webhook", "hooks.slack.com/services/T", Alphabet::Base64, 40),
    ("Stripe key", "sk_live_", Alphabet::Word, 24),
    ("Stripe key", "rk_live_", Alphabet::Word, 24),
    ("Stripe webhook secret", "whsec_", Alphabet::Plain, 32),
    ("Supabase token", "sbp_", Alphabet::Plain, 40),
    ("Tailscale key", "tskey-auth-", Alphabet::Web, 20),
    ("Tailscale key", "tskey-api-", Alphabet::Web, 20),
    ("Vault token", "hvs.", Alphabet::Web, 24),
    ("Vault token", "hvb.", Alphabet::Web, 24),
    ("WireGuard key", "PrivateKey = ", Alphabet::Base64, 43),
    ("WireGuard key", "PrivateKey=", Alphabet::Base64, 43),
];

/// How every JSON Web Token starts: the base64 of `{"`.
pub(super) const JWT: &str = "eyJ";

/// The characters of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Capitals and digits, and exactly the minimum of them.
    Upper,
    /// Letters and digits.
    Plain,
    /// Letters and digits, with at least one digit and one letter of either case.
    Mixed,
    /// Letters, digits, underscore.
    Word,
    /// Letters, digits, underscore, dash.
    Web,
    /// Letters, digits, underscore, dash, dot.
    Dotted,
    /// Letters, digits, plus, slash.
    Base64,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        let others: &[u8] = match self {
            Alphabet::Upper => return byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Plain | Alphabet::Mixed => b"",
            Alphabet::Word => b"_",
            Alphabet::Web => b"_-",
            Alphabet::Dotted => b"_-.",
            Alphabet::Base64 => b"+/",
        };
        byte.is_ascii_alphanumeric() || others.contains(&byte)
    }

    fn accepts(self, body: &[u8], minimum: usize) -> bool {
        let has = |kind: fn(&u8) -> bool| body.iter().any(kind);
        match self {
            Alphabet::Upper => body.len() == minimum,
            Alphabet::Mixed => {
                body.len() >= minimum && has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase)
            }
            _ => body.len() >= minimum,
        }
    }
}

/// Whether a token follows its prefix. `before` is the byte before the prefix.
pub(super) fn is_token(rest: &[u8], before: Option<u8>, alphabet: Alphabet, minimum: usize) -> bool {
    let length = rest.iter().take_while(|byte| alphabet.has(**byte)).count();
    let body = &rest[..length];
    // Exclude parts of longer words, the issuer's examples, and repetitions.
    let is_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_example = body.ends_with(b"EXAMPLE");
    let is_varied = body.iter().collect::<BTreeSet<_>>().len() > body.len().min(24) / 3;
    alphabet.accepts(body, minimum) && !is_word && !is_example && is_varied
}

/// Whether the rest of a signed JSON Web Token follows [`JWT`] (RFC 7519; RFC 7515, section 7.1). The example
/// tokens of the RFC and of jwt.io do not count.
pub(super) fn is_jwt(rest: &[u8], before: Option<u8>) -> bool {
    if before.is_some_and(|byte| Alphabet::Dotted.has(byte)) {
        return false;
    }
    let length = rest.iter().take_while(|byte| Alphabet::Dotted.has(**byte)).count();
    let text = JWT.to_owned() + &String::from_utf8_lossy(&rest[..length]);
    let mut parts = text.split('.');
    let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let json = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()
    };
    let (Some(header), Some(claims)) = (json(header), json(claims)) else { return false };
    let is_example = claims["sub"] == "1234567890" || claims["iss"] == "joe";
    header["alg"].is_string() && claims.is_object() && signature.len() >= 20 && !is_example
}
