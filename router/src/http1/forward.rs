//! Sends a request to an endpoint, and to the next one where the rules allow it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dinp_common::instance::InstanceId;
use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::balance::{Load, choose};
use crate::clock::now_ms;
use crate::flights::Flight;
use crate::head::RequestHead;
use crate::limits::{ANSWER_MS, CONNECT_LAST_MS, CONNECT_MS, HEAD_BYTES, HEAD_FIELDS, POOL_IDLE_MS};
use crate::lookup::{App, Target};
use crate::pages::Page;
use crate::retry::{self, Failure, GiveUp, Next};

use super::Core;
use super::body::RequestBody;
use super::receipt::Receipt;

/// A request ready to be sent.
pub struct Outgoing {
    request: Request<RequestBody>,
    replayable: bool,
}

/// An endpoint's answer, its body still to come.
pub struct Answered {
    pub response: Response<Incoming>,
    pub sender: SendRequest<RequestBody>,
    pub flight: Flight,
    pub app: Arc<App>,
}

/// One attempt's end, where it has no answer. The request is back if it can be sent again.
struct Failed {
    failure: Failure,
    request: Option<Request<RequestBody>>,
}

impl Outgoing {
    /// `head` as it is to reach the endpoint; the target becomes origin-form.
    pub fn new(head: RequestHead, body: RequestBody) -> Self {
        let replayable = retry::replayable(&head.method, !body.is_empty());
        let target = match (head.target.authority(), head.target.path_and_query()) {
            (Some(_), Some(path)) => Uri::from(path.clone()),
            _ => head.target,
        };
        Self { request: assemble(head.method, target, head.fields, body), replayable }
    }
}

fn assemble(method: Method, target: Uri, fields: HeaderMap, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = fields;
    request
}

/// The copy of a request without a body.
fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    assemble(request.method().clone(), request.uri().clone(), request.headers().clone(), RequestBody::Empty)
}

/// Sends a request to an endpoint of `host`'s app. Every attempt reads the newest table, so a request never goes to an
/// instance that has left it meanwhile.
///
/// # Errors
/// The page to answer with.
pub async fn forward(core: &Rc<Core>, host: &str, outgoing: Outgoing, receipt: &mut Receipt) -> Result<Answered, Page> {
    let Outgoing { mut request, replayable } = outgoing;
    let mut tried: Vec<InstanceId> = Vec::new();
    let mut fresh = false;
    let mut last = GiveUp::Unreachable { timed_out: false };
    loop {
        let (app, target, flight) = match pick(core, host, &tried) {
            Ok(picked) => picked,
            Err(Picked::Nothing(app)) => return Err(give_up(last, &app)),
            Err(Picked::Page(page)) => return Err(page),
        };
        receipt.attempt(&app, &target);
        let connect_ms = if tried.len() + 1 < app.targets.len() { CONNECT_MS } else { CONNECT_LAST_MS };
        let failed = match attempt(core, &target, request, replayable, fresh, connect_ms).await {
            Ok((response, sender)) => return Ok(Answered { response, sender, flight, app }),
            Err(failed) => failed,
        };
        let next = retry::after(failed.failure, replayable, receipt.elapsed_ms());
        tracing::debug!(app = app.name, instance = %target.instance.id, failure = ?failed.failure, ?next, "an attempt failed");
        request = match (next, failed.request) {
            (Next::GiveUp(why), _) => return Err(give_up(why, &app)),
            (_, Some(request)) => request,
            (_, None) => return Err(give_up(GiveUp::Broken, &app)),
        };
        core.meter.retries.increment(1);
        match next {
            Next::FreshConnection => fresh = true,
            Next::OtherEndpoint => {
                tried.push(target.instance.id.clone());
                last = GiveUp::Unreachable { timed_out: failed.failure == Failure::Connect { timed_out: true } };
            }
            Next::GiveUp(_) => {}
        }
    }
}

