//! The server of the optimized client image: serves the web page and forwards `/api/` to the api service.
//!
//! It behaves as nginx does with `nginx.conf.template`, which the original image uses; README.md lists the differences. The page's
//! files are read once, at startup, and served from memory, so no request reaches the file system. Bodies of forwarded requests
//! and of their answers are streamed and never held as a whole.

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

/// Maximum number of connections of clients. A few thousand half-open ones leave room for others until their time is up.
const CONNECTIONS: usize = 2048;

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
    let listen = Listen { host: settings.host.clone(), port: settings.port, connections: CONNECTIONS };
    let level = settings.log_level;
    run_routes(NAME, level, &listen, App::new(settings, site).into_router())
}
