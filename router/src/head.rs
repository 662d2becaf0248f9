//! A request's head as the router's decisions see it, and what makes one unacceptable.

use http::{HeaderMap, HeaderValue, Method, Uri, header};

/// Method, target, version and fields, before any change by the router.
#[derive(Debug, Clone)]
pub struct RequestHead {
    pub method: Method,
    pub target: Uri,
    pub version: HttpVersion,
    pub fields: HeaderMap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    V10,
    V11,
}

/// Why a request is refused before it is looked up. The text is shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    #[error("the request has no Host field")]
    NoHost,
    #[error("the request has more than one Host field")]
    TwoHosts,
    #[error("the Host field is not a host name")]
    InvalidHost,
    #[error("the request's target names another host than its Host field")]
    HostDisagrees,
    #[error("the request's length is stated in two ways")]
    Framing,
    #[error("the request's target is not a path on this host")]
    Target,
}

impl RequestHead {
    /// The host the request is for: lowercase, without port and final dot.
    ///
    /// # Errors
    /// If the head is ambiguous about its host, its target or its body's length (RFC 9112 sections 3.2 and 6.1).
    pub fn host(&self) -> Result<String, BadHead> {
        let mut hosts = self.fields.get_all(header::HOST).iter();
        let host = hosts.next().ok_or(BadHead::NoHost)?;
        if hosts.next().is_some() {
            return Err(BadHead::TwoHosts);
        }
        let host = host_key(host.as_bytes()).ok_or(BadHead::InvalidHost)?;
        match self.target.authority() {
            Some(authority) if host_key(authority.as_str().as_bytes()).as_deref() != Some(&host) => {
                return Err(BadHead::HostDisagrees);
            }
            _ => {}
        }
        let path_or_star = self.target.path().starts_with('/') || (self.target.path() == "*" && self.method == Method::OPTIONS);
        if self.method == Method::CONNECT || !path_or_star {
            return Err(BadHead::Target);
        }
        self.framing()?;
        Ok(host)
    }

    fn framing(&self) -> Result<(), BadHead> {
        let mut lengths = self.fields.get_all(header::CONTENT_LENGTH).iter();
        let length = lengths.next();
        let mut encodings = self.fields.get_all(header::TRANSFER_ENCODING).iter();
        let encoding = encodings.next();
        let odd_length = lengths.next().is_some() || length.is_some_and(|l| !l.as_bytes().iter().all(u8::is_ascii_digit));
        let odd_encoding = encodings.next().is_some()
            || encoding.is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"chunked") || self.version == HttpVersion::V10);
        if odd_length || odd_encoding || (length.is_some() && encoding.is_some()) { Err(BadHead::Framing) } else { Ok(()) }
    }

    /// The protocol the request asks to change to. `None` for HTTP/1.0, for requests with a body, and for `h2c`, which
    /// would let a client talk HTTP/2 to an app past every rule of this router.
    pub fn asks_upgrade(&self) -> Option<HeaderValue> {
        let has_body = self.fields.contains_key(header::TRANSFER_ENCODING)
            || self.fields.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        let mut protocols = self.fields.get_all(header::UPGRADE).iter();
        let protocol = protocols.next()?;
        let single = protocols.next().is_none() && !protocol.as_bytes().contains(&b',');
        let allowed = single && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
        let asked = self.version == HttpVersion::V11 && names_token(&self.fields, "upgrade");
        (allowed && asked && !has_body).then(|| protocol.clone())
    }

    /// Whether the client reads HTML pages.
    pub fn accepts_html(&self) -> bool {
        self.fields.get_all(header::ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|text| text.contains("text/html")))
    }
}

/// Whether a `Connection` field names `token`.
pub fn names_token(fields: &HeaderMap, token: &str) -> bool {
    connection_tokens(fields).any(|named| named.eq_ignore_ascii_case(token))
}

