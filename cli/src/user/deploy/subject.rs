//! What is deployed, as which app, and with which settings: flags before `dinp.toml` before what the file suggests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dinp_common::api::Settings;
use dinp_common::kind::Kind;
use dinp_common::limits::ARTIFACT_BYTES;
use dinp_common::manifest::Manifest;
use dinp_common::name::AppName;
use dinp_common::placement::Placement;
use dinp_common::size::human_bytes;

use crate::args::Deploy;
use crate::user::failure::{Exit, Failure};
use crate::user::session::{Chosen, MANIFEST, Session, app_of_environment, manifest_in};
use crate::user::words;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(PathBuf),
    Folder(PathBuf),
    Image(String),
}

#[derive(Debug)]
pub struct Subject {
    pub what: What,
    pub chosen: Chosen,
    pub kind: Option<Kind>,
    pub start: Option<Vec<String>>,
    pub settings: Settings,
}

impl Subject {
    pub fn find(session: &Session, args: &Deploy) -> Result<Self, Failure> {
        // A folder with a manifest of its own is a project; else the project is where we are.
        let own = args.path.clone().filter(|path| path.join(MANIFEST).is_file());
        let folder = own.clone().unwrap_or_else(|| PathBuf::from("."));
        let manifest = manifest_in(&folder)?;
        let named = named_by_hand(session)?;
        let manifest = of_this_app(session, manifest, named.as_ref().map(|(app, _)| app));
        let what = what(args, own.is_some(), &folder, manifest.as_ref())?;
        check(&what)?;
        let chosen = choose(session, named, manifest.as_ref(), own.is_some(), &what)?;
        Ok(Self {
            kind: kind(args, manifest.as_ref()),
            start: start(args, manifest.as_ref()),
            settings: settings(args, manifest)?,
            what,
            chosen,
        })
    }
}

/// The app the user named, and whether by a flag.
fn named_by_hand(session: &Session) -> Result<Option<(AppName, bool)>, Failure> {
    match &session.globals.app {
        Some(app) => Ok(Some((app.clone(), true))),
        None => Ok(app_of_environment()?.map(|app| (app, false))),
    }
}

/// The settings of one app must not slip into another that is deployed from the same folder.
fn of_this_app(session: &Session, manifest: Option<Manifest>, named: Option<&AppName>) -> Option<Manifest> {
    manifest.filter(|manifest| match (&manifest.name, named) {
        (Some(theirs), Some(app)) if theirs != app => {
            session.out.say(words::manifest_of_another(theirs, app));
            false
        }
        _ => true,
    })
}

fn what(args: &Deploy, own: bool, folder: &Path, manifest: Option<&Manifest>) -> Result<What, Failure> {
    if let Some(reference) = &args.image {
        return Ok(What::Image(reference.clone()));
    }
    let artifact = manifest.map(|manifest| &manifest.artifact);
    let said = artifact.and_then(|artifact| artifact.path.as_deref()).map(|path| folder.join(path));
    let image = artifact.and_then(|artifact| artifact.image.clone());
    match (&args.path, said, image) {
        (_, Some(_), Some(_)) => Err(Failure::usage(words::ARTIFACT_AND_IMAGE)),
        (Some(path), _, _) if !own => of_path(path),
        (_, Some(path), None) => of_path(&path),
        (_, None, Some(reference)) => Ok(What::Image(reference)),
        (Some(path), None, None) => of_path(path),
        (None, None, None) => Err(Failure::usage(words::NOTHING_TO_DEPLOY).fix(words::NAME_ARTIFACT)),
    }
}

fn of_path(path: &Path) -> Result<What, Failure> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(What::Folder(path.to_owned())),
        Ok(meta) if meta.is_file() => Ok(What::File(path.to_owned())),
        Ok(_) => Err(Failure::usage(words::not_deployable(path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Failure::usage(words::no_such_file(path))),
        Err(error) => Err(Failure::usage(words::cannot_read(path, &error))),
    }
}

/// What can be refused without an upload is refused before it.
fn check(what: &What) -> Result<(), Failure> {
    let What::File(path) = what else { return Ok(()) };
    let bytes = std::fs::metadata(path).map_err(|error| Failure::usage(words::cannot_read(path, &error)))?.len();
    let refuse = |why: String| Err(Failure::new(Exit::Usage, format!("{} cannot be deployed", path.display())).why(why));
    match bytes {
        0 => refuse(words::EMPTY_FILE.to_owned()),
        1..=ARTIFACT_BYTES => Ok(()),
        _ => refuse(words::too_large(&human_bytes(bytes), &human_bytes(ARTIFACT_BYTES))),
    }
}

