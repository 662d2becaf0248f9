//! Which fields pass the router, which it removes, and which it writes.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::head::{RequestHead, connection_tokens};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Characters of a client's own request id; a longer one is replaced.
const REQUEST_ID_LENGTH: usize = 128;

/// Fields that concern one connection (RFC 9110 section 7.6.1), and those that only mean something to this router.
/// `Expect` is answered by the router itself.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that go end to end whatever a `Connection` field says: removing one of them by naming it would change what
/// the app sees of the request, or what a cache sees of the answer. Sorted.
const END_TO_END: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "baggage",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "etag",
    "expires",
    "forwarded",
    "from",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "referrer-policy",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "traceparent",
    "tracestate",
    "trailer",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

/// Families of end-to-end fields. `x-` are apps' own: what an app trusts must not vanish at a client's word.
const END_TO_END_PREFIXES: &[&str] = &["x-", "sec-", "access-control-"];

/// The client, in the forms fields need, made once per connection.
#[derive(Debug, Clone)]
pub struct Peer {
    address: HeaderValue,
    forwarded_for: String,
    pub ip: IpAddr,
}

impl Peer {
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let address = HeaderValue::try_from(ip.to_string()).expect("an address is ASCII");
        let forwarded_for = if ip.is_ipv6() { format!("for=\"[{ip}]\"") } else { format!("for={ip}") };
        Self { address, forwarded_for, ip }
    }
}

/// Makes a client's head the one an endpoint gets. `host` is the head's own, as looked up; `upgrade` the protocol it
/// may change to; `new_id` makes a request id where the client sent none.
pub fn to_endpoint(
    head: &mut RequestHead,
    peer: &Peer,
    host: &str,
    upgrade: Option<HeaderValue>,
    new_id: impl FnOnce() -> String,
) -> HeaderValue {
    strip_connection(&mut head.fields);
    strip_forwarded(&mut head.fields);
    let fields = &mut head.fields;
    if let Some(original) = fields.get(header::HOST).cloned() {
        fields.insert(FORWARDED_HOST, original);
    }
    fields.insert(FORWARDED_FOR, peer.address.clone());
    fields.insert(REAL_IP, peer.address.clone());
    fields.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Ok(forwarded) = HeaderValue::try_from(format!("{};host=\"{host}\";proto=http", peer.forwarded_for)) {
        fields.insert(header::FORWARDED, forwarded);
    }
    if let Some(protocol) = upgrade {
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(header::UPGRADE, protocol);
    }
    request_id(fields, new_id)
}

/// Makes an endpoint's head the one the client gets.
pub fn to_client(fields: &mut HeaderMap, upgraded: bool, request_id: &HeaderValue) {
    let protocol = if upgraded { fields.get(header::UPGRADE).cloned() } else { None };
    strip_connection(fields);
    if let Some(protocol) = protocol {
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(header::UPGRADE, protocol);
    }
    if !fields.contains_key(REQUEST_ID) {
        fields.insert(REQUEST_ID, request_id.clone());
    }
}

fn request_id(fields: &mut HeaderMap, new_id: impl FnOnce() -> String) -> HeaderValue {
    let mut sent = fields.get_all(REQUEST_ID).iter();
    let usable = |id: &&HeaderValue| {
        !id.is_empty() && id.len() <= REQUEST_ID_LENGTH && id.as_bytes().iter().all(|b| b.is_ascii_graphic() && *b != b'"')
    };
    match (sent.next().filter(usable).cloned(), sent.next()) {
        (Some(id), None) => id,
        _ => {
            let id = HeaderValue::try_from(new_id()).expect("a request id is hexadecimal");
            fields.insert(REQUEST_ID, id.clone());
            id
        }
    }
}

fn strip_connection(fields: &mut HeaderMap) {
    if fields.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = connection_tokens(fields)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .filter(|name| !is_end_to_end(name.as_str()))
            .collect();
        named.iter().for_each(|name| drop(fields.remove(name)));
    }
    for name in HOP_BY_HOP {
        fields.remove(*name);
    }
}

fn is_end_to_end(name: &str) -> bool {
    END_TO_END.binary_search(&name).is_ok() || END_TO_END_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Removes what a client says about who it is and how it came. Apps that read fields through CGI-like environments see
/// `_` and `-` as one, so twins written with `_` go too.
fn strip_forwarded(fields: &mut HeaderMap) {
    let claims: Vec<HeaderName> = fields.keys().filter(|name| claims_origin(name.as_str())).cloned().collect();
    claims.iter().for_each(|name| drop(fields.remove(name)));
}

fn claims_origin(name: &str) -> bool {
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f')) {
        return false;
    }
    let same = |known: &str, length: usize| {
        name.len() >= length && name.bytes().zip(known.bytes()).take(length).all(|(a, b)| a == b || (a == b'_' && b == b'-'))
    };
    let underscored_id = name.contains('_') && name.len() == REQUEST_ID.as_str().len() && same(REQUEST_ID.as_str(), name.len());
    name == "forwarded"
        || same("x-forwarded-", "x-forwarded-".len())
        || name == "x-forwarded"
        || (name.len() == REAL_IP.as_str().len() && same(REAL_IP.as_str(), name.len()))
        || underscored_id
}

#[cfg(test)]
mod tests;
