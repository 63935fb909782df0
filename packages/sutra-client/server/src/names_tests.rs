use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA};

use super::*;

/// A server that answers every query with these records, after an unsolicited response. Returns its address.
async fn server(code: RCODE, v4: &'static [[u8; 4]], v6: &'static [u128]) -> SocketAddr {
    server_of_kinds(Some(code), v4, Some(code), v6).await
}

/// The same with a response code for each kind, or `None` for no response.
async fn server_of_kinds(
    v4_code: Option<RCODE>,
    v4: &'static [[u8; 4]],
    v6_code: Option<RCODE>,
    v6: &'static [u128],
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Packet::parse(&buffer[..length]).expect("a query");
            let question = query.questions[0].clone();
            let mut answer = Packet::new_reply(query.id());
            let code = if question.qtype == QTYPE::TYPE(TYPE::A) { v4_code } else { v6_code };
            let Some(code) = code else { continue };
            *answer.rcode_mut() = code;
            let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, 1, data);
            match question.qtype {
                QTYPE::TYPE(TYPE::A) => answer.answers.extend(
                    v4.iter().map(|&bytes| record(RData::A(A { address: u32::from_be_bytes(bytes) }))),
                ),
                _ => answer.answers.extend(v6.iter().map(|&address| record(RData::AAAA(AAAA { address })))),
            }
            answer.questions.push(question.clone());
            let bytes = answer.build_bytes_vec().expect("bytes");
            let mut forged = bytes.clone();
            forged[0] ^= 0xff;
            for bytes in [b"garbage", &forged[..], &buffer[..length], &bytes] {
                socket.send_to(bytes, from).await.expect("sent");
            }
        }
    });
    address
}

#[tokio::test]
async fn a_name_server_is_asked_for_both_kinds_of_addresses() {
    let address = server(RCODE::NoError, &[[10, 0, 0, 7], [10, 0, 0, 8]], &[1]).await;
    let found = Names::new(Some(address)).addresses("sutra-api").await.expect("addresses");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["10.0.0.7", "10.0.0.8", "::1"]);
}

#[tokio::test]
async fn errors_of_a_name_server_are_reported() {
    for (code, expected) in [
        (RCODE::NameError, "does not exist"),
        (RCODE::ServerFailure, "ServerFailure"),
        (RCODE::NoError, "no address"),
    ] {
        let names = Names::new(Some(server(code, &[], &[]).await));
        let reason = names.addresses("sutra-api").await.expect_err("no address");
        assert!(reason.contains(expected), "{reason}");
    }
}

#[tokio::test]
async fn addresses_of_one_kind_are_enough() {
    let v4: &[[u8; 4]] = &[[10, 0, 0, 7]];
    for code in [Some(RCODE::NameError), Some(RCODE::ServerFailure), Some(RCODE::NotImplemented), None] {
        let found = Names::new(Some(server_of_kinds(Some(RCODE::NoError), v4, code, &[]).await));
        assert_eq!(found.addresses("sutra-api").await, Ok(vec![[10, 0, 0, 7].into()]), "{code:?}");
        let found = Names::new(Some(server_of_kinds(code, &[], Some(RCODE::NoError), &[1]).await));
        assert_eq!(found.addresses("sutra-api").await, Ok(vec![Ipv6Addr::LOCALHOST.into()]), "{code:?}");
    }
}

#[tokio::test]
async fn an_error_for_one_kind_is_reported_if_the_other_has_no_address() {
    let server = server_of_kinds(Some(RCODE::NoError), &[], Some(RCODE::ServerFailure), &[]).await;
    let reason = Names::new(Some(server)).addresses("sutra-api").await.expect_err("no address");
    assert!(reason.contains("ServerFailure"), "{reason}");
}

#[tokio::test]
async fn addresses_are_looked_up_again_after_ten_seconds() {
    // Nothing listens there.
    let names = Names::new(Some("127.0.0.1:1".parse().expect("an address")));
    let old = vec![IpAddr::from([10, 0, 0, 1])];
    *names.last.lock().await = Some((Instant::now(), Ok(old.clone())));
    assert_eq!(names.addresses("sutra-api").await, Ok(old.clone()));
    let expired = Instant::now().checked_sub(VALID).expect("a time");
    *names.last.lock().await = Some((expired, Ok(old)));
    assert!(names.addresses("sutra-api").await.is_err());
}

#[tokio::test]
async fn addresses_need_no_name_server() {
    let names = Names::new(Some("127.0.0.1:1".parse().expect("an address")));
    assert_eq!(names.addresses("::1").await, Ok(vec![Ipv6Addr::LOCALHOST.into()]));
}
