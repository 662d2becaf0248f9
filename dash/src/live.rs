//! One stream a page: when something the page shows has changed, its parts are rendered again, and those that differ
//! from what was sent are sent. htmx morphs them into the page.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use dinp_client::{Client, Items};
use dinp_common::api::WatchEvent;
use dinp_common::deploy::DeployNo;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::pages;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::site::Site;
use crate::view::problem::partial;
use crate::view::shell;
use crate::view::status::Tone;

/// Time between two messages: two a second are as many as anyone reads.
const PACE: Duration = Duration::from_millis(500);
/// The page counts a stream silent for twelve seconds as lost.
const BEAT: Duration = Duration::from_secs(5);
/// Parts are read again after this long even if nothing was said to have changed.
const REFRESH: Duration = Duration::from_secs(10);

/// The query of a page's stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    page: String,
    app: Option<AppName>,
    number: Option<DeployNo>,
    q: Option<String>,
    cursor: Option<String>,
}

impl Ask {
    fn topic(self) -> Option<Topic> {
        Some(match (self.page.as_str(), self.app, self.number) {
            ("apps", None, None) => Topic::Apps { q: self.q, cursor: self.cursor },
            ("overview", Some(app), None) => Topic::Overview { app },
            ("releases", Some(app), None) => Topic::Releases { app },
            ("events", Some(app), None) => Topic::Events { app },
            ("logs", Some(app), None) => Topic::Head { app, word: "logs" },
            ("settings", Some(app), None) => Topic::Head { app, word: "settings" },
            ("rollback", Some(app), None) => Topic::Head { app, word: "rollback" },
            ("history", Some(app), None) => Topic::Head { app, word: "events" },
            ("deploy", Some(app), Some(number)) => Topic::Deploy { app, number },
            _ => return None,
        })
    }
}

/// What a page is about.
#[derive(Debug, Clone)]
pub(crate) enum Topic {
    Apps {
        q: Option<String>,
        cursor: Option<String>,
    },
    Overview {
        app: AppName,
    },
    Releases {
        app: AppName,
    },
    Events {
        app: AppName,
    },
    /// A page of which only the head is live.
    Head {
        app: AppName,
        /// For the browser's tab.
        word: &'static str,
    },
    Deploy {
        app: AppName,
        number: DeployNo,
    },
}

/// A page's live parts, as they are now.
pub(crate) struct Seen {
    pub title: String,
    pub tone: Tone,
    pub parts: Vec<(&'static str, Markup)>,
}

impl Seen {
    /// One part, where the page lays it out.
    pub(crate) fn part(&self, id: &str) -> Markup {
        let inner = self.parts.iter().find(|(own, _)| *own == id).map(|(_, markup)| markup.clone());
        shell::live(id, inner.unwrap_or_default())
    }
}

impl Topic {
    /// Boxed: a stream of nested borrowing futures is more than the compiler can prove to be `Send`.
    fn look<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Seen, Refusal>> {
        Box::pin(async move { self.read(client).await })
    }

    async fn read(&self, client: &Client) -> Result<Seen, Refusal> {
        match self {
            Self::Apps { q, cursor } => pages::apps::look(client, q.as_deref(), cursor.as_deref()).await,
            Self::Overview { app } => pages::overview::look(client, app).await,
            Self::Releases { app } => pages::releases::look(client, app).await,
            Self::Events { app } => pages::events::look(client, app, None).await,
            Self::Head { app, word } => pages::app::look(client, app, word).await,
            Self::Deploy { app, number } => pages::deploy::look(client, app, *number).await,
        }
    }

    fn app(&self) -> Option<&AppName> {
        match self {
            Self::Apps { .. } => None,
            Self::Overview { app } | Self::Releases { app } | Self::Events { app } => Some(app),
            Self::Head { app, .. } | Self::Deploy { app, .. } => Some(app),
        }
    }

