//! Apps with a record that cannot be understood: nothing of them is decided, and what is known to run of them stays.

use std::collections::BTreeMap;

use dinp_common::event::Severity;
use dinp_common::name::AppName;
use dinp_common::plan::{Change, Desired, Note};

/// What is said of a refused app while it is held back.
pub(crate) fn hold(why: &str) -> String {
    format!("a record of it is not understood ({why}); nothing of it is changed until that is corrected")
}

/// What was read last of each refused app takes the place of what can be read of it now.
pub(crate) fn keep(desired: &mut Desired, last: &Desired) {
    let known: Vec<AppName> = desired.refused.keys().filter_map(|name| AppName::parse(name).ok()).collect();
    let known: Vec<AppName> = known.into_iter().filter(|name| last.app(name).is_some()).collect();
    if known.is_empty() {
        return;
    }
    let is_known = |name: &AppName| known.contains(name);
    desired.apps.retain(|app| !is_known(&app.name));
    desired.apps.extend(last.apps.iter().filter(|app| is_known(&app.name)).cloned());
    desired.apps.sort_by(|a, b| a.name.cmp(&b.name));
    desired.deploys.retain(|deploy| !is_known(&deploy.app));
    desired.deploys.extend(last.deploys.iter().filter(|deploy| is_known(&deploy.app)).cloned());
    desired.deploys.sort_by(|a, b| a.app.cmp(&b.app));
    desired.instances.retain(|instance| !is_known(&instance.app));
    desired.instances.extend(last.instances.iter().filter(|instance| is_known(&instance.app)).cloned());
    desired.instances.sort_by(|a, b| a.id.cmp(&b.id));
    let releases = last.releases.iter().filter(|((name, _), _)| is_known(name));
    desired.releases.extend(releases.map(|(key, release)| (key.clone(), release.clone())));
}

/// Lines for the timeline about what is refused now and was not, and what is understood again.
pub(crate) fn news(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<Change> {
    let note = |severity, kind, name: &str, text| {
        let app = AppName::parse(name).ok();
        Change::Note(Note { severity, kind, app, instance: None, node: None, text, detail: None })
    };
    let refused = now.iter().filter(|(name, why)| before.get(*name) != Some(why)).map(|(name, why)| {
        let text = format!("A record of {name} is not understood: {why}. Nothing of {name} is changed until it is corrected");
        note(Severity::Error, "record_refused", name, text)
    });
    let accepted = before
        .keys()
        .filter(|name| !now.contains_key(*name))
        .map(|name| note(Severity::Info, "record_accepted", name, format!("The records of {name} are understood again")));
    refused.chain(accepted).collect()
}
