//! `?dry_run=true`: the change is written in a transaction that is taken back, and what it leads to is rehearsed by the
//! planner itself on what was read in it. Nothing is stored, built or sent.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::response::{IntoResponse, Response};
use dinp_common::deploy::Deploy;
use dinp_common::fence::Fence;
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Desired;
use dinp_common::rehearsal::{
    DrainLeft, DrainPlan, DrainStep, PlanAction, PlanNode, PlanStep, PlanView, RebalanceMove, RebalancePlan,
};
use dinp_planner::policy::Policy;
use dinp_planner::preview::{self, Does, DrainPreview, Outcome, Preview, RebalancePreview, Shifted, Step, preview};
use dinp_store::Intent;

use super::AppState;
use super::changes::{self, Begun};
use super::problem::{ApiResult, internal};

#[derive(Debug, Clone, Copy, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DryRunQuery {
    /// Answers the plan that would follow (200), and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A change that has begun, or what it would lead to.
#[derive(Debug)]
pub enum Answer {
    Begun(Box<Begun>),
    Plan(Box<PlanView>),
}

impl Answer {
    pub fn begun(begun: Begun) -> Self {
        Self::Begun(Box::new(begun))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Begun(begun) => begun.into_response(),
            Self::Plan(plan) => Json(*plan).into_response(),
        }
    }
}

/// Begins the change, or rehearses it.
pub async fn answer(state: &AppState, intent: Intent, query: DryRunQuery) -> ApiResult<Answer> {
    if query.dry_run { rehearse(state, intent, false).await } else { changes::begin(state, intent).await.map(Answer::begun) }
}

/// `after_build`: the intent's image stands for one that has to be built.
pub async fn rehearse(state: &AppState, intent: Intent, after_build: bool) -> ApiResult<Answer> {
    let (deploy, desired) = state.store.deploy_preview(intent).await?;
    let pace = paces(&desired, &deploy.app, &state.config.policy);
    let observed = state.cluster.observed(Instant::now());
    let (config, app, fence) = (state.config.clone(), deploy.app.clone(), fence(state));
    let preview = aside(move || preview(desired, observed, &fence, &config.domain, &config.policy, &app)).await?;
    Ok(Answer::Plan(Box::new(plan_view(&deploy, preview, pace, after_build))))
}

/// What a drain of the node would move, and what would stay.
pub async fn rehearse_drain(state: &AppState, node: NodeName) -> ApiResult<DrainPlan> {
    let desired = state.store.desired_load().await?;
    let observed = state.cluster.observed(Instant::now());
    let (config, fence, of) = (state.config.clone(), fence(state), node.clone());
    let DrainPreview { steps, nodes, left } =
        aside(move || preview::drain(desired, observed, &fence, &config.domain, &config.policy, &of)).await?;
    Ok(DrainPlan {
        node,
        steps: steps.into_iter().map(|step| DrainStep { app: step.app.clone(), step: plan_step(step) }).collect(),
        nodes: plan_nodes(nodes),
        left: left.into_iter().map(|(instance, app, why)| DrainLeft { instance, app, why }).collect(),
    })
}

/// What a rebalance would move.
pub async fn rehearse_rebalance(state: &AppState, by: String) -> ApiResult<RebalancePlan> {
    let desired = state.store.desired_load().await?;
    let observed = state.cluster.observed(Instant::now());
    let (config, fence) = (state.config.clone(), fence(state));
    let RebalancePreview { moves, nodes, ended } =
        aside(move || preview::rebalance(desired, observed, &fence, &config.domain, &config.policy, &by)).await?;
    let moves = moves.into_iter().map(|Shifted { instance, app, from, to, why }| RebalanceMove { instance, app, from, to, why });
    Ok(RebalancePlan { moves: moves.collect(), nodes: plan_nodes(nodes), ended })
}

/// Of nobody: what a rehearsal publishes goes nowhere.
fn fence(state: &AppState) -> Fence {
    Fence { cluster: state.store.cluster(), epoch: 0, holder: "dry run".to_owned() }
}

/// A large rehearsal is some seconds of work, which must not hold up other requests.
async fn aside<T: Send + 'static>(rehearsal: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(rehearsal).await.map_err(|error| {
        tracing::error!(%error, "a dry run ended in a panic");
        internal()
    })
}

fn plan_nodes(nodes: BTreeMap<NodeName, (u32, u32)>) -> Vec<PlanNode> {
    nodes.into_iter().map(|(name, (now, then))| PlanNode { name, now, then }).collect()
}

/// How many more than those wanted, and how many fewer, there may be at once.
fn paces(desired: &Desired, app: &AppName, policy: &Policy) -> (u32, u32) {
    let app = desired.app(app);
    app.map_or((0, 0), |app| (policy.surge(app.pace, app.instances), policy.unavailable(app.pace, app.instances)))
}

fn plan_view(deploy: &Deploy, preview: Preview, (surge, unavailable): (u32, u32), after_build: bool) -> PlanView {
    let Preview { steps, outcome, nodes, filtered } = preview;
    let (outcome, failure) = match outcome {
        Outcome::Ends { state, failure } => (Some(state), failure),
        Outcome::Open => (None, None),
    };
    PlanView {
        app: deploy.app.clone(),
        kind: deploy.kind,
        strategy: deploy.strategy,
        surge,
        unavailable,
        note: deploy.note.clone(),
        from: deploy.from,
        to: deploy.to,
        after_build,
        steps: steps.into_iter().map(plan_step).collect(),
        nodes: plan_nodes(nodes),
        filtered: Some(filtered).filter(|filtered| !filtered.is_empty()),
        outcome,
        failure,
    }
}

fn plan_step(step: Step) -> PlanStep {
    let Step { app: _, does, instance, node, release, number, reason } = step;
    let action = match does {
        Does::Start => PlanAction::Start,
        Does::Withdraw => PlanAction::Withdraw,
        Does::Stop => PlanAction::Stop,
    };
    PlanStep { action, instance, index: number, release, node, reason }
}
