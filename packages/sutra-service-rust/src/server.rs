//! The HTTP server: startup, signals and graceful shutdown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::application::Application;
use crate::connections;
use crate::routes::{ServiceState, routes};
use crate::settings::Settings;
use crate::start_error::StartError;

/// Time for running requests to finish after a signal. With `BLOCKING_GRACE`, shutdown takes less than 10 seconds.
const REQUEST_GRACE: Duration = Duration::from_secs(7);

/// Time for blocking threads to finish after that.
const BLOCKING_GRACE: Duration = Duration::from_secs(2);

/// Maximum number of blocking threads: enough for concurrent readers without many stacks.
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
        .map_err(|error| StartError::Environment(format!("cannot start the async runtime: {error}")))?;
    let service =
        Arc::new(ServiceState { settings, application: OnceLock::new(), stopping: AtomicBool::new(false) });
    let result = runtime.block_on(serve_until_stopped(service, start));
    runtime.shutdown_timeout(BLOCKING_GRACE);
    result
}

async fn serve_until_stopped(
    service: Arc<ServiceState>,
    start: impl FnOnce(&Settings) -> Result<Application, StartError> + Send + 'static,
) -> Result<(), StartError> {
    // First, so that a signal during startup is not lost.
    let stop = Arc::new(Notify::new());
    let mut signals = Signals::new()?;
    let listener = listen(&service.settings).await?;

    let mut serving = {
        let stop = stop.clone();
        tokio::spawn(connections::serve(listener, routes(service.clone()), stop))
    };
    let mut starting = tokio::task::spawn_blocking({
        let service = service.clone();
        move || start(&service.settings)
    });
    tokio::select! {
        started = &mut starting => match started {
            Ok(application) => {
                let application = application?;
                // Set only here, so it cannot fail.
                let _ = service.application.set(application);
                log::info!("ready");
            }
            Err(panicked) => return Err(StartError::Environment(format!("startup failed: {panicked}"))),
        },
        name = signals.next() => {
            log::info!(signal = name; "stopped during startup");
            return Ok(());
        }
    }
    let name = tokio::select! {
        name = signals.next() => name,
        ended = &mut serving => {
            return Err(StartError::Environment(format!("the server stopped unexpectedly: {ended:?}")));
        }
    };
    service.stopping.store(true, Ordering::Relaxed);
    log::info!(signal = name; "stopping");
    stop.notify_one();
    if tokio::time::timeout(REQUEST_GRACE, &mut serving).await.is_err() {
        log::warn!("aborting requests still running after {} s", REQUEST_GRACE.as_secs());
        serving.abort();
    }
    log::info!("stopped");
    Ok(())
}

async fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let failed = |error: std::io::Error| {
        StartError::Environment(format!("cannot listen on {host} port {port}: {error}; change HOST or PORT"))
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
