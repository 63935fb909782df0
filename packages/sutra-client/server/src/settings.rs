//! The settings, read from the environment.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use log::LevelFilter;
use sutra_service::{Address, SettingsError, StartError, variable};

const PORT: u16 = 8080;
const API: &str = "http://sutra-api:8000";
const DNS_PORT: u16 = 53;

/// The settings of the server.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `HOST`: address or host name to listen on; default 0.0.0.0.
    pub host: String,
    /// `PORT`: port to listen on; 0 picks a free one.
    pub port: u16,
    /// `API_URL`. The page is served even if it is invalid.
    pub api: Result<Address, String>,
    /// `LOG_LEVEL`; default warn.
    pub log_level: LevelFilter,
    /// `RESOLVER`: the name server to use instead of the system's.
    pub resolver: Option<SocketAddr>,
}

impl Settings {
    /// Reads the environment. An empty variable counts as unset.
    pub(crate) fn from_environment() -> Result<Self, StartError> {
        let (host, port) = listen()?;
        let api: String = variable("API_URL", "an address")?.unwrap_or_else(|| API.to_owned());
        let level: String = variable("LOG_LEVEL", LEVELS)?.unwrap_or_else(|| "warn".to_owned());
        let resolver: Option<String> = variable("RESOLVER", "the address of a name server")?;
        Ok(Self {
            host,
            port,
            api: Address::parse(&api).map_err(|reason| format!("API_URL is invalid: {reason}")),
            log_level: log_level(&level)?,
            resolver: resolver.map(|text| name_server(&text)).transpose()?,
        })
    }
}

/// `HOST` and `PORT`, all that a health check needs: resolving `RESOLVER` could exceed the check's timeout.
pub(crate) fn listen() -> Result<(String, u16), SettingsError> {
    let host: String = variable("HOST", "an address")?.unwrap_or_else(|| "0.0.0.0".to_owned());
    let port = variable("PORT", "a port from 0 to 65535")?.unwrap_or(PORT);
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

const LEVELS: &str = "debug, info, notice, warn, error or crit";

/// Maps the levels of nginx, which has more of them.
fn log_level(text: &str) -> Result<LevelFilter, SettingsError> {
    Ok(match text {
        "debug" => LevelFilter::Debug,
        "info" | "notice" => LevelFilter::Info,
        "warn" | "warning" => LevelFilter::Warn,
        "error" | "crit" => LevelFilter::Error,
        _ => return Err(SettingsError(format!("invalid value: LOG_LEVEL={text:?}; set it to {LEVELS}"))),
    })
}

/// `ADDRESS`, `ADDRESS:PORT`, `[IPv6]:PORT`, or the same with a name. A name that cannot be resolved now may be resolved later, so it
/// is not an invalid setting.
fn name_server(text: &str) -> Result<SocketAddr, StartError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DNS_PORT));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (text, Some(DNS_PORT)),
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let Some(port) = port.filter(|_| is_name) else {
        let message = format!("invalid value: RESOLVER={text:?}; set it to the address of a name server");
        return Err(StartError::Configuration(message));
    };
    let found = (name, port).to_socket_addrs().map(|mut addresses| addresses.next());
    let reason = match found {
        Ok(Some(address)) => return Ok(address),
        Ok(None) => "it has no address".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(StartError::Environment(format!("cannot resolve RESOLVER={text:?}: {reason}; set it to an address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_nginx_are_accepted() {
        for (text, expected) in [
            ("debug", LevelFilter::Debug),
            ("notice", LevelFilter::Info),
            ("warning", LevelFilter::Warn),
            ("crit", LevelFilter::Error),
        ] {
            assert_eq!(log_level(text), Ok(expected));
        }
        for text in ["WARN", "trace", "../warn", "off"] {
            let error = log_level(text).expect_err(text);
            assert!(error.0.contains("LOG_LEVEL") && error.0.contains(text), "{error}");
        }
    }

    #[test]
    fn name_servers_may_have_a_port() {
        for (text, expected) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("10.0.0.2:5353", "10.0.0.2:5353"),
            ("[::1]", "[::1]:53"),
            ("::1", "[::1]:53"),
            ("[::1]:54", "[::1]:54"),
        ] {
            assert_eq!(name_server(text).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        // Resolves on every machine, without a name server.
        assert!(name_server("localhost:5353").is_ok_and(|address| address.ip().is_loopback()));
        for text in ["a b", "a:b", ":53", "a:65536"] {
            match name_server(text) {
                Err(StartError::Configuration(message)) => assert!(message.contains("RESOLVER"), "{message}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
