//! Requests handed on as they are: what the dashboard passes through without reading it.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, Uri};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;

use crate::call::Client;
use crate::error::ClientError;
use crate::transport::{self, Body, BoxError};

impl Client {
    /// Sends `request` to the same path of the server, with this client's credentials where it has some, and gives the
    /// answer as it is, refusals included. Both bodies stream. The caller bounds the time and chooses the headers.
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<Body>, ClientError>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("{}{path}", self.url())
            .parse::<Uri>()
            .map_err(|error| self.protocol(format!("the request cannot be written: {error}")))?;
        if let Some(credentials) = self.credentials() {
            head.headers.insert(AUTHORIZATION, credentials.clone());
        }
        let request = Request::from_parts(head, body.map_err(Into::into).boxed_unsync());
        transport::exchange(self.transport(), request).await.map_err(|error| transport::explain(self.url(), &error))
    }
}
