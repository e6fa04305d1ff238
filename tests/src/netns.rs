//! Network namespaces of a test: without names, so that they are gone with the last process, socket or [`Namespace`]
//! that holds them, however the test ends. Making one takes root.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::process::Command;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// An empty one: its loopback interface is down.
    ///
    /// # Panics
    /// When this process may not make one.
    pub fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make network namespaces");
            Self::of_this_thread()
        };
        std::thread::scope(|scope| scope.spawn(make).join()).expect("the thread has said why it panicked")
    }

    /// The one that this thread is in.
    fn of_this_thread() -> Self {
        Self { file: File::open("/proc/thread-self/ns/net").expect("/proc is mounted") }
    }

    /// Does something in it: sockets and processes made there stay in it.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter_and_work = || {
            self.enter();
            work()
        };
        let result = std::thread::scope(|scope| scope.spawn(enter_and_work).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Moves this thread into it, for good.
    ///
    /// # Panics
    /// When this process may not.
    pub fn enter(&self) {
        setns(&self.file, CloneFlags::CLONE_NEWNET).expect("root may enter network namespaces");
    }

    /// Runs `ip` with these arguments in it.
    ///
    /// # Panics
    /// With what `ip` says, when it fails.
    pub fn ip(&self, arguments: &str) {
        self.run(|| ip(arguments));
    }

    /// What `ip` with these arguments writes in it.
    ///
    /// # Panics
    /// With what `ip` says, when it fails.
    pub fn ip_output(&self, arguments: &str) -> String {
        self.run(|| ip_output(arguments))
    }

    /// Gives an interface of it one more address, which is good at once.
    pub fn add_address(&self, interface: &str, address: IpAddr, prefix_len: u8) {
        self.run(|| add_address(interface, address, prefix_len));
    }

    /// A path under which other processes find it, for as long as it lives.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Joins it to another one: an Ethernet cable with an interface, up, at both ends.
    pub fn join(&self, near: &End<'_>, other: &Namespace, far: &End<'_>) {
        self.join_with(near, other, far, "");
    }

    /// The same, both ends made with these options of `ip link add`, each behind a blank.
    pub fn join_with(&self, near: &End<'_>, other: &Namespace, far: &End<'_>, options: &str) {
        let (name, far_name, path) = (near.name, far.name, other.path());
        self.ip(&format!("link add {name}{options} type veth peer name {far_name}{options} netns {path}"));
        for (namespace, end) in [(self, near), (other, far)] {
            let End { name, mac } = end;
            // Without an address of its own making, an interface is silent.
            namespace.ip(&format!("link set {name} address {mac} addrgenmode none"));
            namespace.ip(&format!("link set {name} up"));
        }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

/// One end of a cable.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The interface's name.
    pub name: &'a str,
    /// Its Ethernet address, as `ip` reads it.
    pub mac: &'a str,
}

/// An address of the loopback interface that [`enter_own_loopback`] makes.
pub const SECOND_LOOPBACK_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Moves this thread to a network of its own that has only a loopback interface, which is up, with
/// [`SECOND_LOOPBACK_V6`] beside the usual addresses. Sockets, threads and processes that it makes from now on are there too.
///
/// # Panics
/// When this process may not.
pub fn enter_own_loopback() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make network namespaces");
    ip("link set lo up");
    add_address("lo", SECOND_LOOPBACK_V6.into(), 128);
}

fn add_address(interface: &str, address: IpAddr, prefix_len: u8) {
    let is_v6 = address.is_ipv6();
    ip(&format!("address add {address}/{prefix_len} dev {interface}{}", if is_v6 { " nodad" } else { "" }));
    if is_v6 {
        // The kernel adds this route too, but when it comes to it: until then, nothing arrives.
        ip(&format!("-6 route add local {address} dev {interface} table local"));
    }
}

/// Runs `ip` with these arguments in the namespace of this thread.
pub(crate) fn ip(arguments: &str) {
    ip_output(arguments);
}

fn ip_output(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{End, Namespace};
    use crate::skip::is_root_or_skipped;
    use std::net::UdpSocket;

    #[test]
    fn what_is_sent_at_one_end_of_a_cable_arrives_at_the_other() {
        if !is_root_or_skipped("network namespaces") {
            return;
        }
        let (left, right) = (Namespace::new(), Namespace::new());
        let ends =
            [End { name: "left", mac: "02:00:00:00:00:01" }, End { name: "right", mac: "02:00:00:00:00:02" }];
        left.join(&ends[0], &right, &ends[1]);
        left.add_address("left", "10.0.0.1".parse().unwrap(), 24);
        right.add_address("right", "10.0.0.2".parse().unwrap(), 24);
        let receiver = right.run(|| UdpSocket::bind("10.0.0.2:0").unwrap());
        let sender = left.run(|| UdpSocket::bind("10.0.0.1:0").unwrap());
        sender.send_to(b"hello", receiver.local_addr().unwrap()).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(receiver.recv_from(&mut bytes).unwrap(), (5, sender.local_addr().unwrap()));
    }
}
