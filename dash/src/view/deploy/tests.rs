use dinp_common::api::{BuildView, DeployView};
use dinp_common::build::{BuildId, BuildState};
use dinp_common::deploy::{DeployKind, DeployNo, DeployPhase, DeployState, Strategy};
use dinp_common::name::AppName;

use super::{Stand, steps};

fn deploy(state: DeployState, phase: DeployPhase, ready: u32) -> DeployView {
    let app = AppName::parse("shop").expect("a name");
    DeployView {
        app: app.clone(),
        number: DeployNo(1),
        kind: DeployKind::Release,
        state,
        phase,
        strategy: Strategy::Rolling,
        note: "deploy of shop.war".into(),
        author: "ann".into(),
        from: None,
        to: None,
        build: Some(BuildView {
            id: BuildId(1),
            app,
            state: BuildState::Running,
            file_name: "shop.war".into(),
            artifact_bytes: 1,
            kind: None,
            image: None,
            dockerfile: None,
            why: None,
            fix: None,
            created_at: String::new(),
        }),
        ready,
        wanted: 2,
        draining: 0,
        step: String::new(),
        paused: None,
        warnings: Vec::new(),
        spent_ms: 0,
        deadline_ms: 0,
        failure: None,
        url: String::new(),
        created_at: String::new(),
    }
}

fn stands(deploy: &DeployView) -> Vec<Stand> {
    steps(deploy, &[]).into_iter().map(|step| step.stand).collect()
}

#[test]
fn each_step_follows_the_one_before() {
    use Stand::{Active, Done, Failed, Waiting};
    let case = |state, phase, ready| stands(&deploy(state, phase, ready));
    assert_eq!(case(DeployState::Running, DeployPhase::Build, 0), [Active, Waiting, Waiting, Waiting]);
    assert_eq!(case(DeployState::Failed, DeployPhase::Build, 0), [Failed, Waiting, Waiting, Waiting]);
    assert_eq!(case(DeployState::Running, DeployPhase::Rollout, 1), [Done, Active, Waiting, Waiting]);
    assert_eq!(case(DeployState::Running, DeployPhase::Rollout, 2), [Done, Done, Done, Active]);
    assert_eq!(case(DeployState::Failed, DeployPhase::Rollout, 0), [Done, Failed, Waiting, Waiting]);
    assert_eq!(case(DeployState::Succeeded, DeployPhase::Rollout, 2), [Done; 4]);
    assert_eq!(case(DeployState::Superseded, DeployPhase::Build, 0), [Waiting; 4]);
}

#[test]
fn a_deploy_without_a_build_begins_with_its_start_and_a_stop_has_no_steps() {
    let mut scale = deploy(DeployState::Running, DeployPhase::Rollout, 0);
    scale.build = None;
    assert_eq!(stands(&scale), [Stand::Active, Stand::Waiting, Stand::Waiting]);
    scale.kind = DeployKind::Stop;
    assert_eq!(stands(&scale), []);
}
