//! The real server of NATS (Debian's package `nats-server`), as a child process that never outlives its [`NatsServer`].

use crate::collected_log::CollectedLog;
use crate::daemon::DEADLINE;
use crate::netns::Namespace;
use crate::skip::skipped;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The port of a server where it is the only one of its namespace.
pub const PORT: u16 = 4222;

/// Where packages install it, beyond the search path of some users.
const PLACES: [&str; 3] = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct NatsServer {
    child: Child,
}

impl NatsServer {
    /// Where it is installed; if it is not, says that `what` is skipped.
    pub fn installed_or_skipped(what: &str) -> Option<PathBuf> {
        let found = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
        if found.is_none() {
            skipped(&format!("{what}: needs nats-server"));
        }
        found
    }

    /// Starts it on a port of a namespace, with this configuration beside the address, and waits until it is ready.
    ///
    /// # Panics
    /// When it is not by [`DEADLINE`].
    pub fn start(program: &Path, namespace: &Namespace, port: u16, configuration: Option<&Path>) -> Self {
        let mut command = Command::new(program);
        command.args(["--addr", "0.0.0.0", "--port", &port.to_string()]);
        if let Some(configuration) = configuration {
            command.arg("--config").arg(configuration);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = namespace.run(|| command.spawn()).expect("it is installed");
        let log = CollectedLog::drain(child.stderr.take().expect("standard error was asked to be a pipe"));
        let server = Self { child };
        let ready = log.await_line(0, "Server is ready", DEADLINE);
        assert!(ready.is_some(), "the server of NATS is not ready:\n{}", log.text());
        server
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it has not been waited for");
        self.child.wait().expect("it is this process's child");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // It may have been killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Publishes a message at a server on this thread's loopback interface, as any other client of it could.
///
/// # Panics
/// When the server does not answer.
pub fn publish(subject: &str, payload: &[u8]) {
    use std::io::Read;
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).expect("the server is ready");
    stream.set_read_timeout(Some(DEADLINE)).expect("the timeout is not zero");
    let front = format!("CONNECT {{\"verbose\":false}}\r\nPUB {subject} {}\r\n", payload.len());
    stream.write_all(&[front.as_bytes(), payload, b"\r\nPING\r\n"].concat()).expect("the server reads");
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.windows(4).any(|part| part == b"PONG") {
        let len = stream.read(&mut buffer).expect("the server answers");
        assert!(len > 0, "it has closed the connection: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..len]);
    }
}