/// Everything the `Connection` fields name.
pub fn connection_tokens(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = fields.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// Host names and IPv4 addresses, with or without a port; everything else has no app anyway.
fn host_key(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let name = name.strip_suffix('.').unwrap_or(name);
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > 253 || !name.bytes().all(valid) || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A head written as text: a request line, then `Name: value` lines.
    pub fn head(text: &str) -> RequestHead {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut words = lines.next().expect("request line").split(' ');
        let method = words.next().expect("method").parse().expect("method");
        let target = words.next().expect("target").parse().expect("target");
        let version = if words.next() == Some("HTTP/1.0") { HttpVersion::V10 } else { HttpVersion::V11 };
        let mut fields = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').expect("field");
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("name");
            fields.append(name, value.trim().parse().expect("value"));
        }
        RequestHead { method, target, version, fields }
    }

    #[test]
    fn the_host_is_unambiguous_or_the_request_is_refused() {
        let cases: &[(&str, Result<&str, BadHead>)] = &[
            ("GET / HTTP/1.1\nHost: Hello.LOCALHOST:8080", Ok("hello.localhost")),
            ("GET / HTTP/1.1\nHost: hello.localhost.", Ok("hello.localhost")),
            ("GET / HTTP/1.0\nHost: a", Ok("a")),
            ("OPTIONS * HTTP/1.1\nHost: a", Ok("a")),
            ("GET http://a.b/x HTTP/1.1\nHost: a.b", Ok("a.b")),
            ("GET http://c.d/x HTTP/1.1\nHost: a.b", Err(BadHead::HostDisagrees)),
            ("GET / HTTP/1.1", Err(BadHead::NoHost)),
            ("GET / HTTP/1.1\nHost: a\nHost: a", Err(BadHead::TwoHosts)),
            ("GET / HTTP/1.1\nHost:", Err(BadHead::InvalidHost)),
            ("GET / HTTP/1.1\nHost: a b", Err(BadHead::InvalidHost)),
            ("GET / HTTP/1.1\nHost: a/b", Err(BadHead::InvalidHost)),
            ("GET / HTTP/1.1\nHost: a:80x", Err(BadHead::InvalidHost)),
            ("GET / HTTP/1.1\nHost: user@a", Err(BadHead::InvalidHost)),
            ("CONNECT a:443 HTTP/1.1\nHost: a:443", Err(BadHead::Target)),
            ("GET * HTTP/1.1\nHost: a", Err(BadHead::Target)),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked", Err(BadHead::Framing)),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 3\nContent-Length: 3", Err(BadHead::Framing)),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: +3", Err(BadHead::Framing)),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked", Err(BadHead::Framing)),
            ("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked", Err(BadHead::Framing)),
        ];
        for (text, expected) in cases {
            assert_eq!(head(text).host().as_deref(), expected.as_ref().map(|s| *s), "{text}");
        }
    }

    #[test]
    fn only_plain_requests_may_ask_to_upgrade() {
        let cases = [
            ("GET / HTTP/1.1\nConnection: keep-alive, Upgrade\nUpgrade: websocket", Some("websocket")),
            ("GET / HTTP/1.1\nUpgrade: websocket", None),
            ("GET / HTTP/1.1\nConnection: upgrade", None),
            ("GET / HTTP/1.0\nConnection: upgrade\nUpgrade: websocket", None),
            ("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: H2C", None),
            ("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: websocket, h2c", None),
            ("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: websocket\nUpgrade: h2c", None),
            ("POST / HTTP/1.1\nConnection: upgrade\nUpgrade: x\nContent-Length: 5", None),
            ("POST / HTTP/1.1\nConnection: upgrade\nUpgrade: x\nContent-Length: 0", Some("x")),
        ];
        for (text, expected) in cases {
            let asked = head(text).asks_upgrade();
            assert_eq!(asked.as_ref().map(|value| value.to_str().expect("text")), expected, "{text}");
        }
    }
}
