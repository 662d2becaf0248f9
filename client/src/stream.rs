//! Answers that go on: one JSON value a line, or server-sent events.

use std::time::Duration;

use dinp_common::limits::STREAM_KEEP_ALIVE_SECONDS;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::Method;
use http::header::ACCEPT;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::call::{CALL_DEADLINE, Client, empty};
use crate::error::ClientError;
use crate::transport::Body;

/// Items as they come. An error is the last item; the end without one is the server's own.
pub type Items<T> = BoxStream<'static, Result<T, ClientError>>;

/// Silence after which a connection counts as lost: three keep-alives missed.
const SILENCE: Duration = Duration::from_secs(3 * STREAM_KEEP_ALIVE_SECONDS);
/// Bytes of one line: an event with a dead instance's last output is the longest there is.
const LINE_BYTES: usize = 1024 * 1024;

impl Client {
    /// A stream of NDJSON: one value a line, empty lines to keep it alive.
    pub(crate) async fn ndjson<T: DeserializeOwned + Send + 'static>(&self, path: &str) -> Result<Items<T>, ClientError> {
        let lines = self.lines(path, "application/x-ndjson").await?;
        let client = self.clone();
        let items = lines.try_filter_map(move |line| {
            let item = if line.is_empty() { Ok(None) } else { client.decode(&line).map(Some) };
            std::future::ready(item)
        });
        Ok(items.boxed())
    }

    /// A stream of server-sent events, of which only the data counts.
    pub(crate) async fn events_of<T: DeserializeOwned + Send + 'static>(&self, path: &str) -> Result<Items<T>, ClientError> {
        let lines = self.lines(path, "text/event-stream").await?;
        let client = self.clone();
        let mut data = String::new();
        let items = lines.try_filter_map(move |line| {
            let item = match line.strip_prefix("data:") {
                Some(part) => {
                    data.push_str(part.trim_start());
                    Ok(None)
                }
                None if line.is_empty() && !data.is_empty() => client.decode(&std::mem::take(&mut data)).map(Some),
                None => Ok(None),
            };
            std::future::ready(item)
        });
        Ok(items.boxed())
    }

    fn decode<T: DeserializeOwned>(&self, text: &str) -> Result<T, ClientError> {
        serde_json::from_str(text).map_err(|error| self.protocol(format!("a line of a stream cannot be read: {error}")))
    }

    async fn lines(&self, path: &str, accept: &str) -> Result<Items<String>, ClientError> {
        let request = self.request(Method::GET, path).header(ACCEPT, accept);
        let response = tokio::time::timeout(CALL_DEADLINE, self.send(request, empty())).await;
        let response = response.map_err(|_| self.late(CALL_DEADLINE))??;
        Ok(self.watched_lines(response.into_body()))
    }

    /// The body's lines, ended by an error where nothing comes for too long.
    fn watched_lines(&self, body: Body) -> Items<String> {
        let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        let lines = FramedRead::new(reader, LinesCodec::new_with_max_length(LINE_BYTES));
        let state = Some((self.clone(), Box::pin(lines)));
        let watched = stream::unfold(state, |state| async {
            let (client, mut lines) = state?;
            match tokio::time::timeout(SILENCE, lines.next()).await {
                Ok(Some(Ok(line))) => Some((Ok(line), Some((client, lines)))),
                Ok(None) => None,
                Ok(Some(Err(LinesCodecError::MaxLineLengthExceeded))) => {
                    Some((Err(client.protocol(format!("a line is longer than {LINE_BYTES} bytes"))), None))
                }
                Ok(Some(Err(LinesCodecError::Io(error)))) => Some((Err(client.interrupted(error.to_string())), None)),
                Err(_) => Some((Err(client.interrupted(format!("nothing came for {} s", SILENCE.as_secs()))), None)),
            }
        });
        watched.boxed()
    }
}
