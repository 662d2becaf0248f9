//! Who calls: sessions, links and tokens.

use dinp_common::api::{CreatedToken, LinkCreated, NewToken, Page, SessionCreated, SessionRequest, TokenView, Whoami};

use crate::call::Client;
use crate::error::ClientError;

impl Client {
    /// Exchanges a one-time link's or an access token's text for a session. Needs no credentials of its own.
    pub async fn session_create(&self, token: &str) -> Result<SessionCreated, ClientError> {
        self.post("/v1/sessions", &SessionRequest { token: token.to_owned() }).await
    }

    /// Ends the session this client uses.
    pub async fn session_end(&self) -> Result<(), ClientError> {
        self.delete("/v1/sessions/current").await
    }

    /// A link into the dashboard that works once.
    pub async fn link_create(&self) -> Result<LinkCreated, ClientError> {
        self.post_empty("/v1/links").await
    }

    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.get("/v1/whoami").await
    }

    pub async fn tokens(&self) -> Result<Page<TokenView>, ClientError> {
        self.get("/v1/tokens").await
    }

    pub async fn token_create(&self, token: &NewToken) -> Result<CreatedToken, ClientError> {
        self.post("/v1/tokens", token).await
    }

    /// `id` as [`Client::tokens`] lists it.
    pub async fn token_revoke(&self, id: &str) -> Result<(), ClientError> {
        let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        self.delete(&format!("/v1/tokens/{id}")).await
    }
}