fn choose(
    session: &Session,
    named: Option<(AppName, bool)>,
    manifest: Option<&Manifest>,
    own: bool,
    what: &What,
) -> Result<Chosen, Failure> {
    if let Some((app, by_flag)) = named {
        return session.chosen(app, by_flag);
    }
    if let Some(app) = manifest.and_then(|manifest| manifest.name.clone()) {
        return session.chosen(app, own);
    }
    let from = match what {
        What::File(path) | What::Folder(path) => file_name(path),
        What::Image(reference) => image_name(reference),
    };
    match AppName::suggest(&from) {
        Some(app) => {
            session.out.say(words::name_suggested(&app, &from));
            session.chosen(app, true)
        }
        None => Err(Failure::usage(words::NO_NAME_SUGGESTED).fix(words::NAME_APP)),
    }
}

/// The last part of a path; of `.` and `..`, the name of the folder they stand for.
pub fn file_name(path: &Path) -> String {
    let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().or_else(|| absolute.file_name());
    name.map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// `registry:5000/team/shop:1.2` is called `shop`.
fn image_name(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.split([':', '@']).next().unwrap_or(last).to_owned()
}

fn kind(args: &Deploy, manifest: Option<&Manifest>) -> Option<Kind> {
    args.kind.or_else(|| manifest.and_then(|manifest| manifest.artifact.kind))
}

fn start(args: &Deploy, manifest: Option<&Manifest>) -> Option<Vec<String>> {
    let said = if args.start.is_empty() { &args.command } else { &args.start };
    if said.is_empty() { manifest.and_then(|manifest| manifest.artifact.start.clone()) } else { Some(said.clone()) }
}

fn settings(args: &Deploy, manifest: Option<Manifest>) -> Result<Settings, Failure> {
    let mut settings = manifest.map(of_manifest).transpose()?.unwrap_or_default();
    settings.cpu = args.cpu.or(settings.cpu);
    settings.placement = placement(args)?.or(settings.placement);
    settings.instances = args.instances.or(settings.instances);
    settings.memory = args.memory.or(settings.memory);
    settings.port = args.port.or(settings.port);
    settings.health = args.health.clone().or(settings.health);
    settings.strategy = args.strategy.or(settings.strategy);
    settings.max_surge = args.max_surge.or(settings.max_surge);
    settings.max_unavailable = args.max_unavailable.or(settings.max_unavailable);
    settings.timeout_seconds = args.timeout.map(whole_seconds).or(settings.timeout_seconds);
    settings.env.extend(args.env.iter().cloned());
    Ok(settings)
}

/// What the flags ask of a node, if they ask for anything.
fn placement(args: &Deploy) -> Result<Option<Placement>, Failure> {
    if args.require.is_empty() && args.per_node.is_none() {
        return Ok(None);
    }
    let required = Placement::requiring(args.require.iter().cloned()).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Some(Placement { per_node: args.per_node, ..required }))
}

fn of_manifest(manifest: Manifest) -> Result<Settings, Failure> {
    let placement = manifest.placement.map(|placement| placement.rules()).transpose();
    Ok(Settings {
        instances: manifest.run.instances,
        memory: manifest.run.memory,
        cpu: manifest.run.cpu,
        placement: placement.map_err(|error| Failure::usage(format!("[placement] in dinp.toml: {error}")))?,
        port: manifest.run.port,
        health: manifest.health.map(|health| health.check()),
        stop_grace_seconds: manifest.run.stop_grace_seconds,
        env: manifest.env,
        strategy: manifest.deploy.strategy,
        max_surge: manifest.deploy.max_surge,
        max_unavailable: manifest.deploy.max_unavailable,
        timeout_seconds: manifest.deploy.timeout_seconds,
    })
}

fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_called_by_their_last_part() {
        for reference in ["shop", "shop:1.2", "team/shop", "registry:5000/team/shop@sha256:ab"] {
            assert_eq!(image_name(reference), "shop", "{reference}");
        }
    }
}
