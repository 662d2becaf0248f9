//! One request and its answer: deadlines, credentials, idempotency keys, decoding.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dinp_common::problem::{PROBLEM_JSON, Problem};
use dinp_common::token::Token;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Empty, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::Service;

use crate::error::ClientError;
use crate::transport::{self, Body, BoxError, Transport};

/// How long a plain call may take, its answer's body included.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// What a long poll may take beyond the wait it asks for.
pub(crate) const POLL_MARGIN: Duration = Duration::from_secs(10);
/// Bytes of a JSON answer: a full page of the largest shapes stays far below.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Characters of an answer nobody understands that are worth showing.
const EXCERPT_CHARS: usize = 200;

/// A server's API, with the credentials of one caller. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    base: String,
    credentials: Option<HeaderValue>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.base)
    }
}

impl Client {
    /// A client of the server at `url` (`http://host:port`). Nothing is sent yet.
    pub fn connect(url: &str, token: Option<Token>) -> Result<Self, ClientError> {
        let base = transport::base_url(url)?;
        Ok(Self { transport: transport::over_tcp(), base, credentials: token.map(bearer) })
    }

    /// A client of an API in the same process, such as an axum router.
    pub fn in_memory<S, B>(service: S, token: Option<Token>) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let base = "http://in-memory.invalid".to_owned();
        Self { transport: transport::of_service(service), base, credentials: token.map(bearer) }
    }

    /// The same server, as another caller.
    pub fn with_token(&self, token: Token) -> Self {
        Self { credentials: Some(bearer(token)), ..self.clone() }
    }

    /// The server's address as it was given.
    pub fn url(&self) -> &str {
        &self.base
    }

    pub(crate) fn credentials(&self) -> Option<&HeaderValue> {
        self.credentials.as_ref()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, None, CALL_DEADLINE).await
    }

    /// A GET that the server may hold for `wait`.
    pub(crate) async fn poll<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, ClientError> {
        self.call(Method::GET, path, None, wait + POLL_MARGIN).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.call(Method::POST, path, Some(self.encode(body)?), CALL_DEADLINE).await
    }

    pub(crate) async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::POST, path, None, CALL_DEADLINE).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.call(Method::PATCH, path, Some(self.encode(body)?), CALL_DEADLINE).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, None, CALL_DEADLINE).await
    }

    pub(crate) fn encode(&self, body: &impl Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|error| self.protocol(format!("the request cannot be written: {error}")))
    }

    /// Sends a request and reads its answer, both within the deadline.
    ///
    /// A connection lost in mid-call is tried once more: GET and DELETE say where to arrive, and a POST's key keeps
    /// the server from acting twice.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        deadline: Duration,
    ) -> Result<T, ClientError> {
        let key = (method == Method::POST).then(idempotency_key);
        let once = || self.attempt(method.clone(), path, body.clone(), key.clone());
        let both = async {
            match once().await {
                Err(ClientError::Interrupted { why, .. }) if method != Method::PATCH => {
                    tracing::debug!(%why, path, "connection lost, asking again");
                    once().await
                }
                answer => answer,
            }
        };
        tokio::time::timeout(deadline, both).await.map_err(|_| self.late(deadline))?
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        key: Option<HeaderValue>,
    ) -> Result<T, ClientError> {
        let mut request = self.request(method, path).header(ACCEPT, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = match body {
            Some(json) => {
                request = request.header(CONTENT_TYPE, "application/json");
                full(json)
            }
            None => empty(),
        };
        let response = self.send(request, body).await?;
        self.read(response).await
    }

    /// Reads an answer whole. What has no body reads as `null`.
    pub(crate) async fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, ClientError> {
        let answer = self.collect(response.into_body()).await?;
        let text: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(text).map_err(|error| self.protocol(error.to_string()))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(USER_AGENT, concat!("dinp-client/", env!("CARGO_PKG_VERSION")));
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        request
    }

    /// Sends a request and gives the answer's head, with what is not a success made into an error. The caller bounds
    /// the time.
    pub(crate) async fn send(&self, request: http::request::Builder, body: Body) -> Result<Response<Body>, ClientError> {
        let request = request.body(body).map_err(|error| self.protocol(format!("the request cannot be written: {error}")))?;
        let response =
            transport::exchange(&self.transport, request).await.map_err(|error| transport::explain(&self.base, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn collect(&self, body: Body) -> Result<Bytes, ClientError> {
        match transport::collect(body, ANSWER_BYTES).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(self.protocol(format!("the answer is larger than {ANSWER_BYTES} bytes")))
            }
            Err(error) => Err(transport::explain(&self.base, &error)),
        }
    }

    async fn refusal(&self, response: Response<Body>) -> ClientError {
        let status = response.status();
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with(PROBLEM_JSON));
        let text = match self.collect(response.into_body()).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) if is_problem => problem.into(),
            _ => self.foreign(status, &text),
        }
    }

    fn foreign(&self, status: StatusCode, text: &[u8]) -> ClientError {
        let excerpt: String = String::from_utf8_lossy(text).trim().chars().take(EXCERPT_CHARS).collect();
        let why = if excerpt.is_empty() { format!("status {status}") } else { format!("status {status}: {excerpt}") };
        ClientError::Protocol { url: self.base.clone(), status: Some(status.as_u16()), why }
    }

    pub(crate) fn protocol(&self, why: impl Into<String>) -> ClientError {
        ClientError::Protocol { url: self.base.clone(), status: None, why: why.into() }
    }

    pub(crate) fn interrupted(&self, why: impl Into<String>) -> ClientError {
        ClientError::Interrupted { url: self.base.clone(), why: why.into() }
    }

    pub(crate) fn late(&self, deadline: Duration) -> ClientError {
        ClientError::Unreachable { url: self.base.clone(), why: format!("no answer within {} s", deadline.as_secs()) }
    }
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn bearer(token: Token) -> HeaderValue {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.expose())).expect("a token is a prefix and hexadecimal digits");
    value.set_sensitive(true);
    value
}

/// 128 random bits: no two requests ever share them.
fn idempotency_key() -> HeaderValue {
    HeaderValue::from_str(&hex::encode(rand::random::<[u8; 16]>())).expect("hexadecimal digits are a header value")
}
