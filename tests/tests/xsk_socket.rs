//! AF_XDP sockets of the tracker on a virtual cable, without the daemon: every option is one that the kernel has taken, as
//! it says when it is asked, or as its work shows.

use std::os::fd::{AsFd, AsRawFd};
use tracker_tests::packet::{Frame, Udp};
use tracker_tests::skip::{is_root_or_skipped, skipped};
use tracker_tests::two_hosts::{TRACKER, TWO_QUEUES, TwoHosts, V4};
use tracker_user::config::types::CopyMode;
use tracker_user::ingress::xsk::{BusyPoll, Options, QueueSocket, Statistics, Wake, XskError};

/// Of asm-generic/socket.h.
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
/// Of linux/if_xdp.h.
const XDP_OPTIONS_ZERO_COPY: u32 = 1;

/// Runs a test beside a cable, on the daemon's host.
fn with_cable(test: impl FnOnce(u32) + Send) {
    if is_root_or_skipped("AF_XDP sockets") {
        let hosts = TwoHosts::new(TWO_QUEUES, &[V4]);
        hosts.tracker.run(|| test(nix::net::if_::if_nametoindex(TRACKER).expect("the interface exists")));
    }
}

/// What the kernel says of an option: a number.
fn option(socket: &QueueSocket, level: libc::c_int, name: libc::c_int) -> u32 {
    let (mut value, mut len) = (0_u32, size_of::<u32>() as libc::socklen_t);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the value is alive, and as long as it says.
    let result = unsafe { libc::getsockopt(descriptor, level, name, (&raw mut value).cast(), &raw mut len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value
}

/// Sends so many packets with one call of `wake` and gives the socket.
fn send(mut socket: QueueSocket, packets: usize) -> QueueSocket {
    let packet = Udp::new((V4.tracker, 1).into(), (V4.client, 9).into(), b"anything").packet();
    let frame = Frame {
        source: [2, 0, 0, 0, 0, 1],
        destination: [2, 0, 0, 0, 0, 2],
        vlan: None,
        packet,
        padding: Vec::new(),
    };
    let bytes = frame.bytes();
    for _ in 0..packets {
        let mut frame = socket.take_free().expect("there are twice as many frames as entries");
        socket.room(&mut frame)[..bytes.len()].copy_from_slice(&bytes);
        socket.send(frame, bytes.len()).expect("the ring has room");
    }
    assert_eq!(socket.places().sending, packets);
    assert_eq!(socket.wake().expect("the interface is up"), Wake::Done);
    socket
}

#[test]
fn every_frame_comes_back_from_the_kernel() {
    with_cable(|index| {
        let options = Options { ring_size: 256, fill: 256, ..Options::default() };
        let mut socket = send(QueueSocket::open(index, 0, &options).unwrap(), 256);
        assert!(socket.take_free().is_none(), "256 wait for packets, and 256 are sent");
        socket.turn_over();
        let places = socket.places();
        assert_eq!((places.free, places.receiving, places.sending, places.held), (256, 256, 0, 0));
        assert_eq!(socket.statistics().unwrap(), Statistics::default());
    });
}

#[test]
fn a_ring_holds_as_many_packets_as_was_asked_for() {
    with_cable(|index| {
        for (queue, ring_size) in [(0, 64), (1, 128)] {
            let options = Options { ring_size, fill: ring_size, ..Options::default() };
            let mut socket = QueueSocket::open(index, queue, &options).unwrap();
            for _ in 0..ring_size {
                let frame = socket.take_free().unwrap();
                socket.send(frame, 60).unwrap();
            }
            assert!(socket.take_free().is_none());
        }
        let odd = Options { ring_size: 100, fill: 100, ..Options::default() };
        assert!(matches!(QueueSocket::open(index, 0, &odd), Err(XskError::Options(_))));
    });
}

#[test]
fn copying_is_what_a_virtual_cable_can_do() {
    with_cable(|index| {
        for (queue, copy_mode) in [(0, CopyMode::Auto), (1, CopyMode::Copy)] {
            let options = Options { copy_mode, ..Options::default() };
            let socket = QueueSocket::open(index, queue, &options).unwrap();
            assert!(!socket.is_zero_copy());
            assert_eq!(option(&socket, libc::SOL_XDP, libc::XDP_OPTIONS) & XDP_OPTIONS_ZERO_COPY, 0);
        }
    });
    with_cable(|index| {
        let options = Options { copy_mode: CopyMode::ZeroCopy, ..Options::default() };
        let refused = QueueSocket::open(index, 0, &options);
        assert!(matches!(refused, Err(XskError::NoZeroCopy { queue: 0, .. })), "{refused:?}");
        let beyond = QueueSocket::open(index, 2, &Options::default());
        assert!(matches!(beyond, Err(XskError::NoQueue { queue: 2 })), "{beyond:?}");
    });
}

#[test]
fn busy_polling_is_set_where_it_is_asked_for_alone() {
    with_cable(|index| {
        let busy_poll = Some(BusyPoll { micros: 20, budget: 17 });
        for (queue, busy_poll, expected) in [(0, busy_poll, [1, 20]), (1, None, [0, 0])] {
            let options = Options { busy_poll, ..Options::default() };
            let socket = QueueSocket::open(index, queue, &options).unwrap();
            assert_eq!(socket.is_polled(), busy_poll.is_some());
            // The kernel takes SO_BUSY_POLL_BUDGET, and refuses what it cannot be, but does not tell it.
            let set = [SO_PREFER_BUSY_POLL, libc::SO_BUSY_POLL];
            assert_eq!(set.map(|name| option(&socket, libc::SOL_SOCKET, name)), expected);
        }
    });
}

/// The first two numbers of the kernel's version.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).expect("a number");
    (next(), next())
}

#[test]
fn one_system_call_sends_as_many_packets_as_its_budget() {
    with_cable(|index| {
        const PACKETS: usize = 256;
        let calls = |queue, transmit_budget| {
            let options = Options { ring_size: 256, fill: 256, transmit_budget, ..Options::default() };
            send(QueueSocket::open(index, queue, &options).unwrap(), PACKETS).wake_ups()
        };
        // The kernel's own budget is 32.
        let own = calls(0, 0);
        if own != 8 {
            return skipped(&format!(
                "the budget of one system call: this kernel sends 256 packets in {own}"
            ));
        }
        if kernel() < (6, 17) {
            return skipped("the budget of one system call: needs XDP_MAX_TX_SKB_BUDGET (Linux 6.17)");
        }
        assert_eq!(calls(1, 64), 4);
    });
    with_cable(|index| {
        let options = Options { ring_size: 64, fill: 64, transmit_budget: 4096, ..Options::default() };
        // More than the ring holds counts as that: the kernel would refuse it.
        assert!(send(QueueSocket::open(index, 0, &options).unwrap(), 64).wake_ups() <= 2);
    });
}

#[test]
fn packets_are_sent_whether_the_kernel_says_when_to_wake_it_or_not() {
    with_cable(|index| {
        for (queue, need_wakeup) in [(0, true), (1, false)] {
            let options = Options { need_wakeup, ..Options::default() };
            let mut socket = send(QueueSocket::open(index, queue, &options).unwrap(), 10);
            socket.turn_over();
            assert_eq!(socket.places().sending, 0, "need_wakeup {need_wakeup}");
        }
    });
}

#[test]
fn an_interface_that_is_down_takes_nothing_and_loses_no_frame() {
    if !is_root_or_skipped("AF_XDP sockets") {
        return;
    }
    let hosts = TwoHosts::new("", &[V4]);
    let open = || {
        let index = nix::net::if_::if_nametoindex(TRACKER).expect("the interface exists");
        QueueSocket::open(index, 0, &Options { ring_size: 64, fill: 64, ..Options::default() }).unwrap()
    };
    let mut socket = hosts.tracker.run(open);
    hosts.tracker.ip("link set tracker down");
    let frame = socket.take_free().unwrap();
    socket.send(frame, 60).unwrap();
    assert_eq!(socket.wake().unwrap(), Wake::Down);
    socket.turn_over();
    let places = socket.places();
    assert_eq!((places.free, places.receiving, places.sending, places.held), (63, 64, 1, 0));
    assert!(!socket.is_orphaned());
    hosts.tracker.ip("link set tracker up");
    assert_eq!(socket.wake().unwrap(), Wake::Done);
    socket.turn_over();
    assert_eq!((socket.places().free, socket.places().sending), (64, 0));
    hosts.tracker.ip("link delete tracker");
    assert!(socket.is_orphaned());
    let frame = socket.take_free().unwrap();
    socket.send(frame, 60).unwrap();
    assert_eq!(socket.wake().unwrap(), Wake::Down);
}
