//! The HTTP server: startup, signals and graceful shutdown.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::application::Application;
use crate::connections::{self, BUFFER_BYTES, MAX_CONNECTIONS, Open};
use crate::metrics::Metrics;
use crate::routes::{ServiceState, metrics_routes, routes};
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
    let runtime = runtime()?;
    let service = Arc::new(ServiceState {
        metrics: Metrics::new(&settings),
        settings,
        application: OnceLock::new(),
        stopping: AtomicBool::new(false),
    });
    let result = runtime.block_on(serve_until_stopped(service, start));
    runtime.shutdown_timeout(BLOCKING_GRACE);
    result
}

/// Where a server with routes of its own listens.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address or name to listen on.
    pub host: String,
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Maximum number of connections.
    pub connections: usize,
    /// Size of a connection's buffers, and of the largest header of a request, in bytes; at least 8 kB.
    pub buffer: usize,
}

/// Serves routes without a start-up phase until SIGTERM, SIGINT or SIGQUIT.
pub(crate) fn serve_routes(listen: &Listen, router: Router) -> Result<(), StartError> {
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let (listener, address) = bind(&listen.host, listen.port, "HOST or PORT").await?;
        log::info!(address:% = address; "listening");
        let stop = Arc::new(Notify::new());
        let open = Arc::new(Open::new(listen.connections, listen.buffer));
        let mut serving = tokio::spawn(connections::serve(listener, router, open, stop.clone()));
        let name = tokio::select! {
            name = signals.next() => name,
            ended = &mut serving => {
                return Err(StartError::Environment(format!("the server stopped unexpectedly: {ended:?}")));
            }
        };
        log::info!(signal = name; "stopping");
        stop.notify_one();
        if tokio::time::timeout(REQUEST_GRACE, &mut serving).await.is_err() {
            log::warn!("aborting requests still running after {} s", REQUEST_GRACE.as_secs());
            serving.abort();
        }
        log::info!("stopped");
        Ok(())
    });
    runtime.shutdown_timeout(BLOCKING_GRACE);
    result
}

fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(4))
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|error| StartError::Environment(format!("cannot start the async runtime: {error}")))
}

async fn serve_until_stopped(
    service: Arc<ServiceState>,
    start: impl FnOnce(&Settings) -> Result<Application, StartError> + Send + 'static,
) -> Result<(), StartError> {
    // First, so that a signal during startup is not lost.
    let mut signals = Signals::new()?;
    let (stop, stop_metrics) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let open = Arc::new(Open::new(MAX_CONNECTIONS, BUFFER_BYTES));
    let metrics_listener = listen_for_metrics(&service.settings).await?;
    let listener = listen(&service.settings).await?;
    let routes = routes(service.clone());
    let mut serving = tokio::spawn(connections::serve(listener, routes, open.clone(), stop.clone()));
    let serving_metrics = metrics_listener.map(|listener| {
        let routes = metrics_routes(service.clone());
        tokio::spawn(connections::serve(listener, routes, open, stop_metrics.clone()))
    });
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
    stop_metrics.notify_one();
    let both = async {
        let _ = (&mut serving).await;
        if let Some(serving) = serving_metrics {
            let _ = serving.await;
        }
    };
    if tokio::time::timeout(REQUEST_GRACE, both).await.is_err() {
        log::warn!("aborting requests still running after {} s", REQUEST_GRACE.as_secs());
        serving.abort();
    }
    log::info!("stopped");
    Ok(())
}

async fn listen(settings: &Settings) -> Result<TcpListener, StartError> {
    let (listener, address) = bind(&settings.host, settings.port, "HOST or PORT").await?;
    let address = address.to_string();
    let (edition, version) = (settings.edition.as_str(), settings.version.as_str());
    log::info!(address = address.as_str(), edition, version; "listening");
    Ok(listener)
}

async fn listen_for_metrics(settings: &Settings) -> Result<Option<TcpListener>, StartError> {
    let Some(port) = settings.metrics_port else { return Ok(None) };
    let (listener, address) = bind(&settings.host, port, "METRICS_PORT").await?;
    log::info!("metrics at port {}", address.port());
    Ok(Some(listener))
}

async fn bind(host: &str, port: u16, remedy: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error: std::io::Error| {
        StartError::Environment(format!("cannot listen on {host} port {port}: {error}; change {remedy}"))
    };
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// How nginx is stopped; a container may still be configured for it.
    quit: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let handle = |kind| {
            signal(kind).map_err(|error| StartError::Environment(format!("cannot handle signals: {error}")))
        };
        Ok(Self {
            terminate: handle(SignalKind::terminate())?,
            interrupt: handle(SignalKind::interrupt())?,
            quit: handle(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}
