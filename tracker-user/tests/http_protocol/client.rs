//! A client that sends what it is told, byte for byte, and reads answers strictly.

use crate::strict_bencode::{Dictionary, parse_dictionary};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Far longer than any answer takes: only a test that fails waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

pub(crate) struct Response {
    pub(crate) status_line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as the other side takes before it closes; whether it took everything.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    ErrorKind::WouldBlock,
                    "neither taken nor closed within {DEADLINE:?}"
                );
                false
            }
        }
    }

    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer, with a body of as many bytes as it announces.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.response_head();
        let length = response.header("content-length").expect("no content-length").parse().unwrap();
        while self.read.len() < length {
            assert!(self.read_more(), "closed in the middle of a body");
        }
        response.body = self.read.drain(..length).collect();
        response
    }

    /// The next answer but for its body.
    pub(crate) fn response_head(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.read_more(), "closed before an answer: {:?}", self.read.escape_ascii().to_string());
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap().to_owned();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Response { status_line, headers, body: Vec::new() }
    }

    /// The next answer, with a body in chunks, or one that ends with the connection.
    pub(crate) fn streamed(&mut self) -> Response {
        let mut response = self.response_head();
        assert_eq!(response.header("content-length"), None, "the length is not known beforehand");
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(mut chunk) = self.chunk() {
                response.body.append(&mut chunk);
            }
        } else {
            self.await_close();
            response.body = std::mem::take(&mut self.read);
        }
        response
    }

    /// The next chunk (RFC 9112, section 7.1); `None` for the one that ends the body.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let digits = self.line();
        let length = usize::from_str_radix(&digits, 16).unwrap();
        while self.read.len() < length + 2 {
            assert!(self.read_more(), "closed in the middle of a chunk");
        }
        let chunk = self.read.drain(..length).collect();
        assert_eq!(self.line(), "");
        (length > 0).then_some(chunk)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.read_more(), "closed in the middle of a line");
        }
    }

    /// Waits for the other side to close; false if bytes come instead.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.read_more()
    }

    /// Waits for the other side to close, whatever it says before.
    pub(crate) fn await_close(&mut self) {
        while self.read_more() {}
    }

    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.read.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("neither an answer nor a close within {DEADLINE:?}: {error}"),
        }
    }
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| &**value);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// The body as a dictionary, in an answer that a client accepts.
    pub(crate) fn dictionary(&self) -> Dictionary {
        assert_eq!(self.status(), 200, "{}", self.status_line);
        parse_dictionary(&self.body)
    }

    pub(crate) fn failure_reason(&self) -> String {
        let dictionary = self.dictionary();
        assert_eq!(dictionary.bytes("retry in"), b"never");
        assert_eq!(dictionary.len(), 2);
        String::from_utf8(dictionary.bytes("failure reason").to_vec()).unwrap()
    }
}
