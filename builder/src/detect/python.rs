//! Python apps: which object gunicorn serves, and where their libraries are.

use crate::archive::{Listing, Node};
use crate::refusal::Refusal;

/// The name of the WSGI callable in `wsgi.py`: `application` as PEP 3333's servers expect, else `app`.
pub(super) fn callable(source: &[u8]) -> Result<&'static str, Refusal> {
    let source = String::from_utf8_lossy(source);
    let mut words = source.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| matches!(*word, "application" | "app"))
    });
    match words.clone().find(|word| *word == "application").or_else(|| words.next()) {
        Some("application") => Ok("application"),
        Some(_) => Ok("app"),
        None => Err(Refusal::new(
            "wsgi.py names neither \"application\" nor \"app\"",
            "give the WSGI callable one of these names in wsgi.py",
        )),
    }
}

/// What `PYTHONPATH` must hold: the folder `vendor`, and each wheel in `wheels`, which Python imports as they are.
pub(super) fn library_path(listing: &Listing, strip: Option<&str>) -> Result<Option<String>, Refusal> {
    let mut paths = Vec::new();
    let mut wheels = Vec::new();
    let top = strip.map(|folder| format!("{folder}/")).unwrap_or_default();
    for (path, node) in &listing.nodes {
        let Some(path) = path.strip_prefix(&top) else { continue };
        if path == "vendor" || path.starts_with("vendor/") {
            if paths.is_empty() {
                paths.push("/app/vendor".to_owned());
            }
        } else if let (Some(wheel), Node::File { .. }) =
            (path.strip_prefix("wheels/").filter(|name| name.ends_with(".whl")), node)
        {
            wheels.push(wheel);
        }
    }
    for wheel in wheels {
        // PEP 427: the last tag is the platform; only wheels for any platform hold no compiled code.
        if !wheel.ends_with("-none-any.whl") {
            return Err(Refusal::new(
                format!("wheels/{wheel} holds compiled code, which Python cannot load from within a wheel"),
                "unpack the libraries into the folder vendor: `pip install --target vendor -r requirements.txt`",
            ));
        }
        if wheel.contains(':') {
            return Err(Refusal::new(format!("wheels/{wheel} has a ':' in its name"), "give the wheel its own name back"));
        }
        paths.push(format!("/app/wheels/{wheel}"));
    }
    Ok((!paths.is_empty()).then(|| paths.join(":")))
}
