//! The addresses of the api service. They are looked up repeatedly, because a replaced container gets a new one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

/// How long addresses are cached.
const VALID: Duration = Duration::from_secs(10);

/// How long a failure is cached, for requests that waited for the same lookup.
const FAILED: Duration = Duration::from_secs(1);

/// Timeout of a lookup.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for IPv6 addresses once IPv4 addresses are known, or vice versa: some name servers answer only one query.
const OTHER_KIND: Duration = Duration::from_millis(300);

/// After this, the query is sent again: datagrams get lost.
const RETRY: Duration = Duration::from_secs(2);

/// Maximum size of a response, in bytes.
const MAX_ANSWER: usize = 4096;

/// The addresses of a host, or why there are none.
type Addresses = Result<Vec<IpAddr>, String>;

/// Resolves names, one lookup at a time.
#[derive(Debug)]
pub(crate) struct Names {
    /// `None` for the system's resolver, which includes `/etc/hosts`.
    server: Option<SocketAddr>,
    last: Mutex<Option<(Instant, Addresses)>>,
}

impl Names {
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        Self { server, last: Mutex::default() }
    }

    /// The addresses of a host, at least one. Call it with the same host every time.
    pub(crate) async fn addresses(&self, host: &str) -> Addresses {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last {
            let valid = if result.is_ok() { VALID } else { FAILED };
            if at.elapsed() < valid {
                return result.clone();
            }
        }
        let result = self
            .look_up(host)
            .await
            .and_then(|found| if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) });
        *last = Some((Instant::now(), result.clone()));
        result
    }

    async fn look_up(&self, host: &str) -> Addresses {
        match self.server {
            None => {
                let found = timeout(TIMEOUT, lookup_host((host, 0))).await;
                let found = found.map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?;
                let found = found.map_err(|error| error.to_string())?;
                let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                addresses.dedup();
                Ok(addresses)
            }
            Some(server) => {
                ask(server, host).await.map_err(|reason| format!("name server {server}: {reason}"))
            }
        }
    }
}

/// Queries IPv4 and IPv6 addresses in parallel.
async fn ask(server: SocketAddr, host: &str) -> Addresses {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let text = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((any, 0)).await.map_err(text)?;
    socket.connect(server).await.map_err(text)?;
    let mut open = Vec::new();
    for kind in [TYPE::A, TYPE::AAAA] {
        open.push(Query::new(host, kind)?);
    }
    let mut found: Vec<IpAddr> = Vec::new();
    // An error counts only if the other kind has no address: some name servers know IPv4 only.
    let mut failure = None;
    let mut end = Instant::now() + TIMEOUT;
    let mut buffer = vec![0; MAX_ANSWER];
    while !open.is_empty() && Instant::now() < end {
        for query in &open {
            socket.send(&query.bytes).await.map_err(text)?;
        }
        let retry = Instant::now() + RETRY;
        while let Ok(received) = timeout_at(retry.min(end), socket.recv(&mut buffer)).await {
            let length = received.map_err(text)?;
            // Unsolicited responses are ignored: anyone can send a datagram.
            let answered = open
                .iter()
                .enumerate()
                .find_map(|(place, query)| Some((place, query.read(buffer.get(..length)?)?)));
            if let Some((place, addresses)) = answered {
                open.remove(place);
                match addresses {
                    Ok(addresses) => found.extend(addresses),
                    Err(reason) => failure = Some(reason),
                }
                if !found.is_empty() {
                    end = end.min(Instant::now() + OTHER_KIND);
                }
            }
            if open.is_empty() {
                break;
            }
        }
    }
    if found.is_empty() {
        let silence = (!open.is_empty()).then(|| format!("no answer within {} s", TIMEOUT.as_secs()));
        if let Some(reason) = failure.or(silence) {
            return Err(reason);
        }
    }
    // IPv4 first, whichever response arrived first.
    found.sort_by_key(IpAddr::is_ipv6);
    Ok(found)
}

/// A DNS query for a name.
struct Query {
    id: u16,
    name: Name<'static>,
    kind: TYPE,
    bytes: Vec<u8>,
}

impl Query {
    fn new(host: &str, kind: TYPE) -> Result<Self, String> {
        let name = Name::new(host.trim_end_matches('.')).map_err(|error| error.to_string())?.into_owned();
        // The standard library seeds `RandomState` from the operating system.
        let [a, b, ..] = RandomState::new().hash_one(()).to_be_bytes();
        let id = u16::from_be_bytes([a, b]);
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            name.clone(),
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        let bytes = packet.build_bytes_vec().map_err(|error| error.to_string())?;
        Ok(Self { id, name, kind, bytes })
    }

    /// The addresses in the response to this query; `None` if the response belongs to another query.
    fn read(&self, bytes: &[u8]) -> Option<Addresses> {
        let packet = Packet::parse(bytes).ok()?;
        let is_answered = packet.id() == self.id
            && packet.has_flags(PacketFlag::RESPONSE)
            && packet.questions.iter().any(|question| {
                question.qtype == QTYPE::TYPE(self.kind)
                    && question.qname.to_string().eq_ignore_ascii_case(&self.name.to_string())
            });
        if !is_answered {
            return None;
        }
        match packet.rcode() {
            RCODE::NoError => {}
            RCODE::NameError => return Some(Err("the name does not exist".to_owned())),
            code => return Some(Err(format!("error {code:?}"))),
        }
        let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
            RData::A(data) => Some(Ipv4Addr::from(data.address).into()),
            RData::AAAA(data) => Some(Ipv6Addr::from(data.address).into()),
            _ => None,
        });
        Some(Ok(addresses.collect()))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
