//! The address of another service.

use axum::http::Uri;

/// A service's address, `http://HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Default 80.
    pub port: u16,
    /// Prefix of every path, without a trailing slash.
    pub prefix: String,
    /// `HOST[:PORT]` as given, for the `Host` header.
    pub authority: String,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// The problem and the expected form. A user name in the address is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "set it to http://HOST:PORT";
        let uri: Uri = text.parse().map_err(|error| format!("{error}; {FORM}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "this service has no TLS; {FORM}, or to the address of a proxy that adds TLS"
                ));
            }
            _ => return Err(format!("it does not start with http://; {FORM}")),
        }
        let authority = uri.authority().ok_or_else(|| format!("it has no host; {FORM}"))?;
        if authority.as_str().contains('@') {
            return Err(format!("it contains a user name; {FORM}"));
        }
        if uri.query().is_some() {
            return Err(format!("it contains a query; {FORM}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // The parser drops an invalid port, so it is detected here.
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if !has_port => 80,
            None => return Err(format!("its port is not a number from 1 to 65535; {FORM}")),
        };
        if host.is_empty() || port == 0 {
            return Err(format!("its host is empty or its port is 0; {FORM}"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            authority: authority.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_addresses_are_parsed() {
        for (text, host, port, prefix, authority) in [
            ("http://sutra-hybrid:8001", "sutra-hybrid", 8001, "", "sutra-hybrid:8001"),
            ("http://hybrid", "hybrid", 80, "", "hybrid"),
            ("http://hybrid:1/a/b/", "hybrid", 1, "/a/b", "hybrid:1"),
            ("http://[::1]:9", "::1", 9, "", "[::1]:9"),
            ("http://[::1]", "::1", 80, "", "[::1]"),
            ("http://snake_case:2/", "snake_case", 2, "", "snake_case:2"),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!((address.prefix.as_str(), address.authority.as_str()), (prefix, authority), "{text}");
        }
    }

    #[test]
    fn invalid_addresses_are_explained() {
        for (text, expected) in [
            ("https://hybrid:8001", "no TLS"),
            ("hybrid:8001", "http://"),
            ("ftp://hybrid", "http://"),
            ("/learn", "http://"),
            ("http://user:secret@hybrid", "user name"),
            ("http://hybrid:99999", "port"),
            ("http://hybrid:x", "http://HOST:PORT"),
            ("http://hybrid:0", "port"),
            ("http://hybrid?a=b", "query"),
            ("http://", "http://HOST:PORT"),
            ("http://a b", "http://HOST:PORT"),
        ] {
            let problem = Address::parse(text).expect_err(text);
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
