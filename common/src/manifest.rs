//! `dinp.toml`: what a project says about its app.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::deploy::Strategy;
use crate::health::HealthCheck;
use crate::kind::Kind;
use crate::name::{AppName, EnvKey, InvalidName};
use crate::pace::Share;
use crate::placement::{Placement, Requirement};
use crate::size::{Cpu, MiB};

/// Keys of later versions, refused by name rather than as typing errors.
const LATER: &[&str] =
    &["team", "secrets", "scale", "domains", "volumes", "jobs", "alerts", "override", "user", "restart", "ignore"];

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: u32,
    pub name: Option<AppName>,
    #[serde(default)]
    pub artifact: Artifact,
    #[serde(default)]
    pub run: Run,
    pub health: Option<Health>,
    #[serde(default)]
    pub deploy: Deploy,
    pub placement: Option<Where>,
    #[serde(default)]
    pub env: BTreeMap<EnvKey, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Relative to the manifest's folder.
    pub path: Option<String>,
    pub image: Option<String>,
    pub kind: Option<Kind>,
    /// Program and arguments; never a shell line.
    pub start: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub instances: Option<u32>,
    pub memory: Option<MiB>,
    pub cpu: Option<Cpu>,
    pub port: Option<u16>,
    pub stop_grace_seconds: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HealthKind {
    Http,
    Tcp,
}

/// `kind = "http"` with a `path`, or `kind = "tcp"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    kind: HealthKind,
    path: Option<String>,
}

impl Health {
    pub fn check(&self) -> HealthCheck {
        match self.kind {
            HealthKind::Http => HealthCheck::Http { path: self.path.clone().unwrap_or_else(|| "/".to_owned()) },
            HealthKind::Tcp => HealthCheck::Tcp,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    pub strategy: Option<Strategy>,
    /// `2` or `"25%"`: instances beyond those wanted, and missing of them, while a rolling deploy goes on.
    pub max_surge: Option<Share>,
    pub max_unavailable: Option<Share>,
    pub timeout_seconds: Option<u32>,
}

/// `[placement]`: where instances may stand. An empty table asks for nothing any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// `disk=ssd`, `zone in a,b`; a node must meet all of them.
    #[serde(default)]
    require: Vec<Requirement>,
    per_node: Option<u32>,
    /// The same as `per_node = 1`.
    #[serde(default)]
    avoid_same_node: bool,
}

impl Where {
    pub fn rules(&self) -> Result<Placement, InvalidName> {
        let per_node = if self.avoid_same_node { Some(1) } else { self.per_node };
        if self.avoid_same_node && self.per_node.is_some_and(|n| n != 1) {
            return Err(InvalidName("avoid_same_node and per_node contradict each other; write one of them".to_owned()));
        }
        Ok(Placement { per_node, ..Placement::requiring(self.require.iter().cloned())? })
    }
}

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// 1-based; 0 where the place is unknown.
    pub line: usize,
    pub column: usize,
    pub why: String,
    pub fix: Option<String>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|error| explain(text, &error))?;
        if manifest.schema != 1 {
            let why = format!("schema is {}, and this version reads schema 1", manifest.schema);
            return Err(ManifestError { line: 1, column: 1, why, fix: Some("write schema = 1".to_owned()) });
        }
        Ok(manifest)
    }
}

fn explain(text: &str, error: &toml::de::Error) -> ManifestError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text[..text.floor_char_boundary(start)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let why = error.message().to_owned();
    let key = why.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let fix = match key {
        Some(key) if LATER.contains(&key) => Some(format!("`{key}` is not in this version; remove it")),
        Some(key) => Some(format!("remove `{key}`, or correct its spelling")),
        None => None,
    };
    ManifestError { line, column, why, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_manifest_reads() {
        let text = r#"
            schema = 1
            name = "shop"
            [artifact]
            path = "target/shop.war"
            [run]
            instances = 2
            memory = "512MiB"
            cpu = 0.5
            [placement]
            require = ["disk=ssd", "zone in a,b"]
            avoid_same_node = true
            [health]
            kind = "http"
            path = "/health"
            [deploy]
            strategy = "recreate"
            max_surge = "25%"
            max_unavailable = 1
            [env]
            LOG_LEVEL = "info"
        "#;
        let manifest = Manifest::parse(text).expect("reads");
        assert_eq!(manifest.run.memory, Some(MiB(512)));
        assert_eq!(manifest.run.cpu, Some(Cpu(500)));
        let rules = manifest.placement.expect("a table").rules().expect("no contradiction");
        assert_eq!(rules.to_string(), "disk=ssd, zone in a,b, at most 1 on a node");
        assert_eq!(manifest.health.map(|h| h.check()), Some(HealthCheck::Http { path: "/health".into() }));
        assert_eq!(manifest.deploy.strategy, Some(Strategy::Recreate));
        let pace = (manifest.deploy.max_surge, manifest.deploy.max_unavailable);
        assert_eq!(pace, (Some(Share::Percent(25)), Some(Share::Count(1))));
    }

    #[test]
    fn unknown_and_later_keys_are_named_with_their_place() {
        let error = Manifest::parse("schema = 1\n[run]\n  instnces = 2\n").expect_err("typo");
        assert_eq!((error.line, error.column), (3, 3));
        assert!(error.why.contains("instnces"), "{error}");
        let error = Manifest::parse("schema = 1\n[scale]\nmin = 1\n").expect_err("later");
        assert_eq!(error.fix.as_deref(), Some("`scale` is not in this version; remove it"));
        assert!(Manifest::parse("schema = 1\n[run]\nmemory = \"256\"\n").expect_err("no unit").why.contains("unit is missing"));
    }
}
