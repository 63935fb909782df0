//! Converts commands to duct expressions.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;

use crate::process::command::{Cmd, Stdin};
use crate::process::run::find;

/// Part of util-linux, which every Debian has. Without it, children may outlive this process after SIGKILL.
const SETPRIV: &str = "setpriv";

impl Cmd {
    pub(super) fn expression(&self) -> duct::Expression {
        match &self.stdin {
            Stdin::Bytes(bytes) => self.without_stdin().stdin_bytes(bytes.clone()),
            Stdin::File(path) => self.without_stdin().stdin_path(path),
            // A background process group that reads from the terminal is stopped.
            Stdin::Empty => self.without_stdin().stdin_null(),
        }
    }

    /// Leaves stdin to the caller. duct applies the innermost redirection last, so that stdin set here would win.
    pub(super) fn without_stdin(&self) -> duct::Expression {
        let mut expression = duct::cmd(&self.program, self.args.iter().map(OsStr::new));
        if !self.env.is_empty() {
            // One expression per variable would overflow the stack if there are hundreds.
            let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
            all.extend(self.env.iter().map(|(name, value)| (name.into(), value.into())));
            expression = expression.full_env(all);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        expression
    }

    /// The command, which gets SIGTERM when the thread that started it ends, even after SIGKILL. Cleanup commands
    /// (`apart`), programs given as a path, and machines without setpriv are exceptions.
    pub(super) fn bound(&self) -> io::Result<duct::Expression> {
        let is_path = self.program.contains('/');
        if !is_path && find(&self.program).is_none() {
            let why = format!("there is no `{}` on PATH", self.program);
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        if self.apart || is_path {
            return Ok(self.expression());
        }
        Ok(self.until_death("TERM").expression())
    }

    /// Sends the command a signal when the thread that started it ends (setpriv(1)). Unchanged without setpriv.
    pub(super) fn until_death(&self, signal: &str) -> Cmd {
        if find(SETPRIV).is_none() {
            return self.clone();
        }
        let wrapped = ["--pdeathsig", signal, &self.program].map(str::to_owned);
        let args = wrapped.into_iter().chain(self.args.iter().cloned()).collect();
        Cmd { program: SETPRIV.to_owned(), args, ..self.clone() }
    }
}

/// Runs a command as the leader of a new process group.
pub(super) fn lead_group(expression: duct::Expression) -> duct::Expression {
    expression.before_spawn(|command| {
        command.process_group(0);
        Ok(())
    })
}
