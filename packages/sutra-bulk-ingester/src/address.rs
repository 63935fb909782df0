//! Where another service is.

use axum::http::Uri;

/// A service's address, `http://HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// 80 where none is given.
    pub port: u16,
    /// What every path begins with; no slash at the end.
    pub prefix: String,
    /// `HOST[:PORT]` as it was given, for the header `Host`.
    pub authority: String,
}

impl Address {
    /// Reads an address. The error says what is wrong with it and what to set instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "set it to http://HOST:PORT";
        let uri: Uri = text.parse().map_err(|error| format!("{error}; {FORM}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "this service speaks plain HTTP to its neighbours and has no TLS; {FORM}, if need be that of a \
                     proxy which speaks TLS"
                ));
            }
            _ => return Err(format!("it does not begin with http://; {FORM}")),
        }
        let authority = uri.authority().ok_or_else(|| format!("it names no host; {FORM}"))?;
        if authority.as_str().contains('@') {
            return Err(format!("it holds a user name; {FORM}"));
        }
        if uri.query().is_some() {
            return Err(format!("it holds a query; {FORM}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // A port that is no number is left out by the parser, so it must be found here.
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if !has_port => 80,
            None => return Err(format!("its port is no number from 1 to 65535; {FORM}")),
        };
        if host.is_empty() || port == 0 {
            return Err(format!("it names no host or no port; {FORM}"));
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
    fn an_address_is_taken_apart() {
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
    fn what_cannot_be_used_is_explained() {
        for (text, says) in [
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
            let what = Address::parse(text).expect_err(text);
            assert!(what.contains(says), "{text}: {what}");
            assert!(!what.contains("secret"), "{what}");
        }
    }
}
