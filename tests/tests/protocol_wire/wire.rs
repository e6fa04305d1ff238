//! The daemon in one network namespace, frames in and out in another, and a cable between the two.

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tracker_tests::daemon::{DEADLINE, Daemon};
use tracker_tests::ethtool::compute_checksums_in_software;
use tracker_tests::netns::{End, Namespace};
use tracker_tests::packet::{Frame, IpPacket, Ipv4, Ipv6, Mac, ReceivedUdp, Udp};
use tracker_tests::packet_socket::PacketSocket;
use tracker_tests::passing_program::PassingProgram;
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::udp_client::{
    ANSWER_DEADLINE, AnnounceRequest, INFO_HASH, Row, UdpClient, connect_request, parse_connect,
    parse_scrape, scrape_request,
};

/// The interface of the daemon's host, for programs that are to be attached to it.
pub(crate) const TRACKER_INTERFACE: &str = "tracker";
const TRACKER_MAC: Mac = [2, 0, 0, 0, 0, 1];
const TRACKER_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const TRACKER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const CLIENT_INTERFACE: &str = "client";
const CLIENT_MAC: Mac = [2, 0, 0, 0, 0, 2];
/// No host has these addresses: nothing but the test answers to what is sent there.
const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
const CLIENT_PORT: u16 = 40_000;
/// The addresses of the client's host itself, whose stack sends as stacks do.
const CLIENT_HOST_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);
const CLIENT_HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 9);

/// The address family of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Both of them.
pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Makes a test of each rule for each way in: one more way is one more module here.
macro_rules! rules {
    ($($rule:ident,)+) => {
        mod through_sockets {
            $(#[test]
            fn $rule() {
                $crate::wire::check(&["--mode", "socket"], super::$rule);
            })+
        }
        mod through_generic_xdp {
            $(#[test]
            fn $rule() {
                $crate::wire::check(&["--mode", "xdp", "--set", "xdp.attach=generic"], super::$rule);
            })+
        }
        mod through_native_xdp {
            $(#[test]
            fn $rule() {
                $crate::wire::check(&["--mode", "xdp", "--set", "xdp.attach=native"], super::$rule);
            })+
        }
        mod through_af_xdp {
            $(#[test]
            fn $rule() {
                $crate::wire::check(&["--mode", "xsk", "--set", "xdp.attach=native"], super::$rule);
            })+
        }
    };
}
pub(crate) use rules;

/// Checks a rule against a daemon with these arguments beside its addresses.
pub(crate) fn check(mode: &[&str], rule: fn(&mut Wire)) {
    if is_root_or_skipped("frames on the wire") {
        let mut wire = Wire::start(mode);
        rule(&mut wire);
        if mode.contains(&"xsk") {
            wire.expect_af_xdp();
        }
    }
}

/// Both ends of the cable.
pub(crate) struct Wire {
    pub(crate) daemon: Daemon,
    pub(crate) tracker_host: Namespace,
    client_host: Namespace,
    pub(crate) socket: PacketSocket,
    ids: [u64; 2],
    next_transaction_id: u32,
    /// Whether packets come in through the XDP program.
    has_program: bool,
    /// Lets the cable carry what a program in the driver of the daemon's end sends back.
    _far_end: PassingProgram,
}

impl Wire {
    fn start(mode: &[&str]) -> Self {
        let (tracker_host, client_host) = (Namespace::new(), Namespace::new());
        connect(&client_host, &tracker_host);
        let (v4, v6) = (TRACKER_V4.to_string(), TRACKER_V6.to_string());
        // One worker: what it answers last it has handled last.
        let addresses = ["-i", &v4, "-p", "0", "-P", "6969", "-i", &v6, "-P", "6969", "--udp-workers", "1"];
        let daemon = tracker_host.run(|| {
            compute_checksums_in_software(TRACKER_INTERFACE);
            Daemon::start(&[&addresses, mode].concat())
        });
        let (socket, far_end) = client_host.run(|| {
            let far_end = PassingProgram::attach_native(CLIENT_INTERFACE);
            (PacketSocket::open(CLIENT_INTERFACE, ANSWER_DEADLINE), far_end)
        });
        stay_on_this_core();
        let next_transaction_id = 0x1000_0000;
        let mut wire = Self {
            daemon,
            tracker_host,
            client_host,
            socket,
            ids: [0; 2],
            next_transaction_id,
            has_program: !mode.contains(&"socket"),
            _far_end: far_end,
        };
        wire.ids = FAMILIES.map(|family| {
            let answer = wire.ask(family, &connect_request(7));
            parse_connect(&answer.payload, 7)
        });
        wire
    }

