//! Bodies on their way through the router, in both directions, one piece at a time.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;

use crate::flights::Flight;

use super::Core;
use super::activity::Clock;
use super::receipt::Receipt;

/// A client's body on its way to an endpoint.
pub enum RequestBody {
    Empty,
    Client { body: Incoming, clock: Arc<Clock> },
}

impl RequestBody {
    pub fn new(body: Incoming, clock: &Arc<Clock>) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Client { body, clock: clock.clone() } }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Client { body, clock } => {
                let polled = Pin::new(body).poll_frame(cx);
                clock.body_waits(polled.is_pending());
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Self::Client { clock, .. } = self {
            clock.body_waits(false);
        }
    }
}

/// What a client gets: a page of the router's own, or an endpoint's body.
pub struct ReplyBody {
    source: Source,
    receipt: Receipt,
}

enum Source {
    Page(Option<Bytes>),
    Endpoint(Box<Endpoint>),
}

/// An endpoint's body, and the connection it comes from.
struct Endpoint {
    body: Incoming,
    finished: bool,
    /// Taken when the body is complete.
    sender: Option<SendRequest<RequestBody>>,
    flight: Flight,
    core: Rc<Core>,
}

impl ReplyBody {
    pub fn page(text: String, receipt: Receipt) -> Self {
        Self { source: Source::Page((!text.is_empty()).then(|| Bytes::from(text))), receipt }
    }

    pub fn endpoint(core: &Rc<Core>, body: Incoming, sender: SendRequest<RequestBody>, flight: Flight, receipt: Receipt) -> Self {
        let endpoint = Endpoint { body, finished: false, sender: Some(sender), flight, core: core.clone() };
        Self { source: Source::Endpoint(Box::new(endpoint)), receipt }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match &mut self.source {
            Source::Page(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Endpoint(endpoint) => {
                let polled = Pin::new(&mut endpoint.body).poll_frame(cx);
                endpoint.finished |= matches!(polled, Poll::Ready(None));
                polled
            }
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.receipt.add_bytes(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Page(text) => text.is_none(),
            Source::Endpoint(endpoint) => endpoint.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Page(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Source::Endpoint(endpoint) => endpoint.body.size_hint(),
        }
    }
}

impl Drop for Endpoint {
    /// A complete body leaves a connection that can carry another request; anything else ends it.
    fn drop(&mut self) {
        if (self.finished || self.body.is_end_stream())
            && let Some(sender) = self.sender.take()
        {
            self.core.pool.borrow_mut().put(&self.flight.instance().id, sender);
        }
    }
}
