//! The socket of a connection, which the runtime hears of only where something has to be waited for. Most announces have a
//! connection of their own: their request is there when it is accepted, and their answer fits into the kernel's buffer. Such a
//! connection costs five system calls, and its answer leaves in one segment with the end of the connection.

use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_io_timeout::TimeoutStream;

/// Read at once from a socket that is new: longer than the request of any client, and shorter than what the room for one
/// costs to clear.
const FIRST_READ_BYTES: usize = 2048;

/// A connection's bytes in both directions. What is written in the first turn of the connection lies in the kernel and waits
/// for its end; a connection that does not end in it has to be polled again at once.
pub(super) struct Socket {
    state: State,
    write_timeout: Duration,
    is_first_turn: Rc<Cell<bool>>,
}

enum State {
    /// As it was accepted: blocking, and nobody waits for it.
    New(TcpStream),
    /// Known to the runtime.
    Watched(Pin<Box<TimeoutStream<tokio::net::TcpStream>>>),
    /// The runtime did not take it.
    Lost,
}

impl Socket {
    /// A connection that was just accepted; a write may take so long. Whoever polls it says when the first turn is over.
    pub(super) const fn new(
        stream: TcpStream,
        write_timeout: Duration,
        is_first_turn: Rc<Cell<bool>>,
    ) -> Self {
        Self { state: State::New(stream), write_timeout, is_first_turn }
    }

    /// The socket as the runtime knows it, which it does from now on. Whatever was kept back goes out.
    fn watched(&mut self) -> io::Result<Pin<&mut TimeoutStream<tokio::net::TcpStream>>> {
        if matches!(self.state, State::New(_))
            && let State::New(stream) = std::mem::replace(&mut self.state, State::Lost)
        {
            stream.set_nonblocking(true)?;
            // An error would merely make an answer come later.
            let _ = stream.set_nodelay(true);
            let mut stream = TimeoutStream::new(tokio::net::TcpStream::from_std(stream)?);
            stream.set_write_timeout(Some(self.write_timeout));
            self.state = State::Watched(Box::pin(stream));
        }
        match &mut self.state {
            State::Watched(stream) => Ok(stream.as_mut()),
            State::New(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Whether a system call has to be made again when the kernel is ready for it.
fn must_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::New(stream) = &this.state {
            let room = buffer.initialize_unfilled_to(buffer.remaining().min(FIRST_READ_BYTES));
            match recv(stream.as_raw_fd(), room, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from) {
                Ok(length) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if must_wait(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        this.watched()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        const NEW: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_MORE;
        let this = self.get_mut();
        if let State::New(stream) = &this.state
            && this.is_first_turn.get()
        {
            match SockRef::from(stream).send_vectored_with_flags(pieces, NEW) {
                Err(error) if must_wait(&error) => {}
                sent => return Poll::Ready(sent),
            }
        }
        this.watched()?.poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The end of the connection may be next, and sends everything.
        if matches!(this.state, State::New(_)) && this.is_first_turn.get() {
            return Poll::Ready(Ok(()));
        }
        this.watched()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.state {
            State::Watched(stream) => stream.as_mut().poll_shutdown(context),
            // It is dropped next, by the one who wanted this.
            State::New(_) | State::Lost => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Socket {
    /// Sends what was kept back, in one segment with the end. Closing alone does so only where everything has been read: else
    /// the kernel answers with a reset, and throws away what it has not sent.
    fn drop(&mut self) {
        if let State::New(stream) = &self.state {
            // The client may be gone.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Socket, State};
    use std::cell::Cell;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A connection in its first turn, the switch that ends the turn, and the client.
    fn connection() -> (Socket, Rc<Cell<bool>>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let turn = Rc::new(Cell::new(true));
        let (stream, _) = listener.accept().unwrap();
        (Socket::new(stream, Duration::from_secs(9), turn.clone()), turn, client)
    }

    /// What the client gets until the end of the connection.
    fn rest(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_its_first_turn_is_never_watched() {
        let (mut socket, _turn, mut client) = connection();
        client.write_all(b"ask").unwrap();
        let mut request = [0; 3];
        socket.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"ask");
        socket.write_all(b"an answer").await.unwrap();
        socket.flush().await.unwrap();
        socket.shutdown().await.unwrap();
        assert!(matches!(socket.state, State::New(_)));
        drop(socket);
        assert_eq!(rest(client), "an answer");
    }

    #[tokio::test]
    async fn an_answer_arrives_though_the_request_was_not_read_to_its_end() {
        let (mut socket, _turn, mut client) = connection();
        client.write_all(&[b'x'; 10_000]).unwrap();
        let mut begun = [0; 3];
        socket.read_exact(&mut begun).await.unwrap();
        socket.write_all(b"an answer").await.unwrap();
        socket.flush().await.unwrap();
        socket.shutdown().await.unwrap();
        drop(socket);
        // Behind it is a reset, since nobody has read the rest.
        let mut answer = [0; 9];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"an answer");
    }

    #[tokio::test]
    async fn whoever_waits_is_watched_and_nothing_is_kept_back_from_then_on() {
        let (mut socket, turn, mut client) = connection();
        socket.write_all(b"an ").await.unwrap();
        socket.flush().await.unwrap();
        turn.set(false);
        socket.flush().await.unwrap();
        assert!(matches!(socket.state, State::Watched(_)));
        let mut begun = [0; 3];
        client.read_exact(&mut begun).unwrap();
        socket.write_all(b"answer").await.unwrap();
        socket.shutdown().await.unwrap();
        assert_eq!(rest(client), "answer");
    }

    #[tokio::test]
    async fn whoever_reads_what_is_not_there_waits_for_it() {
        let (mut socket, _turn, mut client) = connection();
        let asked = std::thread::spawn(move || {
            // Not before the other end has looked.
            std::thread::yield_now();
            client.write_all(b"late").unwrap();
            client
        });
        let mut request = [0; 4];
        socket.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"late");
        drop(socket);
        assert_eq!(rest(asked.join().unwrap()), "");
    }

    #[tokio::test]
    async fn an_answer_of_any_size_arrives_whole() {
        let (mut socket, turn, client) = connection();
        let answer = "answer ".repeat(1 << 20);
        let expected = answer.clone();
        let client = std::thread::spawn(move || assert!(rest(client) == expected));
        socket.write_all(answer.as_bytes()).await.unwrap();
        turn.set(false);
        socket.flush().await.unwrap();
        socket.shutdown().await.unwrap();
        drop(socket);
        client.join().unwrap();
    }
}
