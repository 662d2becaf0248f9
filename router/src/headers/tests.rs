use proptest::prelude::*;

use super::*;
use crate::head::tests::head;

fn prepared(text: &str) -> RequestHead {
    let mut head = head(text);
    let upgrade = head.asks_upgrade();
    let host = head.host().expect("host");
    to_endpoint(&mut head, &Peer::new("192.0.2.7".parse().expect("ip")), &host, upgrade, || "new".to_owned());
    head
}

fn field<'a>(head: &'a RequestHead, name: &str) -> Option<&'a str> {
    head.fields.get(name).map(|value| value.to_str().expect("text"))
}

#[test]
fn claims_about_the_client_are_replaced() {
    let head = prepared(
        "GET / HTTP/1.1\nHost: a.localhost:8080\nX-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Prefix: /x\n\
         X_Forwarded_For: 6.6.6.6\nX-Forwarded_Host: evil\nForwarded: for=6.6.6.6\nX-Real-IP: 6.6.6.6\nX_Real_IP: 6.6.6.6\n\
         X_Request_Id: forged\nX-Forward: kept",
    );
    assert_eq!(field(&head, "host"), Some("a.localhost:8080"));
    assert_eq!(field(&head, "x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("a.localhost:8080"));
    assert_eq!(field(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(field(&head, "x-real-ip"), Some("192.0.2.7"));
    assert_eq!(field(&head, "forwarded"), Some("for=192.0.2.7;host=\"a.localhost\";proto=http"));
    assert_eq!(field(&head, "x-request-id"), Some("new"));
    assert_eq!(field(&head, "x-forward"), Some("kept"));
    for gone in ["x-forwarded-prefix", "x_forwarded_for", "x-forwarded_host", "x_real_ip", "x_request_id"] {
        assert_eq!(field(&head, gone), None, "{gone}");
    }
}

#[test]
fn an_ipv6_client_is_quoted_and_a_mapped_one_is_ipv4() {
    let forwarded = |ip: &str| Peer::new(ip.parse().expect("ip")).forwarded_for;
    assert_eq!(forwarded("2001:db8::1"), "for=\"[2001:db8::1]\"");
    assert_eq!(forwarded("::ffff:192.0.2.1"), "for=192.0.2.1");
}

#[test]
fn connection_fields_go_and_named_ones_with_them() {
    let head = prepared(
        "POST / HTTP/1.1\nHost: a\nConnection: keep-alive, foo, Host, x-forwarded-for, cookie, Content-Length, x-tenant\n\
         Connection: authorization\nKeep-Alive: 5\nFoo: hop\nCookie: c=1\nContent-Length: 0\nX-Tenant: t\nAuthorization: b\n\
         Proxy-Authorization: p\nTE: trailers\nExpect: 100-continue\nUpgrade: websocket",
    );
    for gone in ["connection", "keep-alive", "foo", "proxy-authorization", "te", "expect", "upgrade"] {
        assert_eq!(field(&head, gone), None, "{gone}");
    }
    for kept in ["host", "cookie", "content-length", "x-tenant", "authorization", "x-forwarded-for"] {
        assert!(field(&head, kept).is_some(), "{kept}");
    }
}

#[test]
fn an_allowed_upgrade_is_asked_for_again() {
    let head = prepared("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, foo\nUpgrade: websocket\nFoo: 1\nSec-WebSocket-Key: k");
    assert_eq!(field(&head, "connection"), Some("upgrade"));
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "sec-websocket-key"), Some("k"));
    assert_eq!(field(&head, "foo"), None);
}

#[test]
fn a_request_id_is_kept_if_it_is_one() {
    for (sent, expected) in [("abc-1", "abc-1"), ("a b", "new"), ("a\"b", "new"), ("", "new"), (&"x".repeat(129), "new")] {
        let head = prepared(&format!("GET / HTTP/1.1\nHost: a\nX-Request-Id: {sent}"));
        assert_eq!(field(&head, "x-request-id"), Some(expected), "{sent:?}");
    }
    let twice = prepared("GET / HTTP/1.1\nHost: a\nX-Request-Id: a\nX-Request-Id: b");
    assert_eq!(twice.fields.get_all("x-request-id").iter().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn answers_lose_their_connection_fields_and_gain_the_request_id() {
    let mut fields =
        head("GET / HTTP/1.1\nConnection: close, bar\nBar: 1\nTransfer-Encoding: chunked\nSet-Cookie: a\nVary: b").fields;
    to_client(&mut fields, false, &HeaderValue::from_static("id"));
    let mut names: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["set-cookie", "vary", "x-request-id"]);
}

#[test]
fn the_list_of_end_to_end_fields_can_be_searched() {
    assert!(END_TO_END.is_sorted());
    assert!(HOP_BY_HOP.iter().all(|name| !is_end_to_end(name)));
}

proptest! {
    /// Whatever a client names in `Connection`, the router's own fields and all end-to-end fields arrive.
    #[test]
    fn nothing_end_to_end_can_be_named_away(
        named in proptest::collection::vec(
            prop_oneof![proptest::sample::select(END_TO_END), proptest::sample::select(HOP_BY_HOP), Just("x-forwarded-for"), Just("own-hop")],
            0..12,
        ),
        upper in any::<bool>(),
    ) {
        let mut text = "GET / HTTP/1.1\nHost: a\nCookie: c\nX-App: 1\nOwn-Hop: 1\nAuthorization: b\nRange: r\nX-Real-IP: 6.6.6.6".to_owned();
        for name in &named {
            let name = if upper { name.to_uppercase() } else { (*name).to_owned() };
            text += &format!("\nConnection: {name}");
        }
        let head = prepared(&text);
        for kept in ["host", "cookie", "x-app", "authorization", "range", "x-forwarded-for", "x-real-ip", "forwarded", "x-request-id"] {
            prop_assert!(field(&head, kept).is_some(), "{kept} is gone");
        }
        prop_assert_eq!(field(&head, "x-real-ip"), Some("192.0.2.7"));
        prop_assert_eq!(field(&head, "own-hop").is_none(), named.contains(&"own-hop"));
        prop_assert!(HOP_BY_HOP.iter().all(|name| field(&head, name).is_none()));
    }
}
