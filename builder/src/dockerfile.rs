//! The Dockerfile that gives the same image: what people see, and can build themselves.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::archive::LayerPlan;
use crate::recipe::Recipe;

/// Renders the Dockerfile. `base` is the base image's name; `None` stands on nothing.
pub fn render(
    file_name: &str,
    plan: &LayerPlan,
    recipe: &Recipe,
    base: Option<&str>,
    labels: &BTreeMap<String, String>,
) -> String {
    let mut text = String::new();
    let name: String = file_name.chars().filter(|c| !c.is_control()).collect();
    let _ = writeln!(
        text,
        "# {name}: {}. DINP assembles this image without a build; this file gives the same one.",
        recipe.kind.describe()
    );
    match plan {
        LayerPlan::Tree { strip: Some(folder) } => {
            let _ = writeln!(text, "# app/ holds what the archive has in {}/.", folder.replace(['\n', '\r'], "?"));
        }
        LayerPlan::Tree { strip: None } => text.push_str("# app/ holds what the archive has.\n"),
        LayerPlan::File { .. } => {}
    }
    let _ = writeln!(text, "FROM {}", base.unwrap_or("scratch"));
    match plan {
        LayerPlan::File { name, .. } => {
            let _ = writeln!(text, "COPY --chown=1000:1000 {name} /app/{name}");
        }
        LayerPlan::Tree { .. } => text.push_str("COPY --chown=1000:1000 app/ /app/\n"),
    }
    text.push_str("WORKDIR /app\nUSER 1000:1000\n");
    for (key, value) in &recipe.env {
        let _ = writeln!(text, "ENV {key}={}", quoted(value));
    }
    for (key, value) in labels {
        let _ = writeln!(text, "LABEL {key}={}", quoted(value));
    }
    let _ = writeln!(text, "ENTRYPOINT []\nCMD {}", serde_json::Value::from(recipe.start.clone()));
    text
}

/// A value as Dockerfiles take it: within double quotes `\`, `"` and `$` have a meaning.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '+' | '=');
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars().filter(|c| !matches!(c, '\n' | '\r')) {
        if matches!(c, '\\' | '"' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests;
