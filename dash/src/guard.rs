//! Who may ask: the host a page is asked from, the page a change is asked from, and what a page may load.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dinp_common::problem::Problem;
use http::header::{CACHE_CONTROL, HOST, HeaderName, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method};

use crate::config::DashConfig;
use crate::refusal::Refusal;
use crate::site::Site;

/// Scripts and styles come from here alone, nothing is inline, and nobody frames the pages.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                              form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CONTENT_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
];

/// Refuses what must not come in.
pub(crate) async fn admission(State(site): State<Site>, request: Request, next: Next) -> Response {
    match admit(site.config(), &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Puts the headers on all that goes out, refusals included.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // A page holds what its reader may see; no cache between may keep it.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn admit(config: &DashConfig, request: &Request) -> Result<(), Refusal> {
    let host = host(request);
    if !host.as_deref().is_some_and(|host| is_ours(config, host)) {
        let host = host.unwrap_or_else(|| "a host without a name".to_owned());
        let why = format!("The dashboard is not served as {host}: pages of an app there could act for whoever is signed in.");
        return Err(Problem::new(421, "wrong_host", why)
            .suggest("Open it by localhost, by the machine's address, or by a host named in its configuration.")
            .into());
    }
    if is_change(request.method()) && !from_own_page(request.headers()) {
        let why = "A change was asked for from another site's page, or by a browser that does not say from which.";
        return Err(Problem::new(403, "foreign_origin", why)
            .suggest("Ask from the dashboard's own page; programs use the API with a token.")
            .into());
    }
    Ok(())
}

/// The host the browser asked for, without its port, lowercase.
fn host(request: &Request) -> Option<String> {
    let text = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let authority: Authority = text.or(request.uri().host())?.parse().ok()?;
    Some(authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_lowercase())
}

/// Every name not known to be ours is refused, which also ends attacks that point a foreign name at our address.
pub(crate) fn is_ours(config: &DashConfig, host: &str) -> bool {
    let below = host.strip_suffix(config.domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
    host == "localhost" || host.parse::<IpAddr>().is_ok() || (!below && config.hosts.iter().any(|own| own == host))
}

pub(crate) fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the browser says that a page of this very origin asks. Apps on sibling hosts are "same-site", which is not
/// enough. A browser too old for `Sec-Fetch-Site` must send an `Origin` that is the host it asks.
pub(crate) fn from_own_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(ORIGIN), text(HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header value"))).collect()
    }

    #[test]
    fn only_own_hosts_are_served() {
        let config = DashConfig {
            domain: "apps.example.com".into(),
            hosts: vec!["paas.example.com".into(), "x.apps.example.com".into()],
            https: false,
        };
        for host in ["localhost", "127.0.0.1", "::1", "10.0.0.7", "paas.example.com"] {
            assert!(is_ours(&config, host), "{host}");
        }
        // The third is configured, yet below the apps' domain: the promise wins over the configuration.
        for host in ["shop.apps.example.com", "apps.example.com", "x.apps.example.com", "evil.example", ""] {
            assert!(!is_ours(&config, host), "{host}");
        }
        assert!(!is_ours(&DashConfig::default(), "hello.localhost"));
    }

    #[test]
    fn only_own_pages_change_anything() {
        assert!(from_own_page(&headers(&[("sec-fetch-site", "same-origin")])));
        for site in ["same-site", "cross-site", "none"] {
            let pairs = [("sec-fetch-site", site), ("origin", "http://localhost:8081"), ("host", "localhost:8081")];
            assert!(!from_own_page(&headers(&pairs)), "{site}");
        }
        assert!(from_own_page(&headers(&[("origin", "http://localhost:8081"), ("host", "localhost:8081")])));
        assert!(!from_own_page(&headers(&[("origin", "http://localhost:8080"), ("host", "localhost:8081")])));
        assert!(!from_own_page(&headers(&[("origin", "null"), ("host", "localhost:8081")])));
        assert!(!from_own_page(&headers(&[("host", "localhost:8081")])));
    }
}
