//! The server of the optimized client image: serves the web page and forwards `/api/` to the api service.
//!
//! It behaves as nginx does with `nginx.conf.template`, which the original image uses; README.md lists the differences. The page's
//! files are read once, at startup, and served from memory, so no request reaches the file system. Bodies of forwarded requests
//! and their responses are streamed and never buffered whole.

mod access;
mod api;
mod app;
mod conditions;
mod download;
mod errors;
mod files;
mod headers;
mod names;
mod path;
mod settings;
mod site;
mod upload;
mod wire;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use sutra_service::{Listen, StartError, check, report, run_routes};

use crate::app::App;
use crate::settings::Settings;
use crate::site::Site;

/// The service's name in `images.toml`.
const NAME: &str = "client";

/// Maximum number of client connections. Each may need a few times `BUFFER_BYTES`; the sum must stay well below the memory limit in
/// the Compose file, 128 MB.
const CONNECTIONS: usize = 512;

/// Maximum size of a request's head, as in nginx, and the size of a connection's buffers, in bytes.
const BUFFER_BYTES: usize = 32 << 10;

/// Open files other than connections, and some reserve for connections that are closing.
const OTHER_FILES: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [word] if word == "healthcheck" => match settings::listen() {
            Ok((host, port)) => check(&host, port),
            Err(error) => report(NAME, &error.into()),
        },
        [folder] => match Settings::from_environment() {
            Ok(settings) => serve(settings, Path::new(folder)),
            Err(error) => report(NAME, &error),
        },
        _ => {
            eprintln!(
                "usage: sutra-client FOLDER | healthcheck\nFOLDER has health.json and the page, html/. \
                 Configure the server with environment variables."
            );
            ExitCode::from(2)
        }
    }
}

fn serve(settings: Settings, folder: &Path) -> ExitCode {
    let site = match Site::read(folder) {
        Ok(site) => site,
        Err(reason) => return report(NAME, &StartError::Environment(reason)),
    };
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let connections = CONNECTIONS.min(connections_for(open_files(&limits)));
    let listen =
        Listen { host: settings.host.clone(), port: settings.port, connections, buffer: BUFFER_BYTES };
    let level = settings.log_level;
    run_routes(NAME, level, &listen, App::new(settings, site).into_router())
}

/// Maximum number of open files, from the text of `/proc/self/limits`; the usual limit if it is unknown.
fn open_files(limits: &str) -> usize {
    const USUAL: usize = 1024;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => usize::MAX,
        Some(soft) => soft.parse().unwrap_or(USUAL),
        None => USUAL,
    }
}

/// The limit of client connections. Each forwarded request needs a second file, which idle clients must not use up.
fn connections_for(files: usize) -> usize {
    (files.saturating_sub(OTHER_FILES) / 2).max(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_left_for_the_api_service() {
        let limits = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}       524288     files\n"
            )
        };
        for (text, expected) in [
            (limits("1024"), 480),
            (limits("1048576"), 524_256),
            (limits("unlimited"), usize::MAX / 2 - 32),
            (limits("10"), 8),
            (String::new(), 480),
        ] {
            assert_eq!(connections_for(open_files(&text)), expected, "{text}");
        }
    }
}
