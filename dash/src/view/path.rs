//! The addresses of pages.

use dinp_common::deploy::DeployNo;
use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;

pub(crate) fn app(app: &AppName) -> String {
    format!("/apps/{app}")
}

pub(crate) fn tab(app: &AppName, tab: &str) -> String {
    format!("/apps/{app}/{tab}")
}

pub(crate) fn deploy(app: &AppName, number: DeployNo) -> String {
    format!("/apps/{app}/deploys/{}", number.0)
}

pub(crate) fn rollback(app: &AppName, to: ReleaseNo) -> String {
    format!("/apps/{app}/releases/{}/rollback", to.0)
}

pub(crate) fn logs_of(app: &AppName, instance: &str) -> String {
    format!("/apps/{app}/logs?instance={instance}")
}
