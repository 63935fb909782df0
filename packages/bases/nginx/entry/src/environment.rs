//! The values of placeholders, from environment variables.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv6Addr;

use crate::resolver::first_nameserver;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// An environment variable; `None` if it is unset or empty. `RESOLVER` falls back to the container's name server, and an IPv6
/// address in `HOST` gets the brackets that nginx and URLs need.
pub(crate) fn look_up(name: &str) -> Result<Option<String>, String> {
    match std::env::var_os(name).map(OsString::into_string) {
        Some(Err(_)) => Err(format!("the value of {name} is not UTF-8")),
        Some(Ok(value)) if name == "HOST" && !value.is_empty() => Ok(Some(bracketed(value))),
        Some(Ok(value)) if !value.is_empty() => Ok(Some(value)),
        _ if name == "RESOLVER" => {
            // If the file is missing, the default in the template applies.
            Ok(fs::read_to_string(RESOLV_CONF).ok().as_deref().and_then(first_nameserver))
        }
        _ => Ok(None),
    }
}

fn bracketed(host: String) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipv6_addresses_get_brackets() {
        for (host, expected) in
            [("::", "[::]"), ("fe80::1", "[fe80::1]"), ("[::]", "[::]"), ("0.0.0.0", "0.0.0.0"), ("a", "a")]
        {
            assert_eq!(bracketed(host.to_owned()), expected);
        }
    }
}
