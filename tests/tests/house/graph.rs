//! The workspace as `cargo metadata` sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

pub struct Package {
    pub name: String,
    pub version: String,
    pub licence: String,
    pub member: bool,
    /// Ids of what it is built from: normal and build dependencies, as resolved.
    pub needs: BTreeSet<String>,
}

pub struct Graph(pub BTreeMap<String, Package>);

pub fn workspace() -> &'static Graph {
    static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::read);
    &GRAPH
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(dinp_tests::root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let members: BTreeSet<&str> = list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
        let needs: BTreeMap<&str, BTreeSet<String>> =
            list(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), built_from(node))).collect();
        let packages = list(&metadata["packages"]).map(|package| {
            let id = text(&package["id"]);
            let read = Package {
                name: text(&package["name"]).to_owned(),
                version: text(&package["version"]).to_owned(),
                licence: package["license"].as_str().unwrap_or_default().to_owned(),
                member: members.contains(id),
                needs: needs.get(id).cloned().unwrap_or_default(),
            };
            (id.to_owned(), read)
        });
        Self(packages.collect())
    }

    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.0.values().filter(|package| package.member)
    }

    pub fn member(&self, name: &str) -> &Package {
        self.members().find(|package| package.name == name).unwrap_or_else(|| panic!("no member {name}"))
    }

    /// Everything a package is built from, however far.
    pub fn closure<'a>(&'a self, from: &'a Package) -> Vec<&'a Package> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = from.needs.iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.0[id].needs);
            }
        }
        seen.into_iter().map(|id| &self.0[id]).collect()
    }

    /// Every package of others that some member is built from.
    pub fn foreign(&self) -> Vec<&Package> {
        let all: BTreeMap<String, &Package> = self
            .members()
            .flat_map(|member| self.closure(member))
            .filter(|package| !package.member)
            .map(|package| (format!("{} {}", package.name, package.version), package))
            .collect();
        all.into_values().collect()
    }
}

fn built_from(node: &Value) -> BTreeSet<String> {
    list(&node["deps"])
        .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev")))
        .map(|dep| text(&dep["pkg"]).to_owned())
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
