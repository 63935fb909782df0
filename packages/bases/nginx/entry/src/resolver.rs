//! The name server for the `resolver` directive, which nginx needs to resolve names at run time.

use std::net::IpAddr;

/// The first name server of a `resolv.conf`, in the form of the `resolver` directive (IPv6 in brackets).
pub(crate) fn first_nameserver(resolv_conf: &str) -> Option<String> {
    resolv_conf.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            return None;
        }
        // nginx does not support zones (`fe80::1%eth0`).
        match words.next()?.parse().ok()? {
            IpAddr::V4(address) => Some(address.to_string()),
            IpAddr::V6(address) => Some(format!("[{address}]")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usable_name_server_is_used() {
        for (text, expected) in [
            (
                "# nameserver 1.1.1.1\nsearch a b\nnameserver 127.0.0.11\nnameserver 9.9.9.9\n",
                Some("127.0.0.11"),
            ),
            ("nameserver\t2001:db8::53", Some("[2001:db8::53]")),
            ("nameserver fe80::1%eth0\nnameserver ::1", Some("[::1]")),
            ("nameserver\nnameservers 1.2.3.4\n", None),
            ("", None),
        ] {
            assert_eq!(first_nameserver(text).as_deref(), expected, "{text:?}");
        }
    }
}