/// Why nothing could be picked.
enum Picked {
    Page(Page),
    /// Every endpoint of the app was tried.
    Nothing(Arc<App>),
}

/// Chooses an endpoint by the newest table and counts the request on it, in one step of this thread.
fn pick(core: &Core, host: &str, tried: &[InstanceId]) -> Result<(Arc<App>, Target, Flight), Picked> {
    let snapshot = core.snapshot.load();
    let app = snapshot.app(host).map_err(Picked::Page)?;
    let index = if let [_] = app.targets.as_slice() {
        if tried.is_empty() { Some(0) } else { choose(&loads(app, tried), 0) }
    } else {
        choose(&loads(app, tried), rand::random())
    };
    let target = index.map(|index| app.targets[index].clone()).ok_or_else(|| Picked::Nothing(app.clone()))?;
    let flight = target.instance.begin();
    Ok((app.clone(), target, flight))
}

fn loads(app: &App, tried: &[InstanceId]) -> Vec<Load> {
    let now = now_ms();
    let load = |target: &Target| Load {
        in_flight: target.instance.in_flight(),
        ejected: target.instance.ejection.get().is_active(now),
        tried: tried.contains(&target.instance.id),
    };
    app.targets.iter().map(load).collect()
}

fn give_up(why: GiveUp, app: &App) -> Page {
    let app = app.name.clone();
    match why {
        GiveUp::Unreachable { .. } => Page::Unreachable { app },
        GiveUp::Broken => Page::Broken { app },
        GiveUp::TimedOut => Page::TimedOut { app },
    }
}

async fn attempt(
    core: &Rc<Core>,
    target: &Target,
    request: Request<RequestBody>,
    replayable: bool,
    fresh: bool,
    connect_ms: u64,
) -> Result<(Response<Incoming>, SendRequest<RequestBody>), Failed> {
    let within = retry::reuse_within_ms(replayable, POOL_IDLE_MS);
    let pooled = if fresh { None } else { core.pool.borrow_mut().take(&target.instance.id, within) };
    let reused = pooled.is_some();
    let mut sender = match pooled {
        Some(sender) => sender,
        None => match connect(core, target, connect_ms).await {
            Ok(sender) => sender,
            Err(failure) => return Err(Failed { failure, request: Some(request) }),
        },
    };
    let spare = (reused && replayable).then(|| copy(&request));
    let answer = tokio::time::timeout(Duration::from_millis(ANSWER_MS), sender.try_send_request(request)).await;
    match answer {
        Ok(Ok(response)) => Ok((response, sender)),
        Ok(Err(mut error)) => {
            let unsent = error.take_message();
            let failure = Failure::Died { reused, unsent: unsent.is_some() };
            Err(Failed { failure, request: unsent.or(spare) })
        }
        Err(_) => Err(Failed { failure: Failure::NoAnswer, request: None }),
    }
}

/// A new connection. Refusals and silence eject the instance for a while; a client that leaves meanwhile drops this
/// future, which says nothing about the instance.
async fn connect(core: &Rc<Core>, target: &Target, within_ms: u64) -> Result<SendRequest<RequestBody>, Failure> {
    let connecting = tokio::time::timeout(Duration::from_millis(within_ms), TcpStream::connect(target.address)).await;
    let failed = |timed_out| {
        if target.instance.ejection.failed(now_ms()) {
            core.meter.ejections.increment(1);
        }
        Failure::Connect { timed_out }
    };
    let stream = connecting.map_err(|_| failed(true))?.map_err(|_| failed(false))?;
    target.instance.ejection.succeeded();
    // Without it, small writes wait for acknowledgements; a socket that refuses it is closing already.
    let _ = stream.set_nodelay(true);
    let handshake = http1::Builder::new().max_headers(HEAD_FIELDS).max_header_size(HEAD_BYTES).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|_| Failure::Connect { timed_out: false })?;
    tokio::task::spawn_local(async move {
        // Whoever waits for an answer on this connection hears of its end; an unused one just ends.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}
