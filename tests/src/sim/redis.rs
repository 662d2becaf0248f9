//! The simulated Redis, by the rules of `server/src/feed/apply.lua`.

use std::collections::BTreeMap;

use dinp_common::name::{Host, RouterId};
use dinp_common::route::{Route, RouteUpdate, RouterStatus, TableCert};

use super::event::RedisAnswer;
use super::kernel::Ms;

/// How long a router's own key lives.
pub const STATUS_TTL: Ms = dinp_common::route::redis_keys::ROUTER_TTL_SECONDS * 1_000;

/// What stands under the certificate's key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertKey {
    #[default]
    Missing,
    Cert(TableCert),
    /// Somebody else's text.
    Junk,
}

#[derive(Debug, Clone, Default)]
pub struct Redis {
    pub routes: BTreeMap<Host, Route>,
    pub cert: CertKey,
    /// A field among the routes that is no route.
    pub junk: bool,
    pub statuses: BTreeMap<RouterId, (RouterStatus, Ms)>,
    /// It takes commands and answers none.
    pub frozen: bool,
}

impl Redis {
    /// One certified step, or none of it.
    pub fn apply(&mut self, update: &RouteUpdate) -> RedisAnswer {
        let cert = update.cert();
        let seen = match &self.cert {
            CertKey::Cert(seen) => Some(seen.clone()),
            CertKey::Missing | CertKey::Junk => None,
        };
        if let Some(seen) = &seen {
            let (theirs, ours) = (&seen.fence, &cert.fence);
            if theirs.cluster != ours.cluster {
                return RedisAnswer::Foreign;
            }
            if theirs.epoch > ours.epoch || (theirs.epoch == ours.epoch && theirs.holder != ours.holder) {
                return RedisAnswer::Older(theirs.epoch);
            }
        }
        match update {
            RouteUpdate::Full { routes, .. } => {
                self.junk = false;
                self.routes = routes.iter().map(|route| (route.host.clone(), route.clone())).collect();
            }
            RouteUpdate::Delta { base, put, remove, .. } => {
                let fits = seen.is_some_and(|seen| seen.at() == *base && seen.count == self.length());
                if !fits {
                    return RedisAnswer::Gap;
                }
                remove.iter().for_each(|host| drop(self.routes.remove(host)));
                self.routes.extend(put.iter().map(|route| (route.host.clone(), route.clone())));
            }
        }
        self.cert = CertKey::Cert(cert.clone());
        RedisAnswer::Ok
    }

    pub fn verify(&self, cert: &TableCert) -> RedisAnswer {
        RedisAnswer::Verified(self.cert == CertKey::Cert(cert.clone()) && self.length() == cert.count)
    }

    /// The whole table as a router reads it; `None` where there is none that can be read.
    pub fn table(&self) -> Option<RouteUpdate> {
        match &self.cert {
            CertKey::Cert(cert) if !self.junk => {
                Some(RouteUpdate::Full { cert: cert.clone(), routes: self.routes.values().cloned().collect() })
            }
            CertKey::Cert(_) | CertKey::Missing | CertKey::Junk => None,
        }
    }

    /// What it holds is what its certificate says, as far as counting tells.
    pub fn is_whole(&self) -> bool {
        matches!(&self.cert, CertKey::Cert(cert) if cert.count == self.length() && !self.junk)
    }

    pub fn flush(&mut self) {
        *self = Self { frozen: self.frozen, ..Self::default() };
    }

    fn length(&self) -> u64 {
        self.routes.len() as u64 + u64::from(self.junk)
    }
}
