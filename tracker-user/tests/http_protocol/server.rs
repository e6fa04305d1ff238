//! A worker on a thread of its own, with a tracker of its own, on a port of its own.

use crate::client::{Client, Response};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;
use tracker_user::clock::Now;
use tracker_user::config::types::Config;
use tracker_user::counters::{Counters, HttpVerdict};
use tracker_user::http::{self, Service, WorkerSettings};
use tracker_user::tracker::Tracker;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tracker: Arc<Tracker>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// Behind a proxy on loopback, so that a request may come from any address.
    pub(crate) fn start_behind_proxy() -> Self {
        Self::start_with(|config| config.access.proxy = vec!["127.0.0.0/8".parse().unwrap()])
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let tracker = Arc::new(Tracker::new(config.tracker.clone(), [1, 2]));
        let counters = Arc::new(Counters::for_workers(1, 1));
        let service = Service::new(tracker.clone(), counters.clone(), &config, Now::read()).unwrap();
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
        let thread = Some(std::thread::spawn(move || http::run_worker(settings)));
        Self { address, tracker, counters, stop, thread }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.get_with(target, "")
    }

    /// One GET as if from this address, through the proxy.
    pub(crate) fn get_from(&self, client: &str, target: &str) -> Response {
        self.get_with(target, &format!("X-Forwarded-For: {client}\r\n"))
    }

    fn get_with(&self, target: &str, headers: &str) -> Response {
        let mut client = self.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: tracker\r\n{headers}Connection: close\r\n\r\n"));
        let response = client.response();
        assert!(client.is_closed(), "bytes behind the answer to {target}");
        response
    }

    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops the worker, and returns its verdicts, those that never came up left out.
    pub(crate) fn stop_and_count(mut self) -> Vec<(HttpVerdict, u64)> {
        self.stop_and_join();
        let counted = HttpVerdict::ALL.map(|verdict| (verdict, self.counters.http(verdict)));
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn stop_and_join(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.request_stop();
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop_and_join();
        }
    }
}
