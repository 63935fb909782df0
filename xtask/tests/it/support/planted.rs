//! Secrets in the forms in which people commit them, and harmless values that look similar. All are made up, and split in the
//! source because `check` and code hosts scan this file.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A value from the environment, which is found in every encoding.
pub const KNOWN: &str = "Zebra horse/battery+9";

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";
const ALL: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Characters that look random.
fn random(alphabet: &str, length: usize) -> String {
    let alphabet = alphabet.as_bytes();
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(char::from(alphabet[(*state >> 33) as usize % alphabet.len()]))
    };
    std::iter::successors(Some(7_u64), |_| None)
        .flat_map(|state| std::iter::repeat_n((), length).scan(state, move |state, ()| next(state)))
        .collect()
}

fn token(prefix: &str, length: usize) -> String {
    format!("{prefix}{}", random(ALL, length))
}

fn base64(length: usize) -> String {
    STANDARD.encode(random(ALL, length))
}

/// A PEM block with this label and base64 text.
pub fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n{}\n-----END {label}-----", base64(48), base64(48))
}

fn jwt(claims: &str) -> String {
    let [header, claims] =
        [r#"{"alg":"HS256","typ":"JWT"}"#, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{}", random(ALL, 43))
}

/// A variable without a secret's name.
const PLAIN: &str = "SETTING";

/// Prefixes of tokens, and how many characters follow.
const TOKENS: [(&str, usize); 27] = [
    ("ghp_", 36),
    ("gho_", 36),
    ("ghu_", 36),
    ("ghs_", 36),
    ("github_pat_", 82),
    ("glpat-", 20),
    ("xoxb-", 50),
    ("xapp-", 60),
    ("sk_live_", 24),
    ("rk_live_", 24),
    ("whsec_", 32),
    ("sk-proj-", 60),
    ("sk-", 48),
    ("sk-ant-api03-", 93),
    ("AIza", 35),
    ("npm_", 36),
    ("pypi-AgEIcHlwaS5vcmc", 120),
    ("hf_", 34),
    ("dop_v1_", 64),
    ("dckr_pat_", 27),
    ("hvs.", 90),
    ("glsa_", 41),
    ("shpat_", 32),
    ("rubygems_", 48),
    ("tskey-auth-", 30),
    ("gsk_", 52),
    ("dapi", 32),
];

/// All forms: a variable and its value, which is a secret because of its format or its name.
pub fn secrets() -> Vec<(&'static str, String)> {
    let tokens = TOKENS.map(|(prefix, length)| (PLAIN, token(prefix, length)));
    [private_keys(), credentials(), tokens.to_vec()].concat()
}

fn private_keys() -> Vec<(&'static str, String)> {
    let private = |label: &str| pem(&format!("{label}PRIVATE KEY"));
    vec![
        (PLAIN, private("")),
        (PLAIN, private("").replace('\n', "\\n")),
        (PLAIN, private("").replace('\n', " ")),
        (PLAIN, private("RSA ")),
        (PLAIN, private("EC ")),
        (PLAIN, private("OPENSSH ")),
        (PLAIN, private("ENCRYPTED ")),
        (PLAIN, pem("PGP PRIVATE KEY BLOCK")),
        (PLAIN, STANDARD.encode(private("RSA "))),
        (PLAIN, format!("PuTTY-User-Key-File-{}: ssh-ed25519", 3)),
        (PLAIN, format!("MIIEpAIBAAKCAQEA{}", base64(90))),
        (PLAIN, format!("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49{}", base64(60))),
        (PLAIN, format!("AGE-SECRET-KEY-1{}", random(UPPER, 58))),
        (PLAIN, format!("RWRTY0Iy{}", base64(156))),
        (PLAIN, format!("PrivateKey = {}=", &base64(33)[..43])),
        (PLAIN, format!("AKIA{}", random(UPPER, 16))),
        (
            PLAIN,
            format!(r#"{{"type":"service_account","private_key":"{}"}}"#, private("").replace('\n', "\\n")),
        ),
        (PLAIN, format!("AccountName=x;AccountKey={}==", &base64(66)[..86])),
        (PLAIN, format!("Endpoint=sb://x/;SharedAccessKey={}=", &base64(33)[..43])),
    ]
}

fn credentials() -> Vec<(&'static str, String)> {
    let password = format!("hunter{}", "2-real");
    let user = format!("app:{password}");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![
        (PLAIN, format!("https://hooks.slack.com/services/T{}", random(ALL, 44))),
        (PLAIN, format!("SG.{}.{}", random(ALL, 22), random(ALL, 43))),
        (PLAIN, jwt(r#"{"sub":"svc","iss":"us"}"#)),
        (PLAIN, format!("postgres://{user}@db:5432/app")),
        (PLAIN, format!("redis://:{password}@cache:6379/0")),
        (PLAIN, format!("https://{user}@git.internal/r.git")),
        (PLAIN, format!("Server=db;User Id=sa;Password={password};Encrypt=true")),
        (PLAIN, format!("curl -H Authorization: Basic {}", STANDARD.encode(&user))),
        (PLAIN, format!("curl -H Authorization: Bearer {}", random(HEX, 40))),
        (PLAIN, format!("curl --user {user} https://h")),
        (PLAIN, format!("machine h login me password {password}")),
        (PLAIN, format!("//r.internal/:_authToken={}", random(HEX, 36))),
        (PLAIN, format!(r#"{{"auths":{{"r":{{"auth":"{}"}}}}}}"#, STANDARD.encode(&user))),
        (PLAIN, KNOWN.to_owned()),
        (PLAIN, STANDARD.encode(format!("me:{KNOWN}"))),
        (PLAIN, hex(KNOWN)),
        (PLAIN, "Zebra%20horse%2Fbattery%2B9".to_owned()),
        ("POSTGRES_PASSWORD", password.clone()),
        ("POSTGRES_PASSWORD", format!("${{POSTGRES_PASSWORD:-{password}}}")),
        ("KEYSTORE_PASSPHRASE", "correct horse battery staple".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", base64(30)),
        ("TWILIO_AUTH_TOKEN", random(HEX, 32)),
        ("SECRET_KEY_BASE", random(HEX, 64)),
        ("apiKey", random(ALL, 24)),
    ]
}

/// Files that are secrets as a whole, or by their names.
pub fn secret_files() -> Vec<(&'static str, Vec<u8>)> {
    let password = format!("hunter{}", "2-real");
    let der =
        [&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70][..], &[7; 36]].concat();
    let wide =
        |text: &str| [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let text = |text: String| text.into_bytes();
    vec![
        ("certs/server.key", der),
        ("id_ed25519", text(pem("OPENSSH PRIVATE KEY"))),
        ("home/.netrc", text(format!("machine h\n  login me\n  password {password}\n"))),
        ("web/.npmrc", text(format!("//r.internal/:_authToken={}\n", random(HEX, 36)))),
        (".pypirc", text(format!("[pypi]\nusername = u\npassword = {password}\n"))),
        (".docker/config.json", text(format!(r#"{{"auths":{{"r":{{"auth":"{}"}}}}}}"#, base64(12)))),
        (".git-credentials", text(format!("https://me:{password}@h\n"))),
        (".pgpass", text(format!("*:*:*:u:{password}\n"))),
        (".aws/credentials", text(format!("aws_secret_access_key = {}\n", base64(30)))),
        ("deploy/kubeconfig", text(format!("users:\n- user:\n    token: {}\n", random(ALL, 40)))),
        ("config/windows.env", wide(&format!("DB_PASSWORD={password}\r\n"))),
        ("config/app.vars", text(format!("# variables\nexport DB_PASSWORD={password}\nPORT=80\n"))),
        ("entrypoint", text(format!("#!/usr/bin/env bash\nexport DB_PASSWORD={password}\n"))),
        ("bin/start", text(format!("#!/bin/sh -e\n: \"${{DB_PASSWORD:={password}}}\"\n"))),
        (
            "stack/db.yaml",
            text(format!("services:\n  db:\n    environment: {{ DB_PASSWORD: {password} }}\n")),
        ),
        ("images/api.Dockerfile", text(format!("FROM scratch\nENV DB_PASSWORD {password}\n"))),
        ("src/main.rs", text(format!("const T: &str = \"{}\";\n", token("ghp_", 36)))),
        ("wg0.conf", text(format!("[Interface]\nPrivateKey = {}=\n", &base64(33)[..43]))),
        ("docs/utf16.txt", KNOWN.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ]
}

/// Variables and values that are not secrets.
pub fn harmless() -> Vec<(&'static str, String)> {
    let hex = |length| random(HEX, length);
    let mut all = vec![
        ("IMAGE", format!("redis:8@sha256:{}", hex(64))),
        ("GIT_SHA", hex(40)),
        ("API_KEY_CHECKSUM", hex(64)),
        ("INTEGRITY", format!("sha512-{}==", base64(64))),
        ("SSH_PUBLIC_KEY", format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{} me@h", base64(30))),
        ("DEPLOY_KEY", format!("ssh-rsa AAAAB3NzaC1yc2E{} me@h", base64(60))),
        ("AUTHORIZED_KEYS", random(ALL, 40)),
        ("CA", pem("CERTIFICATE")),
        ("VERIFY_KEY", pem("PUBLIC KEY")),
        ("LOGO", format!("data:image/png;base64,iVBORw0KGgo{}", base64(90))),
        ("JWT", jwt(r#"{"sub":"1234567890","name":"John Doe"}"#)),
        ("STRIPE_PUBLISHABLE_KEY", format!("pk_live_{}", random(ALL, 24))),
        ("GITHUB_TOKEN", format!("ghp_{}", "x".repeat(36))),
        ("SOPS_TOKEN", format!("ENC[AES256_GCM,data:{},type:str]", base64(20))),
        ("PASSWORD_HASH", format!("$2b$12${}", random(ALL, 53))),
    ];
    all.extend(HARMLESS.map(|(name, value)| (name, value.to_owned())));
    all
}

const HARMLESS: [(&str, &str); 56] = [
    ("REQUEST_ID", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
    ("API_KEY", "550e8400-e29b-41d4-a716-446655440000"),
    ("DB_PASSWORD", ""),
    ("DB_PASSWORD", "changeme"),
    ("DB_PASSWORD", "change-me-in-production-1"),
    ("DB_PASSWORD", "postgres"),
    ("DB_PASSWORD", "postgres-password"),
    ("DB_PASSWORD", "${DB_PASSWORD}"),
    ("DB_PASSWORD", "$DB_PASSWORD"),
    ("DB_PASSWORD", "${DB_PASSWORD:?set it in .env, see README-2}"),
    ("DB_PASSWORD", "${DB_PASSWORD:-}"),
    ("DB_PASSWORD", "${DB_PASSWORD:-postgres}"),
    ("DB_PASSWORD", "${PREFIX}-${SUFFIX}-1"),
    ("DB_PASSWORD", "$(cat /run/secrets/db-1)"),
    ("DB_PASSWORD", "op://vault-1/database/password"),
    ("DB_PASSWORD", "must be at least 12 characters"),
    ("DB_PASSWORD", "xxxxxxxxxxxxxxxx"),
    ("DB_PASSWORD", "****************"),
    ("DB_PASSWORD", "................"),
    ("DB_PASSWORD", "replace_with_1_real_value"),
    ("DB_PASSWORD_FILE", "/run/secrets/db-password-1"),
    ("DB_PASSWORD_POLICY", "at-least-12-chars"),
    ("API_KEY", "<your-key-1>"),
    ("API_KEY", "your-api-key-1-here"),
    ("API_KEY", "0123456789abcdef0123456789abcdef"),
    ("API_KEY", "deadbeefdeadbeefdeadbeef12345678"),
    ("API_KEY", "sk-your-key-123"),
    ("API_TOKEN", "my-secret-token"),
    ("API_TOKEN", "test-token-123"),
    ("API_TOKEN", "{{ api_token_1 }}"),
    ("API_TOKEN", "%API_TOKEN_2%"),
    ("API_TOKEN", "__API_TOKEN_3__"),
    ("API_TOKEN", "dummy-4f8a9c"),
    ("API_TOKEN", "vault:secret/data/app1#token"),
    ("MAX_TOKENS", "16384"),
    ("TOKEN_ENDPOINT", "https://id.internal/oauth2/token"),
    ("JWKS_KEY", "https://id.internal/keys/4f8a9c11"),
    ("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:1:secret:x-4f8a9c"),
    ("SECRET_KEY", "arn:aws:kms:eu-west-1:1:key/4f8a9c11"),
    ("TLS_KEY", "certs/server-1.key"),
    ("TLS_KEY", "/etc/ssl/private/server-1"),
    ("TLS_KEY", "./certs/server-1"),
    ("CACHE_KEY", "node-modules-v12-linux"),
    ("key", "node-modules-cache-linux"),
    ("PRIMARY_KEY", "user_id_and_tenant_id_2"),
    ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305"),
    ("SIGNING_KEY", "0xB97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8"),
    ("RECAPTCHA_SITE_KEY", "6LeIxAcTAAAAAJcZVRqyHh71UMIEGNQ_MXjiZKhI"),
    ("NEXT_PUBLIC_API_KEY", "4f8a9c11d2e3b5a6"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("DATABASE_URL", "postgres://user:password@db:5432/app"),
    ("DATABASE_URL", "postgres://app:${DB_PASSWORD}@db:5432/app"),
    ("DATABASE_URL", "postgres://app@db:5432/app"),
    ("HEADER", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ("HEADER", "Authorization: Bearer $TOKEN_FOR_THE_API"),
];
