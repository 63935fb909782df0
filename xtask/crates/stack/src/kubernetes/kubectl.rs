//! Runs kubectl in a context and classifies its failures.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use host::failure::{Failure, FailureClass};
use host::process::{Cmd, ProcessError, Runner, find};

/// kubectl with a context and a namespace. kubectl itself reads KUBECONFIG.
#[derive(Debug, Clone)]
pub struct Kubectl {
    runner: Runner,
    context: String,
    namespace: Option<String>,
}

/// Field manager for server-side apply.
const MANAGER: &str = "--field-manager=images";

/// Parts of kubectl's messages when it cannot reach the API server.
const UNREACHABLE: [&str; 7] = [
    "connection refused",
    "Unable to connect to the server",
    "no such host",
    "i/o timeout",
    "TLS handshake timeout",
    "connection reset",
    "context deadline exceeded",
];

/// Classifies a failure by kubectl's message.
fn class(message: &str) -> FailureClass {
    match message {
        text if text.contains("x509: ") => FailureClass::Certificate,
        text if UNREACHABLE.iter().any(|sign| text.contains(sign)) => FailureClass::Network,
        _ => FailureClass::Failed,
    }
}

/// The oldest kubectl 1.x whose kustomize supports `labels`.
const OLDEST: u32 = 22;

/// Checks that kubectl is installed and new enough.
///
/// # Errors
/// kubectl is missing, too old, or its version cannot be read.
pub fn require(runner: &Runner) -> Result<()> {
    let elsewhere = "or omit --apply and apply the folder elsewhere";
    if find("kubectl").is_none() {
        let remedy = format!("run `apt-get install kubernetes-client`, {elsewhere}");
        return Err(Failure::machine("not installed: kubectl", remedy).into());
    }
    let text = runner.cmd("kubectl").args(["version", "--client", "--output=json"]).read()?;
    let version: Value = serde_json::from_str(&text).context("unexpected output of `kubectl version`")?;
    let number = |key: &str| -> Option<u32> {
        // Some vendors append a plus sign.
        version["clientVersion"][key].as_str()?.trim_end_matches('+').parse().ok()
    };
    match (number("major"), number("minor")) {
        (Some(1), Some(minor)) if minor < OLDEST => {
            let what = format!("kubectl 1.{minor} is too old: 1.{OLDEST} or newer is needed");
            Err(Failure::machine(what, format!("install a newer kubectl, {elsewhere}")).into())
        }
        _ => Ok(()),
    }
}

impl Kubectl {
    /// kubectl with the named context, or with the current one.
    ///
    /// # Errors
    /// The context does not exist, or kubectl cannot read its configuration.
    pub fn new(runner: &Runner, named: Option<&str>, namespace: Option<&str>) -> Result<Kubectl> {
        let config = |args: &[&str]| runner.cmd("kubectl").arg("config").args(args.iter().copied());
        let known = config(&["get-contexts", "--output=name"]).read()?;
        let known: Vec<&str> = known.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
        let context = match named {
            Some(name) if known.contains(&name) => name.to_owned(),
            Some(name) => {
                let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let what = format!("kubectl has no context `{name}`; nothing was applied");
                let remedy = format!("use one of: {all}; kubectl reads KUBECONFIG, else ~/.kube/config");
                return Err(Failure::new(FailureClass::Usage, what, remedy).into());
            }
            None => {
                let current = config(&["current-context"]).capture()?;
                let name = current.stdout.trim().to_owned();
                if !current.success() || name.is_empty() {
                    let remedy = "add --context NAME, or point KUBECONFIG at the cluster's configuration";
                    let what = "kubectl has no current context; nothing was applied";
                    return Err(Failure::machine(what, remedy).into());
                }
                name
            }
        };
        Ok(Kubectl { runner: runner.clone(), context, namespace: namespace.map(str::to_owned) })
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// `kubectl` with its context and namespace, for use in messages.
    pub(super) fn command_line(&self) -> String {
        let namespace = self.namespace.iter().map(|name| format!(" --namespace {name}")).collect::<String>();
        format!("kubectl --context {}{namespace}", self.context)
    }

    /// `kubectl ARGS…`.
    pub(super) fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let cmd = self.runner.cmd("kubectl").arg("--context").arg(&self.context);
        let cmd = self.namespace.iter().fold(cmd, |cmd, name| cmd.arg("--namespace").arg(name));
        cmd.args(args).classify(class)
    }

    /// Applies a kustomize folder; with `dry_run`, only validates it on the API server.
    ///
    /// # Errors
    /// When `kubectl apply` fails.
    pub(super) fn apply(&self, folder: &str, dry_run: bool) -> Result<String, ProcessError> {
        let mode: &[&str] = if dry_run { &["--dry-run=server"] } else { &[] };
        // Server-side apply rejects unknown fields, so kubectl need not download the API schema.
        let cmd =
            self.cmd(["apply", "--server-side", "--validate=false", MANAGER]).args(mode.iter().copied());
        cmd.args(["--kustomize", folder]).read()
    }

    /// Waits for a workload's rollout, or for a Job to complete.
    pub(super) fn wait(&self, kind: &str, name: &str, timeout: Duration) -> Cmd {
        let object = format!("{}/{name}", kind.to_lowercase());
        let timeout = format!("--timeout={}s", timeout.as_secs().max(1));
        match kind {
            "Job" => self.cmd(["wait", "--for=condition=complete", &timeout, &object]).long(),
            _ => self.cmd(["rollout", "status", &timeout, &object]).long(),
        }
    }
}
