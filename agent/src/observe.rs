//! Watching Docker: its events as they come, and the whole list every few seconds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use dinp_common::instance::{InstanceId, container_name};
use dinp_common::name::AppName;
use dinp_daemon::{Nudge, beat};
use dinp_planner::agent::Event;
use dinp_planner::agent::container::{LABEL_APP, LABEL_INSTANCE};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::core::Input;
use crate::engine::{Engine, EngineError, our_labels};
use crate::network::Owner;

/// How often everything is listed, whatever events said.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// The pause after a list or a stream of events that failed.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Nudges closer together than this are one list.
const LIST_GAP: Duration = Duration::from_millis(50);

/// What the observer needs.
#[derive(Debug, Clone)]
pub struct Observer {
    pub engine: Arc<Engine>,
    pub owner: Owner,
    pub inputs: mpsc::Sender<Input>,
    /// Asks for a list now.
    pub relist: Nudge,
    /// The core's mark: what a list that begins now can tell.
    pub mark: Arc<AtomicU64>,
}

impl Observer {
    /// Lists all our containers, again and again.
    pub async fn list(self) {
        loop {
            let since = self.mark.load(Ordering::Acquire);
            let listed = self.engine.containers(&self.owner.cluster, &self.owner.node, &self.owner.bridge).await;
            let pause = if listed.is_ok() { LIST_EVERY } else { AGAIN_AFTER };
            let containers = listed.map_err(|error| error.to_string());
            if self.inputs.send(Input::Event(Event::Listed { since, containers })).await.is_err() {
                return;
            }
            tokio::time::sleep(LIST_GAP).await;
            // Not heard in time is no error: the period is over.
            let _ = tokio::time::timeout_at(beat::within(pause), self.relist.nudged()).await;
        }
    }

    /// Follows Docker's events. Each gap between two streams is closed by a list.
    pub async fn follow(self) {
        loop {
            if let Err(error) = self.follow_once().await {
                tracing::debug!("Docker's events: {error}");
            }
            self.engine.forget();
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn follow_once(&self) -> Result<(), EngineError> {
        let docker = self.engine.stream().await?;
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", ["die", "destroy", "start"].map(str::to_owned).to_vec()),
            ("label", our_labels(&self.owner.cluster, &self.owner.node)),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let mut events = std::pin::pin!(docker.events(Some(options)));
        self.relist.nudge();
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| EngineError::Unreadable(error.to_string()))?;
            match translate(&event) {
                Some(event) => drop(self.inputs.send(Input::Event(event)).await),
                // A start by somebody else, or a container that only looks like ours: the list knows.
                None => self.relist.nudge(),
            }
        }
        Ok(())
    }
}

/// An end or a removal of one of our containers. Its name must agree with its labels here too.
fn translate(event: &EventMessage) -> Option<Event> {
    let actor = event.actor.as_ref()?;
    let said = actor.attributes.as_ref()?;
    let app = AppName::parse(said.get(LABEL_APP)?).ok()?;
    let instance = InstanceId::parse(said.get(LABEL_INSTANCE)?).ok()?;
    if said.get("name") != Some(&container_name(&app, &instance)) {
        return None;
    }
    match event.action.as_deref()? {
        "die" => Some(Event::Died { instance, code: said.get("exitCode").and_then(|code| code.parse().ok()) }),
        "destroy" => Some(Event::Destroyed { instance, container: actor.id.clone()? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(action: &str, name: &str) -> EventMessage {
        let said = [(LABEL_APP, "shop"), (LABEL_INSTANCE, "abc123"), ("name", name), ("exitCode", "137")];
        let attributes = said.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let actor = EventActor { id: Some("c1".into()), attributes: Some(attributes) };
        EventMessage { action: Some(action.into()), actor: Some(actor), ..Default::default() }
    }

    #[test]
    fn an_end_is_ours_only_if_the_name_agrees() {
        let died = translate(&event("die", "dinp-shop-abc123"));
        assert!(matches!(died, Some(Event::Died { code: Some(137), .. })), "{died:?}");
        assert!(matches!(translate(&event("destroy", "dinp-shop-abc123")), Some(Event::Destroyed { .. })));
        assert!(translate(&event("die", "shop")).is_none());
        assert!(translate(&event("start", "dinp-shop-abc123")).is_none());
    }
}
