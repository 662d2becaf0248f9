//! What an instance will be: the newest live release, with what people and the build change about it.

use std::collections::BTreeMap;

use dinp_common::api::Settings;
use dinp_common::digest::Image;
use dinp_common::health::HealthCheck;
use dinp_common::name::EnvKey;
use dinp_common::release::{Env, EnvValue, RunSpec};

/// `base` is the newest live release's; without one, what nobody says takes its default. `health` is what suits the
/// artifact's kind.
pub fn merged(base: Option<&RunSpec>, image: Image, health: Option<HealthCheck>, settings: &Settings) -> RunSpec {
    let mut env = base.map(|base| base.env.clone()).unwrap_or_default();
    set_env(&mut env, &settings.env);
    RunSpec {
        image,
        env,
        memory: settings.memory.or(base.map(|base| base.memory)).unwrap_or(RunSpec::DEFAULT_MEMORY),
        cpu: settings.cpu.or(base.and_then(|base| base.cpu)),
        placement: settings.placement.clone().or(base.map(|base| base.placement.clone())).unwrap_or_default(),
        port: settings.port.or(base.map(|base| base.port)).unwrap_or(RunSpec::DEFAULT_PORT),
        health: settings.health.clone().or(base.map(|base| base.health.clone())).or(health).unwrap_or(HealthCheck::Tcp),
        // The image's own: a command belongs to the image it was written for.
        command: None,
        stop_grace_seconds: settings
            .stop_grace_seconds
            .or(base.map(|base| base.stop_grace_seconds))
            .unwrap_or(RunSpec::DEFAULT_STOP_GRACE_SECONDS),
    }
}

/// A value that was sealed stays sealed when it is set anew.
pub fn set_env(env: &mut Env, values: &BTreeMap<EnvKey, String>) {
    for (key, value) in values {
        let sealed = env.get(key).is_some_and(|old| old.sealed);
        env.insert(key.clone(), EnvValue { value: value.clone(), sealed });
    }
}

/// Bytes of keys and values together.
pub fn env_bytes(env: &Env) -> usize {
    env.iter().map(|(key, value)| key.as_str().len() + value.value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinp_common::size::MiB;

    use crate::explain::fixtures::{image, release};

    #[test]
    fn an_edit_builds_on_the_newest_live_release_and_a_first_one_on_defaults() {
        let first = merged(None, image(), Some(HealthCheck::Http { path: "/".into() }), &Settings::default());
        assert_eq!((first.memory, first.port), (RunSpec::DEFAULT_MEMORY, 8080));
        assert_eq!(first.health, HealthCheck::Http { path: "/".into() });

        let mut live = release(3, 512).spec;
        let key = EnvKey::parse("PASSWORD").expect("a key");
        live.env.insert(key.clone(), EnvValue { value: "old".into(), sealed: true });
        let mut settings = Settings { port: Some(5000), ..Settings::default() };
        settings.env.insert(key.clone(), "new".into());
        let next = merged(Some(&live), image(), Some(HealthCheck::Tcp), &settings);
        assert_eq!((next.memory, next.port), (MiB(512), 5000));
        assert_eq!(next.health, HealthCheck::Http { path: "/health".into() }, "what people chose outlives a build");
        assert_eq!(next.env[&key], EnvValue { value: "new".into(), sealed: true });
    }
}