    /// Whether a change touches what the page shows.
    fn concerns(&self, event: &WatchEvent) -> bool {
        let own = |name: &str| self.app().is_none_or(|app| app.as_str() == name);
        match event {
            WatchEvent::App { app } => own(app),
            WatchEvent::Lists => self.app().is_none(),
            WatchEvent::Event { event } => event.app.as_deref().is_some_and(own),
            WatchEvent::Resync => true,
        }
    }
}

/// `GET /ui/stream?page=...`
pub(crate) async fn stream(State(site): State<Site>, signed: Signed, Query(ask): Query<Ask>) -> Result<Response, Refusal> {
    let topic = ask.topic().ok_or_else(|| Problem::new(400, "unknown_stream", "No page has such a stream."))?;
    let watch = signed.client.watch().await?;
    // Read after the watch is open, so that no change falls between the two.
    let seen = topic.look(&signed.client).await?;
    let feed = Feed::new(signed.client, topic, watch, &seen);
    let until = site.shutdown().clone().cancelled_owned();
    let events = feed.events().take_until(Box::pin(until));
    Ok((StatusCode::OK, [("x-accel-buffering", "no")], Sse::new(events)).into_response())
}

struct Feed {
    client: Client,
    topic: Topic,
    watch: Items<WatchEvent>,
    /// What the page has, part by part.
    sent: BTreeMap<&'static str, String>,
    /// Rendered, and due at once.
    ready: Option<String>,
    /// When the parts are read next, and when a message may go out again.
    refresh: Instant,
    pace: Instant,
    beat: Instant,
}

impl Feed {
    fn new(client: Client, topic: Topic, watch: Items<WatchEvent>, seen: &Seen) -> Self {
        let now = Instant::now();
        let mut feed = Self {
            client,
            topic,
            watch,
            sent: BTreeMap::new(),
            ready: None,
            refresh: now + REFRESH,
            pace: now,
            beat: now + BEAT,
        };
        // A page that comes back after a while has old parts: the first message holds them all.
        feed.ready = feed.difference(seen);
        feed
    }

    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(Some(self), |feed| async {
            let mut feed = feed?;
            let next = feed.next().await?;
            let last = matches!(next, Next::Gone);
            Some((Ok(next.into_event()), (!last).then_some(feed)))
        })
    }

    /// The next message; none where the stream has to end, which makes the page connect again.
    async fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(parts) = self.ready.take() {
                self.pace = Instant::now() + PACE;
                return Some(Next::Parts(parts));
            }
            tokio::select! {
                // Each branch only waits; nothing is taken from the watch unless its branch runs.
                changed = self.watch.next() => match changed? {
                    Ok(event) if self.topic.concerns(&event) => self.refresh = self.refresh.min(self.pace),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "watch lost");
                        return None;
                    }
                },
                () = sleep_until(self.refresh.max(self.pace)) => {
                    self.refresh = Instant::now() + REFRESH;
                    match self.topic.look(&self.client).await {
                        Ok(seen) => self.ready = self.difference(&seen),
                        Err(refusal) if refusal.status() == StatusCode::NOT_FOUND => return Some(Next::Gone),
                        Err(_) => return None,
                    }
                    self.pace = Instant::now() + PACE;
                }
                () = sleep_until(self.beat) => {
                    self.beat = Instant::now() + BEAT;
                    return Some(Next::Beat);
                }
            }
        }
    }

    /// The parts that differ from what the page has, as one message.
    fn difference(&mut self, seen: &Seen) -> Option<String> {
        let mut message = String::new();
        for (id, markup) in &seen.parts {
            let text = markup.0.clone();
            if self.sent.get(id) != Some(&text) {
                message.push_str(&partial(&format!("#{id}"), "outerMorph", &shell::live(id, markup.clone())).0);
                self.sent.insert(id, text);
            }
        }
        if message.is_empty() {
            return None;
        }
        message.push_str(&partial("#tone", "outerMorph", &shell::tone(seen.tone)).0);
        message.push_str(&html! { title { (seen.title) } }.0);
        Some(message)
    }
}

enum Next {
    Parts(String),
    Beat,
    /// What the page is about exists no more.
    Gone,
}

impl Next {
    fn into_event(self) -> Event {
        match self {
            // A carriage return would end the line of the event it stands in.
            Self::Parts(parts) => Event::default().data(parts.replace('\r', "")),
            Self::Beat => Event::default().event("beat").data("."),
            Self::Gone => Event::default().event("gone").data("."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_hears_only_what_concerns_it() {
        let shop = Topic::Overview { app: AppName::parse("shop").expect("a name") };
        let apps = Topic::Apps { q: None, cursor: None };
        let changed = |app: &str| WatchEvent::App { app: app.to_owned() };
        assert!(shop.concerns(&changed("shop")) && apps.concerns(&changed("shop")));
        assert!(!shop.concerns(&changed("shop-api")));
        assert!(!shop.concerns(&WatchEvent::Lists) && apps.concerns(&WatchEvent::Lists));
        assert!(shop.concerns(&WatchEvent::Resync) && apps.concerns(&WatchEvent::Resync));
    }
}
