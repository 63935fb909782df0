//! A command as duct runs it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;

use crate::process::command::Cmd;
use crate::process::run::find;

/// Of util-linux, on every Debian. Without it, a child may outlive a process that gets SIGKILL.
const SETPRIV: &str = "setpriv";

impl Cmd {
    pub(super) fn expression(&self) -> duct::Expression {
        match &self.stdin {
            Some(bytes) => self.without_stdin().stdin_bytes(bytes.clone()),
            // The terminal would stop a group in the background that reads from it.
            None => self.without_stdin().stdin_null(),
        }
    }

    /// For a command that gets another standard input: duct applies the innermost redirection last.
    pub(super) fn without_stdin(&self) -> duct::Expression {
        let mut expression = duct::cmd(&self.program, self.args.iter().map(OsStr::new));
        for (name, value) in &self.env {
            expression = expression.env(name, value);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        expression
    }

    /// The command, which ends with this process even after SIGKILL, unless it cleans up.
    pub(super) fn bound(&self) -> io::Result<duct::Expression> {
        let is_path = self.program.contains('/');
        if !is_path && find(&self.program).is_none() {
            let why = format!("there is no `{}` on PATH", self.program);
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        if self.apart || is_path || find(SETPRIV).is_none() {
            return Ok(self.expression());
        }
        Ok(self.until_death("TERM").expression())
    }

    /// The same command, which gets a signal when the thread that started it ends (setpriv(1)).
    pub(super) fn until_death(&self, signal: &str) -> Cmd {
        let wrapped = ["--pdeathsig", signal, &self.program].map(str::to_owned);
        let args = wrapped.into_iter().chain(self.args.iter().cloned()).collect();
        Cmd { program: SETPRIV.to_owned(), args, ..self.clone() }
    }
}

/// Makes a command the leader of a process group.
pub(super) fn lead_group(expression: duct::Expression) -> duct::Expression {
    expression.before_spawn(|command| {
        command.process_group(0);
        Ok(())
    })
}
