//! What people may ask for, with the numbers when it is too much.

use dinp_common::api::Settings;
use dinp_common::health::HealthCheck;
use dinp_common::limits;
use dinp_common::pace::Pace;
use dinp_common::release::Env;
use dinp_common::size::{MiB, human_bytes};
use dinp_planner::policy::Policy;

use super::problem::{ApiError, ApiResult};
use crate::spec;

/// Seconds a stop may take: longer, and a drain of a node never ends.
const STOP_GRACE_MOST: u32 = 3_600;
/// Seconds a deploy may take.
const TIMEOUT_MOST: u32 = 86_400;
/// Characters of a health check's path.
const PATH_LENGTH: usize = 1_024;
/// Characters of a reason: it stands in one line beside the status.
const REASON_LENGTH: usize = 200;

pub fn settings(settings: &Settings) -> ApiResult<()> {
    settings.instances.map_or(Ok(()), |n| instances("/settings/instances", n))?;
    settings.memory.map_or(Ok(()), |size| memory("/settings/memory", size))?;
    if settings.port == Some(0) {
        return Err(refused("/settings/port", "a port is 1 to 65535".to_owned()));
    }
    if let Some(seconds) = settings.stop_grace_seconds.filter(|seconds| *seconds > STOP_GRACE_MOST) {
        let detail = format!("stop_grace_seconds is {seconds}; at most {STOP_GRACE_MOST} are possible");
        return Err(refused("/settings/stop_grace_seconds", detail));
    }
    if let Some(seconds) = settings.timeout_seconds.filter(|seconds| !(1..=TIMEOUT_MOST).contains(seconds)) {
        let detail = format!("timeout_seconds is {seconds}; 1 to {TIMEOUT_MOST} are possible");
        return Err(refused("/settings/timeout_seconds", detail));
    }
    if let Some(error) = settings.placement.as_ref().and_then(|placement| placement.check().err()) {
        return Err(refused("/settings/placement", error.to_string()));
    }
    settings.health.as_ref().map_or(Ok(()), health)
}

/// `pace` is the app's with what is asked now.
pub fn pace(policy: &Policy, pace: Pace) -> ApiResult<()> {
    if !policy.moves_nothing(pace) {
        return Ok(());
    }
    let detail = "with max_surge 0 and max_unavailable 0 no instance could ever be replaced".to_owned();
    Err(refused("/settings/max_surge", detail)
        .suggest("let max_surge be 1 (no user notices) or max_unavailable 1 (no room is needed)"))
}

pub fn instances(pointer: &str, n: u32) -> ApiResult<()> {
    if n <= limits::INSTANCES_PER_APP {
        return Ok(());
    }
    let most = limits::INSTANCES_PER_APP;
    Err(refused(pointer, format!("instances is {n}; a whole number from 0 to {most} is possible")))
}

pub fn memory(pointer: &str, size: MiB) -> ApiResult<()> {
    let least = MiB(limits::MEMORY_MIN_MIB);
    if size >= least { Ok(()) } else { Err(refused(pointer, format!("{size} is too little memory; {least} is the least"))) }
}

/// Words of people's that others read in one line.
pub fn reason(pointer: &str, text: &str) -> ApiResult<()> {
    if text.chars().count() <= REASON_LENGTH && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(refused(pointer, format!("a reason is one line of at most {REASON_LENGTH} characters")))
}

fn health(check: &HealthCheck) -> ApiResult<()> {
    let HealthCheck::Http { path } = check else { return Ok(()) };
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.starts_with('/') && plain && path.len() <= PATH_LENGTH {
        return Ok(());
    }
    Err(refused("/settings/health/path", format!("\"{path}\" is not a path; write for example /health")))
}

pub fn env(env: &Env) -> ApiResult<()> {
    if let Some((key, _)) = env.iter().find(|(_, value)| value.value.contains('\0')) {
        return Err(ApiError::unprocessable("invalid_env", format!("the value of {key} contains a zero byte")));
    }
    let (bytes, most) = (spec::env_bytes(env), limits::ENV_BYTES);
    if bytes <= most {
        return Ok(());
    }
    let detail = format!(
        "the environment would hold {} in {} variables; at most {} fit beside a program's arguments",
        human_bytes(bytes as u64),
        env.len(),
        human_bytes(most as u64)
    );
    Err(ApiError::unprocessable("env_too_large", detail).suggest("put large values into the artifact, or let the app fetch them"))
}

/// An image reference as Docker reads it, so far that nothing else can be meant by it.
pub fn reference(text: &str) -> ApiResult<()> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b':' | b'@'));
    if plain && (1..=512).contains(&text.len()) && !text.starts_with(['-', '/', '.', ':', '@']) {
        return Ok(());
    }
    Err(refused("/source/reference", format!("\"{text}\" is not an image reference; write for example shop:1.2")))
}

/// The file's own name, without folders or control characters.
pub fn file_name(text: &str) -> String {
    let base = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = base.chars().filter(|c| !c.is_control()).take(255).collect();
    if plain.is_empty() { "artifact".to_owned() } else { plain }
}

fn refused(pointer: &str, detail: String) -> ApiError {
    ApiError::unprocessable("invalid_request", detail.clone()).field(pointer, detail)
}
