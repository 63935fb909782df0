//! Listening, and stopping in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::program::{Application, StartError};
use crate::routes::{Front, surround};
use crate::{ApiError, Settings};

/// How long requests may go on after a signal. With what comes after it the stop stays within 10 seconds.
const GRACE: Duration = Duration::from_secs(7);

/// How long work off the async threads may go on after that.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Threads that may block at one time: enough for readers beside each other, and few stacks.
const BLOCKING_THREADS: usize = 16;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(
    settings: Settings,
    start: impl FnOnce(&Settings) -> Result<Application, StartError> + Send + 'static,
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(4))
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| StartError::Environment(format!("cannot start threads: {error}")))?;
    let front = Arc::new(Front { settings, application: OnceLock::new(), stopping: AtomicBool::new(false) });
    let outcome = runtime.block_on(serve_until_stopped(front, start));
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

async fn serve_until_stopped(
    front: Arc<Front>,
    start: impl FnOnce(&Settings) -> Result<Application, StartError> + Send + 'static,
) -> Result<(), StartError> {
    // Before anything else: a signal that arrives while the service starts must not be lost.
    let stop = Arc::new(Notify::new());
    let mut signals = Signals::new()?;
    let listener = listen(&front.settings).await?;

    let mut serving = {
        let stop = stop.clone();
        let server = axum::serve(listener, surround(front.clone()));
        tokio::spawn(server.with_graceful_shutdown(async move { stop.notified().await }).into_future())
    };
    let mut starting = tokio::task::spawn_blocking({
        let front = front.clone();
        move || start(&front.settings)
    });
    tokio::select! {
        started = &mut starting => match started {
            Ok(application) => {
                let application = application?;
                // Nobody else sets it.
                let _ = front.application.set(application);
                log::info!("ready");
            }
            Err(panicked) => return Err(StartError::Environment(format!("the start failed: {panicked}"))),
        },
        name = signals.next() => {
            log::info!(signal = name; "stopped while starting");
            return Ok(());
        }
    }
    let name = tokio::select! {
        name = signals.next() => name,
        ended = &mut serving => {
            return Err(StartError::Environment(format!("the listener ended by itself: {ended:?}")));
        }
    };
    front.stopping.store(true, Ordering::Relaxed);
    log::info!(signal = name; "stopping");
    stop.notify_one();
    if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
        log::warn!("requests still running after {} s are cut", GRACE.as_secs());
        serving.abort();
    }
    log::info!("stopped");
    Ok(())
}

async fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let failed = |error: std::io::Error| {
        StartError::Environment(format!("cannot listen on {host} port {port}: {error}; set HOST and PORT"))
    };
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let (edition, version) = (settings.edition.as_str(), settings.version.as_str());
    log::info!(address = address.as_str(), edition, version; "listening");
    Ok(listener)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let handle = |kind| {
            signal(kind).map_err(|error| StartError::Environment(format!("cannot handle signals: {error}")))
        };
        Ok(Self { terminate: handle(SignalKind::terminate())?, interrupt: handle(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl From<tokio::task::JoinError> for ApiError {
    /// For work handed to a blocking thread that panicked or was cut at the stop.
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}
