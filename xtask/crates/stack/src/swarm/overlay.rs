//! A container on a stack's networks that runs this program and forwards connections to services. It needs no published ports and works
//! with remote engines.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::swarm::program::ProgramFiles;
use engine::docker::Docker;
use host::process::Cmd;
use model::platform::Platform;

/// The hidden command that [`forward`](crate::swarm::relay::forward) implements.
pub const RELAY: &str = "relay";
/// The label on these containers; its value is the stack's name.
const LABEL: &str = "images.swarm.probe";

/// The container. Dropping it removes it.
#[derive(Debug)]
pub(super) struct OverlayContainer {
    docker: Docker,
    id: String,
    command: Vec<String>,
}

impl OverlayContainer {
    /// Starts a container. It exits after `lifetime`, in case this process cannot remove it.
    ///
    /// # Errors
    /// When docker fails, or the engine cannot run this program.
    pub(super) fn start(
        stack: &str,
        networks: &[String],
        lifetime: Duration,
        docker: &Docker,
    ) -> Result<OverlayContainer> {
        let system = docker.cmd(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).read()?;
        let here = Platform::of_this_machine().to_string();
        if system != here {
            bail!("the manager runs {system}, but this program was built for {here}");
        }
        let files = ProgramFiles::of_this_process()?;
        let command = files.command();
        let mut options = vec![
            "--rm".to_owned(),
            format!("--label={LABEL}={stack}"),
            "--cap-drop=ALL".to_owned(),
            "--security-opt=no-new-privileges".to_owned(),
            "--user=65534:65534".to_owned(),
        ];
        options.extend(networks.first().map(|network| format!("--network={network}")));
        let wait = [RELAY.to_owned(), "--wait".to_owned(), lifetime.as_secs().to_string()];
        let words: Vec<String> = command.iter().cloned().chain(wait).collect();
        let id = docker.create_empty_container(&options, &words)?;
        // From here on, it is removed even if a later step fails.
        let container = OverlayContainer { docker: docker.clone(), id, command };
        let copy = docker.cmd(["cp", "-", &format!("{}:/", container.id)]).stdin(files.archive()?).long();
        copy.read().context("cannot copy this program into a container")?;
        for network in networks.iter().skip(1) {
            docker.cmd(["network", "connect", network, &container.id]).read()?;
        }
        docker.cmd(["start", &container.id]).read()?;
        Ok(container)
    }

    /// Forwards connections from a loopback port of this machine to a service.
    ///
    /// # Errors
    /// When no port is free.
    pub(super) fn forward(&self, service: &str, port: u16) -> Result<Forwarder> {
        let words = self.command.iter().cloned().chain([RELAY.to_owned(), format!("{service}:{port}")]);
        let cmd = self.docker.cmd(["exec", "--interactive", &self.id]).args(words);
        Forwarder::start(cmd).context("cannot listen on a loopback port")
    }
}

impl Drop for OverlayContainer {
    fn drop(&mut self) {
        // If this fails, the container exits after its lifetime.
        self.docker.remove_containers(std::slice::from_ref(&self.id)).ok();
    }
}

/// Runs a command for each connection to a loopback port, until it is dropped.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Forwarder {
    fn start(cmd: Cmd) -> std::io::Result<Forwarder> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let cmd = cmd.clone();
                // On an error, the client sees the connection close without an answer.
                thread::spawn(move || cmd.serve(connection).ok());
            }
        });
        Ok(Forwarder { address, over })
    }

    /// The address it listens on.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        TcpStream::connect(self.address).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::Shutdown;

    use super::*;
    use host::process::Runner;

    #[test]
    fn each_connection_gets_a_command_of_its_own() {
        let forwarder = Forwarder::start(Runner::default().cmd("cat")).unwrap();
        for text in ["one", "two"] {
            let mut client = TcpStream::connect(forwarder.address()).unwrap();
            client.write_all(text.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, text);
        }
    }
}
