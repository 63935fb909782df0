//! Accepts connections: a bounded number of them, and none that holds up others.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

/// Maximum number of connections of a service: about 10 MB of memory, and fewer than the files that a process may usually open.
pub(crate) const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the header of a request.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// How long a client may accept nothing of an answer.
const WRITE_TIME: Duration = Duration::from_secs(60);

/// How long to wait with another connection if there are too many open files, unless one ends.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// Size of a connection's buffers, and of the largest header of a request; at least 8 kB.
pub(crate) const BUFFER_BYTES: usize = 64 << 10;

/// Serves connections until `stop` is notified, then ends those that are idle, and returns once the others have ended.
/// Those of several ports count together if they have the same `open`.
pub(crate) async fn serve(listener: TcpListener, router: Router, open: Arc<Open>, stop: Arc<Notify>) {
    let graceful = GracefulShutdown::new();
    loop {
        let (accepted, client) = tokio::select! {
            accepted = accept(&listener, &open) => accepted,
            () = stop.notified() => break,
        };
        let connection = open.add();
        let service = service_fn({
            let (router, connection) = (router.clone(), connection.clone());
            move |request| answer(router.clone(), connection.clone(), client, request)
        });
        // Small parts of a streamed answer must not wait for the acknowledgement of earlier ones.
        let _ = accepted.set_nodelay(true);
        let mut accepted = TimeoutStream::new(accepted);
        accepted.set_write_timeout(Some(WRITE_TIME));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(open.buffer)
            .serve_connection(TokioIo::new(Box::pin(accepted)), service);
        let served = graceful.watch(served);
        let open = open.clone();
        tokio::spawn(async move {
            tokio::select! {
                // The client went away, or sent something that is not HTTP.
                ended = served => {
                    if let Some(error) = ended.err().filter(hyper::Error::is_parse) {
                        log::info!(client:% = client.ip(); "malformed request: {error}");
                    }
                }
                () = connection.end.notified() => {}
            }
            open.remove(&connection);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection. If there are too many, one that waits for its client is closed for it.
async fn accept(listener: &TcpListener, open: &Open) -> (TcpStream, SocketAddr) {
    loop {
        open.make_room().await;
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Of the process or the machine; the listener still works.
            Err(error) if is_shortage(&error) => {
                log::warn!("cannot accept a connection: {error}");
                open.end_one();
                // The end of a connection wakes only one port, and files may be given back without one.
                let _ = timeout(RETRY_TIME, open.changed.notified()).await;
            }
            // The client is gone already.
            Err(_) => {}
        }
    }
}

/// Whether there are too many open files, or too little memory.
fn is_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS | ENOMEM))
}

async fn answer(
    mut router: Router,
    connection: Arc<Connection>,
    client: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let busy = Busy::new(connection);
    request.extensions_mut().insert(ConnectInfo(client));
    let response = router.call(request.map(Body::new)).await?;
    // Until the last of the body has been handed over.
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &busy;
            frame
        }))
    }))
}

/// The open connections, oldest first.
#[derive(Debug)]
pub(crate) struct Open {
    limit: usize,
    buffer: usize,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Whenever a connection has ended, or has nothing to do.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Connection {
    /// Requests being answered.
    requests: AtomicUsize,
    /// Whether it has ever sent a request.
    is_proven: AtomicBool,
    /// Whether it was told to end. Its file is open until it has.
    is_ending: AtomicBool,
    end: Notify,
    changed: Arc<Notify>,
}

impl Open {
    /// At most `limit` connections, whose buffers have `buffer` bytes each.
    pub(crate) fn new(limit: usize, buffer: usize) -> Self {
        Self { limit, buffer, connections: Mutex::default(), changed: Arc::default() }
    }

    fn add(&self) -> Arc<Connection> {
        let connection = Arc::new(Connection { changed: self.changed.clone(), ..Connection::default() });
        self.all().push(connection.clone());
        connection
    }

    fn remove(&self, connection: &Arc<Connection>) {
        self.all().retain(|other| !Arc::ptr_eq(other, connection));
        self.changed.notify_one();
    }

    /// Waits until there are fewer than the limit, with those that are ending; ends one if it can.
    async fn make_room(&self) {
        let mut has_waited = false;
        while self.all().len() >= self.limit {
            self.end_one();
            self.changed.notified().await;
            has_waited = true;
        }
        if has_waited {
            // The other port may wait too, and only one of them is woken.
            self.changed.notify_one();
        }
    }

    /// Ends a connection that waits for its client, if there is one and none is ending: if possible, one that never sent a
    /// request.
    fn end_one(&self) {
        let all = self.all();
        if all.iter().any(|connection| connection.is_ending.load(Ordering::SeqCst)) {
            return;
        }
        let is_idle = |connection: &Arc<Connection>| connection.requests.load(Ordering::SeqCst) == 0;
        let unproven = |connection: &Arc<Connection>| {
            is_idle(connection) && !connection.is_proven.load(Ordering::SeqCst)
        };
        let chosen = all.iter().find(|&it| unproven(it)).or_else(|| all.iter().find(|&it| is_idle(it)));
        if let Some(connection) = chosen {
            connection.is_ending.store(true, Ordering::SeqCst);
            connection.end.notify_one();
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection while a request is being answered.
struct Busy(Arc<Connection>);

impl Busy {
    fn new(connection: Arc<Connection>) -> Self {
        connection.requests.fetch_add(1, Ordering::SeqCst);
        connection.is_proven.store(true, Ordering::SeqCst);
        Self(connection)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}
