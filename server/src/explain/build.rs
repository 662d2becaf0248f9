//! One build, as people read it.

use dinp_common::api::BuildView;
use dinp_common::build::BuildOutcome;
use dinp_store::Build;

pub fn build_view(build: &Build) -> BuildView {
    let order = &build.order;
    let mut view = BuildView {
        id: order.id,
        app: order.app.clone(),
        state: build.state,
        file_name: order.file_name.clone(),
        artifact_bytes: order.artifact_bytes,
        kind: order.kind,
        image: None,
        dockerfile: None,
        why: None,
        fix: None,
        created_at: build.created_at.clone(),
    };
    match &build.outcome {
        Some(BuildOutcome::Image { image, kind, dockerfile, .. }) => {
            view.image = Some(image.clone());
            view.kind = Some(*kind);
            view.dockerfile = Some(dockerfile.clone());
        }
        Some(BuildOutcome::Failed { why, fix }) => {
            view.why = Some(why.clone());
            view.fix = Some(fix.clone());
        }
        None => {}
    }
    view
}
