//! A worker that runs out of file descriptors goes on. A program of its own, because the limit is the process's.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracker_user::clock::Now;
use tracker_user::config::types::Config;
use tracker_user::counters::Counters;
use tracker_user::http::{self, Service, WorkerSettings};
use tracker_user::tracker::Tracker;

const REQUEST: &[u8] = b"GET /stats HTTP/1.1\r\nHost: tracker\r\n\r\n";

#[test]
fn a_worker_without_file_descriptors_closes_its_oldest_connection_and_goes_on() {
    let config = Config::default();
    let tracker = Arc::new(Tracker::new(config.tracker.clone(), [1, 2]));
    let counters = Arc::new(Counters::for_workers(1, 1));
    let service = Service::new(tracker, counters.clone(), &config, Now::read()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let settings = WorkerSettings {
        listeners: vec![listener],
        service: Arc::new(service),
        counters: counters.http_workers()[0].clone(),
        stop: stopped,
        pulse: Default::default(),
    };
    let worker = std::thread::spawn(move || http::run_worker(settings));

    let mut oldest = TcpStream::connect(address).unwrap();
    ask(&mut oldest).unwrap();
    let newest = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, lowest_free_descriptor(), hard).unwrap();
    newest.connect(&address.into()).unwrap();
    let mut newest = newest.into();
    ask(&mut newest).unwrap();
    assert_eq!(oldest.read(&mut [0; 1]).unwrap(), 0);
    // The shortage lasts, but nobody waits: the only connection is left alone, however often accepting is tried.
    for _ in 0..1000 {
        ask(&mut newest).unwrap();
    }

    stop.send_replace(true);
    worker.join().unwrap().unwrap();
}

fn lowest_free_descriptor() -> u64 {
    let is_free = |descriptor: &u64| !Path::new(&format!("/proc/self/fd/{descriptor}")).exists();
    (0..).find(is_free).expect("a process has finitely many descriptors")
}

/// Sends a request and reads its answer to the end of the body.
fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b" torrents\nopentracker") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    Ok(())
}
