//! The Dockerfile that makes a trial image: the kept paths of the original, copied onto `scratch`, with the original's configuration.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use engine::flat_image::{FlatImage, FlatPath};
use engine::labels;
use host::failure::{Failure, FailureClass};

/// Delimiter that ends the list of paths.
const END: &str = "END-OF-PATHS";
/// Where the shell and tar may be.
const FOLDERS: [&str; 4] = ["bin", "usr/bin", "usr/local/bin", "sbin"];

/// The Dockerfile. `reference`: the original image, which belongs to this project.
///
/// # Errors
/// When a path contains a line break.
pub fn write(
    reference: &str,
    project: &str,
    image: &FlatImage,
    keeps: &dyn Fn(&FlatPath<'_>) -> bool,
) -> Result<String> {
    let kept: Vec<FlatPath<'_>> = image.paths().filter(|path| keeps(path) && !path.path.is_empty()).collect();
    if let Some(path) = kept.iter().find(|path| path.path.contains('\n')) {
        let what =
            format!("the path {:?} has a line break, which no list in a Dockerfile can hold", path.path);
        return Err(Failure::new(FailureClass::Failed, what, "rename the file in the original").into());
    }
    let has = |program: &str| FOLDERS.iter().any(|folder| image.at(&format!("{folder}/{program}")).is_some());
    let helper = if has("sh") && has("tar") { "original" } else { "helper" };
    let has_attributes =
        kept.iter().any(|path| path.entry.properties.iter().any(|(key, _)| key.starts_with("SCHILY.xattr.")));
    let attributes = if has_attributes { " --xattrs --xattrs-include='*'" } else { "" };
    let mut out = format!(
        "# The files of {reference} that are needed, by trials of its probes. Made by `diet`: review it before use.\n"
    );
    if helper == "helper" {
        out.push_str("# The original has no shell or no tar.\nARG HELPER=debian:trixie-slim\nFROM ${HELPER} AS helper\n");
    }
    writeln!(out, "FROM {reference} AS original")?;
    let list: String = kept.iter().map(|path| format!("./{}\n", path.path)).collect();
    write!(
        out,
        "FROM {helper} AS kept\nUSER 0:0\nCOPY <<'{END}' /kept-paths\n{list}{END}\n\
         # The mount shows the original without the files that a builder adds.\n\
         RUN --mount=type=bind,from=original,source=/,target=/original \\\n    \
         mkdir /kept && \\\n    \
         tar -C /original{attributes} --no-recursion -T /kept-paths -cf /kept.tar && \\\n    \
         tar -C /kept{attributes} --numeric-owner -xpf /kept.tar\n\
         FROM scratch\nCOPY --from=kept /kept/ /\n"
    )?;
    configuration(&mut out, &image.config()["config"], project)?;
    Ok(out)
}

/// The instructions of a configuration (OCI image specification, `config`).
fn configuration(out: &mut String, config: &Value, project: &str) -> Result<()> {
    let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
    let keys = |key: &str| config[key].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    for line in config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        writeln!(out, "ENV {name}={}", quoted(value))?;
    }
    let labels = config["Labels"].as_object().into_iter().flatten();
    for (name, value) in labels.filter(|(name, _)| !labels::is_of_build(name, project)) {
        writeln!(out, "LABEL {}={}", quoted(name), quoted(value.as_str().unwrap_or_default()))?;
    }
    if let Some(folder) = text("WorkingDir") {
        writeln!(out, "WORKDIR {}", folder.replace('$', "\\$"))?;
    }
    keys("ExposedPorts").try_for_each(|port| writeln!(out, "EXPOSE {port}"))?;
    keys("Volumes").try_for_each(|volume| writeln!(out, "VOLUME {}", Value::from(vec![volume])))?;
    if let Some(user) = text("User") {
        writeln!(out, "USER {}", user.replace('$', "\\$"))?;
    }
    if let Some(signal) = text("StopSignal") {
        writeln!(out, "STOPSIGNAL {signal}")?;
    }
    if config["Shell"].is_array() {
        writeln!(out, "SHELL {}", config["Shell"])?;
    }
    health(out, &config["Healthcheck"])?;
    for (instruction, key) in [("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")] {
        if config[key].is_array() {
            writeln!(out, "{instruction} {}", config[key])?;
        }
    }
    Ok(())
}

fn health(out: &mut String, check: &Value) -> Result<()> {
    let Some(test) = check["Test"].as_array() else { return Ok(()) };
    let (kind, rest) = test.split_first().unwrap_or((&Value::Null, &[]));
    let mut options = String::new();
    for (option, key) in [
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start-period", "StartPeriod"),
        ("start-interval", "StartInterval"),
    ] {
        if let Some(nanoseconds) = check[key].as_u64().filter(|time| *time > 0) {
            write!(options, " --{option}={}ms", nanoseconds / 1_000_000)?;
        }
    }
    if let Some(retries) = check["Retries"].as_u64().filter(|retries| *retries > 0) {
        write!(options, " --retries={retries}")?;
    }
    match kind.as_str() {
        Some("NONE") => writeln!(out, "HEALTHCHECK NONE")?,
        Some("CMD") => writeln!(out, "HEALTHCHECK{options} CMD {}", Value::from(rest))?,
        // The shell is part of the command, not of the check.
        Some("CMD-SHELL") => {
            let command = rest.first().and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "HEALTHCHECK{options} CMD {command}")?;
        }
        _ => {}
    }
    Ok(())
}

/// A quoted word of a Dockerfile, with `$` escaped.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' | '$' => vec!['\\', c],
            _ => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_configuration_becomes_instructions() {
        let config = json!({
            "Env": ["PATH=/bin", "QUOTE=a \"b\" $c"],
            "Labels": {"a.b": "c", "shop.images.fingerprint": "0", "org.opencontainers.image.revision": "0"},
            "WorkingDir": "/app",
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/data": {}},
            "User": "65532:65532",
            "StopSignal": "SIGQUIT",
            "Healthcheck": {"Test": ["CMD", "x", "--check"], "Interval": 2_500_000_000_u64, "Retries": 3},
            "Entrypoint": ["/x"],
            "Cmd": null,
        });
        let mut out = String::new();
        configuration(&mut out, &config, "shop").unwrap();
        let expected = "ENV PATH=\"/bin\"\nENV QUOTE=\"a \\\"b\\\" \\$c\"\nLABEL \"a.b\"=\"c\"\nWORKDIR /app\nEXPOSE 80/tcp\n\
            VOLUME [\"/data\"]\nUSER 65532:65532\nSTOPSIGNAL SIGQUIT\n\
            HEALTHCHECK --interval=2500ms --retries=3 CMD [\"x\",\"--check\"]\nENTRYPOINT [\"/x\"]\n";
        assert_eq!(out, expected);
    }
}
