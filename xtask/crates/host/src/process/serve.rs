//! Commands that serve a connection.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

use crate::process::command::Cmd;
use crate::process::error::ProcessError;
use crate::process::expression::lead_group;

impl Cmd {
    /// Runs the command until it exits, with a connection as its standard input and output. It is killed if the calling thread ends.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn serve(&self, connection: TcpStream) -> Result<(), ProcessError> {
        let output = connection.try_clone().map_err(|error| self.start_error(&error))?;
        let expression = self.until_death("KILL").without_stdin();
        let expression = expression.stdin_file(OwnedFd::from(connection)).stdout_file(OwnedFd::from(output));
        // Consumes the expression, so that only the command holds the connection.
        let handle = lead_group(expression).stderr_null().unchecked().start();
        let handle = handle.map_err(|error| self.start_error(&error))?;
        handle.into_output().map(drop).map_err(|error| self.start_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener};

    use super::*;
    use crate::process::Runner;

    #[test]
    fn a_command_answers_a_connection_and_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (connection, _) = listener.accept().unwrap();
            Runner::default().cmd("sed").arg("s/ping/pong/").serve(connection)
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"ping 1\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "pong 1\n");
        serving.join().unwrap().unwrap();
    }
}
