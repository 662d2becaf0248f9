//! The requests with a key that this process is carrying out: of several with one key, one at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dinp_store::RequestKey;

/// A cheap handle; clones share everything. It holds no more keys than there are requests.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<RequestKey>>>);

/// The right to carry out the request with a key, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    under_way: UnderWay,
    key: RequestKey,
}

impl UnderWay {
    /// `None` while another request with this key is under way.
    pub fn begin(&self, key: &RequestKey) -> Option<Turn> {
        self.keys().insert(key.clone()).then(|| Turn { under_way: self.clone(), key: key.clone() })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<RequestKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.keys().remove(&self.key);
    }
}