    /// Where frames of this family come from.
    pub(crate) fn client(family: Family) -> SocketAddr {
        match family {
            Family::V4 => (CLIENT_V4, CLIENT_PORT).into(),
            Family::V6 => (CLIENT_V6, CLIENT_PORT).into(),
        }
    }

    /// Where the daemon listens.
    pub(crate) fn tracker(&self, family: Family) -> SocketAddr {
        match family {
            Family::V4 => self.daemon.udp_v4(),
            Family::V6 => self.daemon.udp_v6(),
        }
    }

    /// A correct datagram from the client to the daemon.
    pub(crate) fn udp(&self, family: Family, payload: &[u8]) -> Udp {
        Udp::new(Self::client(family), self.tracker(family), payload)
    }

    /// A correct IPv4 packet with a connect.
    pub(crate) fn connect_v4(&self, transaction_id: u32) -> Ipv4 {
        let payload = self.udp(Family::V4, &connect_request(transaction_id)).bytes();
        Ipv4 { payload, ..Ipv4::new(CLIENT_V4, TRACKER_V4) }
    }

    /// A correct IPv6 packet with a connect.
    pub(crate) fn connect_v6(&self, transaction_id: u32) -> Ipv6 {
        let payload = self.udp(Family::V6, &connect_request(transaction_id)).bytes();
        Ipv6 { payload, ..Ipv6::new(CLIENT_V6, TRACKER_V6) }
    }

    /// A frame from the client to the daemon's host.
    pub(crate) fn frame(packet: IpPacket) -> Frame {
        Frame { source: CLIENT_MAC, destination: TRACKER_MAC, vlan: None, packet, padding: Vec::new() }
    }

    /// Sends a packet in an ordinary frame.
    pub(crate) fn send(&self, packet: IpPacket) {
        self.socket.send(&Self::frame(packet).bytes());
    }

    /// The next frame that the daemon's host sends and `wanted` makes something of.
    ///
    /// # Panics
    /// When none comes in time.
    pub(crate) fn receive_frame<T>(&self, wanted: impl Fn(&[u8]) -> Option<T>) -> T {
        self.frame_from(TRACKER_MAC, wanted)
    }

    /// The socket sees the frames of both ends.
    fn frame_from<T>(&self, source: Mac, wanted: impl Fn(&[u8]) -> Option<T>) -> T {
        let end = Instant::now() + ANSWER_DEADLINE;
        while Instant::now() < end {
            let frame = self.socket.receive();
            if frame.get(6..12) == Some(&source)
                && let Some(found) = wanted(&frame)
            {
                return found;
            }
        }
        panic!("nothing but other frames for {ANSWER_DEADLINE:?}");
    }

    /// The next datagram that the daemon's host sends, checked by a strict receiver.
    pub(crate) fn receive(&self) -> ReceivedUdp {
        self.receive_frame(ReceivedUdp::parse)
    }

    /// Sends a payload in a correct frame and gives the next datagram.
    pub(crate) fn ask(&self, family: Family, payload: &[u8]) -> ReceivedUdp {
        self.send(self.udp(family, payload).packet());
        self.receive()
    }

    /// A client on the stack of the client's host.
    pub(crate) fn client_of_stack(&self, family: Family) -> UdpClient {
        let address = match family {
            Family::V4 => CLIENT_HOST_V4.into(),
            Family::V6 => CLIENT_HOST_V6.into(),
        };
        self.client_host.run(|| UdpClient::new(address, self.tracker(family)))
    }

    /// The next frame that the client's host sends and `wanted` makes something of.
    ///
    /// # Panics
    /// When none comes in time.
    pub(crate) fn frame_of_client<T>(&self, wanted: impl Fn(&[u8]) -> Option<T>) -> T {
        self.frame_from(CLIENT_MAC, wanted)
    }

    /// The connection id of the client.
    pub(crate) fn id(&self, family: Family) -> u64 {
        self.ids[family as usize]
    }

    /// The announce of a leecher.
    pub(crate) fn announce(&self, family: Family) -> AnnounceRequest {
        AnnounceRequest::new(self.id(family), 6881)
    }

    /// Asserts that a connect with this transaction id, sent before, is the next to be answered, and gives the
    /// answer.
    pub(crate) fn expect_connect_answer(&self, family: Family, transaction_id: u32) -> ReceivedUdp {
        let answer = self.receive();
        assert_eq!(answer.source, self.tracker(family));
        parse_connect(&answer.payload, transaction_id);
        answer
    }

