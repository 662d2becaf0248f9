//! How requests travel: over TCP, or straight into a service of the same process.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use http::{Request, Response, Uri};
use http_body::Body as HttpBody;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Collected, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::connection::Listening;
use crate::error::ClientError;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
/// A request's or an answer's body, whatever it comes from.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// How long a TCP connection may take to open: a server in reach answers in milliseconds, a firewall never.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an unused connection is kept, below the time after which servers close theirs.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// Wraps any service that answers HTTP requests.
pub(crate) fn of_service<S, B>(service: S) -> Transport
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service
        .map_err(Into::into)
        .map_response(|response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync()));
    BoxCloneSyncService::new(service)
}

/// One exchange as a future of a named type. Inside an `async fn` the compiler would forget that the error's box is
/// `'static`, and nothing built on a call could be spawned or be a handler.
pub(crate) fn exchange(transport: &Transport, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, BoxError>> {
    transport.clone().oneshot(request).boxed()
}

/// A body read whole, up to `limit` bytes; boxed for the same reason.
pub(crate) fn collect(body: Body, limit: usize) -> BoxFuture<'static, Result<Bytes, BoxError>> {
    Limited::new(body, limit).collect().map_ok(Collected::to_bytes).boxed()
}

pub(crate) fn over_tcp() -> Transport {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector.set_nodelay(true);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .build::<_, Body>(ServiceExt::<Uri>::map_response(connector, Listening));
    of_service(client)
}

/// Checks a server's address and gives it without a slash at its end.
pub(crate) fn base_url(url: &str) -> Result<String, ClientError> {
    let refuse = |why: &str| ClientError::Address { url: url.to_owned(), why: why.to_owned() };
    let uri: Uri = url.trim().parse().map_err(|_| refuse("it is not a URL; write for example http://127.0.0.1:8081"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(refuse("https is not in this version; reach a distant server through ssh -L 8081:127.0.0.1:8081 HOST"));
        }
        _ => return Err(refuse("it does not begin with http://")),
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(refuse("a server's URL has no path; write for example http://127.0.0.1:8081"));
    }
    Ok(url.trim().trim_end_matches('/').to_owned())
}

/// Tells a server nobody reached from a connection that ended in mid-call.
pub(crate) fn explain(url: &str, error: &BoxError) -> ClientError {
    let why = root_cause(error.as_ref());
    match error.downcast_ref::<hyper_util::client::legacy::Error>() {
        Some(error) if error.is_connect() => ClientError::Unreachable { url: url.to_owned(), why },
        _ => ClientError::Interrupted { url: url.to_owned(), why },
    }
}

/// The last error of the chain says what really happened; those around it only where.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_servers_are_taken() {
        assert_eq!(base_url("http://127.0.0.1:8081/").expect("plain"), "http://127.0.0.1:8081");
        let why = |url: &str| base_url(url).expect_err("refused").to_string();
        assert!(why("https://paas.example").contains("ssh -L"));
        assert!(why("127.0.0.1:8081").contains("http://"));
        assert!(why("http://host/v1").contains("no path"));
        assert!(why("not a url").contains("not a URL"));
    }
}
