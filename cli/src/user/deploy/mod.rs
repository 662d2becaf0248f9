//! `dinp deploy`: from a file on this machine to a URL.

mod pack;
mod subject;
mod upload;

use dinp_client::Client;
use dinp_common::api::{DeployRequest, Source};
use dinp_common::digest::Digest;

use super::failure::Failure;
use super::follow;
use super::plan;
use super::progress::Progress;
use super::session::Session;
use super::words;
use crate::args::{Deploy, Format, Wait};
use subject::{Subject, What};

pub async fn run(session: &Session, args: Deploy) -> Result<(), Failure> {
    let subject = Subject::find(session, &args)?;
    let client = session.client()?;
    if args.dry_run {
        let request = DeployRequest { source: unread(&subject), settings: subject.settings.clone() };
        let plan = client.deploy_plan(&subject.chosen.app, &request).await?;
        return plan::print(session, &plan);
    }
    let progress = Progress::new(session.out.quiet);
    session.on_interrupt(words::STAYS_SAME);
    let source = source(&client, &subject, &progress).await?;
    session.on_interrupt(words::MAYBE_BEGUN);
    let request = DeployRequest { source, settings: subject.settings.clone() };
    let view = client.deploy_create(&subject.chosen.app, &request).await?;
    // The deploy ends by itself at its deadline; waiting goes on a little longer, to hear how.
    let wait = Wait { no_wait: args.no_wait, timeout: None };
    let build = view.build.as_ref().map(|build| build.id);
    let result = follow::conclude(session, &client, &subject.chosen, view, &wait, progress).await;
    // In the other formats it is a field of the deploy.
    if let (true, Some(build), Format::Table) = (args.show_dockerfile, build, session.out.format) {
        let dockerfile = client.build(build).await?.dockerfile;
        dockerfile.iter().for_each(|text| session.out.line(text.trim_end()));
    }
    result
}

/// For a dry run: a file is neither read nor packed, and its digest stands for none.
fn unread(subject: &Subject) -> Source {
    let file_name = match &subject.what {
        What::Image(reference) => return Source::Image { reference: reference.clone() },
        What::File(path) | What::Folder(path) => subject::file_name(path),
    };
    let (kind, start) = (subject.kind, subject.start.clone());
    Source::Artifact { digest: Digest::from_sha256([0; 32]), file_name, kind, start }
}

/// What the server is to run: an image it has, or what is uploaded now.
async fn source(client: &Client, subject: &Subject, progress: &Progress) -> Result<Source, Failure> {
    let (file, file_name) = match &subject.what {
        What::Image(reference) => return Ok(Source::Image { reference: reference.clone() }),
        What::File(path) => (upload::Local::File(path.clone()), subject::file_name(path)),
        What::Folder(path) => {
            (upload::Local::Packed(pack::pack(path, progress).await?), format!("{}.tar.gz", subject::file_name(path)))
        }
    };
    let artifact = upload::upload(client, file.path(), &file_name, progress).await?;
    Ok(Source::Artifact { digest: artifact.digest, file_name, kind: subject.kind, start: subject.start.clone() })
}