    /// Asserts that nothing that was sent before and is not answered yet is ever answered, and gives the row of
    /// the torrent of all announces.
    ///
    /// A scrape that follows must be the first to be answered. Scrapes, unlike connects, take the longest way
    /// that there is, so that no answer can be overtaken.
    pub(crate) fn expect_silence(&mut self, family: Family) -> Row {
        self.next_transaction_id += 1;
        let transaction_id = self.next_transaction_id;
        let answer = self.ask(family, &scrape_request(self.id(family), transaction_id, &[INFO_HASH]));
        assert_eq!(answer.payload[4..8], transaction_id.to_be_bytes(), "an unexpected answer: {answer:02x?}");
        parse_scrape(&answer.payload, transaction_id)[0]
    }

    /// Asserts that scrapes have come in by AF_XDP, so that no rule has been shown for another way.
    fn expect_af_xdp(&self) {
        let scrape = scrape_request(self.id(Family::V4), 7, &[INFO_HASH]);
        self.send(self.udp(Family::V4, &scrape).packet());
        assert!(self.verdict("scrape_redirected") > 0, "no scrape has come in by AF_XDP");
    }

    /// Sends frames that must do nothing: they are not answered, and no peer is stored.
    pub(crate) fn expect_no_effect(&mut self, family: Family, frames: &[Vec<u8>]) {
        for frame in frames {
            self.socket.send(frame);
            assert_eq!(self.expect_silence(family), Row::default(), "stored from {frame:02x?}");
        }
    }

    /// The same for a packet in an ordinary frame.
    pub(crate) fn expect_dropped(&mut self, family: Family, packet: IpPacket) {
        self.expect_no_effect(family, &[Self::frame(packet).bytes()]);
    }

    /// Datagrams of one verdict that the daemon and its XDP program have seen together.
    pub(crate) fn verdict(&self, name: &str) -> u64 {
        let stats = self.stats_with_all_of_program();
        let of_daemon = stats["udp"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"));
        of_daemon + stats["xdp"][name]["packets"].as_u64().unwrap_or(0)
    }

    /// The counters, once those of the program hold all that it has seen so far: they are read every second. A connect
    /// sent after the first reading is in the second.
    fn stats_with_all_of_program(&self) -> Value {
        let mut stats = self.stats();
        for _ in 0..2 {
            let before = stats["xdp"]["connect_answered"].clone();
            self.ask(Family::V4, &connect_request(7));
            let end = Instant::now() + DEADLINE;
            while self.has_program && stats["xdp"]["connect_answered"] == before {
                assert!(Instant::now() < end, "the program has answered no connect: {stats}");
                std::thread::sleep(Duration::from_millis(50));
                stats = self.stats();
            }
        }
        stats
    }

    fn stats(&self) -> Value {
        self.tracker_host.run(|| self.daemon.stats())
    }
}

/// Joins the two hosts. Neighbours are written down, so that no host has to ask for them.
fn connect(client_host: &Namespace, tracker_host: &Namespace) {
    tracker_host.ip("link set lo up");
    let near = End { name: CLIENT_INTERFACE, mac: "02:00:00:00:00:02" };
    let far = End { name: TRACKER_INTERFACE, mac: "02:00:00:00:00:01" };
    client_host.join(&near, tracker_host, &far);
    for (tracker, client, client_stack, prefix_len) in [
        (IpAddr::from(TRACKER_V4), IpAddr::from(CLIENT_V4), IpAddr::from(CLIENT_HOST_V4), 24),
        (IpAddr::from(TRACKER_V6), IpAddr::from(CLIENT_V6), IpAddr::from(CLIENT_HOST_V6), 64),
    ] {
        tracker_host.add_address(far.name, tracker, prefix_len);
        client_host.add_address(near.name, client_stack, prefix_len);
        for (host, neighbour, interface, mac) in [
            (tracker_host, client, far.name, near.mac),
            (tracker_host, client_stack, far.name, near.mac),
            (client_host, tracker, near.name, far.mac),
        ] {
            host.ip(&format!("neighbour add {neighbour} lladdr {mac} nud permanent dev {interface}"));
        }
    }
}

/// A frame waits for the core that sent it: from one core, frames arrive in the order in which they were sent.
fn stay_on_this_core() {
    let core = sched_getcpu().expect("the kernel knows where this thread runs");
    let mut cores = CpuSet::new();
    cores.set(core).expect("the kernel's number of a core is in range");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("this thread may run where it runs");
}
