//! What is said about an interface, which interfaces are looked at, and the ladder of modes.

use crate::config::types::{Config, Listen, Mode, Transport, XdpAttach};
use crate::doctor::finding::{Finding, Hinders, Status};
use crate::doctor::interfaces::examine;
use crate::doctor::links::{Attached, Interface, Peer, Place, XdpFeatures};
use crate::doctor::mode::{Build, Choice, Grounds, choose};
use crate::doctor::selection::{Carried, select};
use crate::netlink::ethtool::CardRings;
use std::net::IpAddr;

const ALL: u64 = XdpFeatures::BASIC | XdpFeatures::REDIRECT | XdpFeatures::ZERO_COPY | XdpFeatures::FRAGMENTS;

/// A card that can do everything.
pub(super) fn card(name: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        index: 2,
        is_up: true,
        is_loopback: false,
        mtu_bytes: 1500,
        driver: Some("ice".to_owned()),
        receive_queues: 4,
        transmit_queues: 8,
        xdp_features: Some(XdpFeatures(ALL)),
        zero_copy_segments: Some(8),
        rings: Some(CardRings { receive: 2048, receive_max: 8160, transmit: 2048, transmit_max: 8160 }),
        attached: Vec::new(),
        offloads: Some(["rx-gro".to_owned()].into()),
        peer: None,
    }
}

fn loopback() -> Interface {
    let xdp_features = Some(XdpFeatures(0));
    let is_loopback = true;
    Interface { is_loopback, mtu_bytes: 65536, driver: None, xdp_features, rings: None, ..card("lo") }
}

#[track_caller]
fn only_complaint(interface: &Interface) -> Finding {
    let mut complaints = examine(interface).into_iter().filter(|finding| finding.status != Status::Ok);
    let complaint = complaints.next().expect("something is wrong with this interface");
    assert_eq!(complaints.next(), None, "beside {complaint:?}");
    complaint
}

fn is_fine(interface: &Interface) -> bool {
    examine(interface).iter().all(|finding| finding.status == Status::Ok)
}

pub(super) const EVERYTHING: Build = Build { xdp: true, af_xdp: true };

fn auto(interface: &Interface, build: Build, host: &[Finding]) -> Choice {
    let grounds = Grounds { mode: Mode::Auto, attach: XdpAttach::Native, build, host, is_named: false };
    choose(grounds, interface, &examine(interface))
}

#[track_caller]
fn assert_chosen(choice: &Choice, expected: (&str, Option<&str>, Option<&str>)) {
    assert_eq!((choice.mode, choice.attach, choice.af_xdp), expected, "{choice:?}");
    assert!(!choice.reason.is_empty());
}

#[test]
fn a_good_card_and_the_loopback_interface_are_fine() {
    assert!(is_fine(&card("eth0")));
    assert!(is_fine(&loopback()));
    let description = &examine(&card("eth0"))[0];
    assert_eq!(description.says, "driver ice; queues: 4 to receive, 8 to transmit; MTU 1500");
}

#[test]
fn an_interface_that_is_down_is_a_warning() {
    let finding = only_complaint(&Interface { is_up: false, ..card("eth0") });
    assert_eq!(finding.mend.as_deref(), Some("ip link set dev eth0 up"));
}

#[test]
fn large_packets_hinder_native_xdp_where_the_driver_does_not_split_them() {
    let jumbo = Interface { mtu_bytes: 9000, ..card("eth0") };
    assert!(is_fine(&jumbo));
    let whole = Some(XdpFeatures(ALL & !XdpFeatures::FRAGMENTS));
    let finding = only_complaint(&Interface { xdp_features: whole, ..jumbo.clone() });
    assert_eq!(finding.hinders, Some(Hinders::NativeXdp));
    assert!(is_fine(&Interface { xdp_features: whole, mtu_bytes: 3498, ..jumbo.clone() }));
    assert!(!is_fine(&Interface { xdp_features: whole, mtu_bytes: 3499, ..jumbo.clone() }));
    let unknown = only_complaint(&Interface { xdp_features: None, ..jumbo });
    assert_eq!((unknown.status, unknown.hinders), (Status::Warning, None));
}

#[test]
fn merged_packets_are_a_warning() {
    for (offload, mend) in
        [("rx-lro", "ethtool -K eth0 lro off"), ("rx-gro-hw", "ethtool -K eth0 rx-gro-hw off")]
    {
        let offloads = Some([offload.to_owned()].into());
        let finding = only_complaint(&Interface { offloads, ..card("eth0") });
        assert_eq!(finding.mend.as_deref(), Some(mend));
    }
}

#[test]
fn another_program_is_an_obstacle_and_named_by_its_id() {
    let program = |name: Option<&str>| {
        let attached = Attached { id: 4711, name: name.map(str::to_owned), place: Place::Generic };
        Interface { attached: vec![attached], ..card("eth0") }
    };
    for (name, shown) in [(Some("firewall"), "firewall"), (None, "without a name")] {
        let finding = only_complaint(&program(name));
        assert_eq!((finding.status, finding.hinders), (Status::Obstacle, Some(Hinders::Xdp)));
        assert!(finding.says.contains("4711") && finding.says.contains(shown), "{finding:?}");
        assert!(finding.mend.unwrap().contains("ip link set dev eth0 xdpgeneric off"));
        assert_chosen(&auto(&program(name), EVERYTHING, &[]), ("socket", None, None));
    }
    assert!(is_fine(&program(Some("tracker"))), "its own program is none of another's");
}

#[test]
fn a_veth_needs_a_peer_that_takes_answers() {
    let veth = |takes_answers| {
        let peer = Some(Peer::Here { name: "veth1".to_owned(), takes_answers });
        Interface { peer, ..card("veth0") }
    };
    assert!(is_fine(&veth(true)));
    let deaf = only_complaint(&veth(false));
    assert_eq!((deaf.status, deaf.hinders), (Status::Obstacle, Some(Hinders::XdpAnswers)));
    assert!(deaf.mend.unwrap().starts_with("attach an XDP program to veth1"));
    let elsewhere = Interface { peer: Some(Peer::Elsewhere), ..card("veth0") };
    assert_eq!(only_complaint(&elsewhere).status, Status::Warning);
}

#[test]
fn the_ladder_is_walked_down_one_feature_at_a_time() {
    let with = |features: u64| Interface { xdp_features: Some(XdpFeatures(features)), ..card("eth0") };
    let choice = |features| auto(&with(features), EVERYTHING, &[]);
    assert_chosen(&choice(ALL), ("xsk", Some("native"), Some("zero-copy")));
    assert_chosen(&choice(ALL & !XdpFeatures::ZERO_COPY), ("xsk", Some("native"), Some("copy")));
    assert_chosen(&choice(XdpFeatures::BASIC), ("xdp", Some("native"), None));
    assert_chosen(&choice(0), ("xdp", Some("generic"), None));
    let unknown = Interface { xdp_features: None, ..card("eth0") };
    assert_chosen(&auto(&unknown, EVERYTHING, &[]), ("xdp", Some("native or generic"), None));
    let jumbo = Interface { mtu_bytes: 9000, ..with(ALL & !XdpFeatures::FRAGMENTS) };
    assert_chosen(&auto(&jumbo, EVERYTHING, &[]), ("xdp", Some("generic"), None));
}

#[test]
fn the_ladder_begins_where_build_and_host_allow() {
    let eth0 = card("eth0");
    assert_chosen(&auto(&eth0, Build { xdp: true, af_xdp: false }, &[]), ("xdp", Some("native"), None));
    assert_chosen(&auto(&eth0, Build { xdp: false, af_xdp: false }, &[]), ("socket", None, None));
    let no_af_xdp = Finding::warning("capabilities", "CAP_NET_RAW", "missing").hindering(Hinders::AfXdp);
    assert_chosen(&auto(&eth0, EVERYTHING, &[no_af_xdp]), ("xdp", Some("native"), None));
    let no_xdp = Finding::obstacle("capabilities", "CAP_BPF", Hinders::Xdp, "missing");
    let choice = auto(&eth0, EVERYTHING, &[no_xdp]);
    assert_chosen(&choice, ("socket", None, None));
    assert_eq!(choice.reason, "CAP_BPF: missing");
    let grounds =
        Grounds { mode: Mode::Socket, attach: XdpAttach::Auto, build: EVERYTHING, host: &[], is_named: true };
    assert_chosen(&choose(grounds, &eth0, &[]), ("socket", None, None));
}

#[test]
fn the_loopback_interface_is_used_when_it_is_named() {
    let grounds = |is_named| Grounds {
        mode: Mode::Auto,
        attach: XdpAttach::Native,
        build: EVERYTHING,
        host: &[],
        is_named,
    };
    assert_chosen(&choose(grounds(false), &loopback(), &examine(&loopback())), ("socket", None, None));
    assert_chosen(&choose(grounds(true), &loopback(), &examine(&loopback())), ("xdp", Some("generic"), None));
}

fn selected(listen: &[&str], named: &[&str]) -> (Vec<String>, Vec<Finding>) {
    let down = Interface { is_up: false, ..card("eth2") };
    let all = vec![loopback(), card("eth0"), card("eth1"), down];
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let carried: [Carried; 3] = [
        ("lo".to_owned(), ip("127.0.0.1")),
        ("eth0".to_owned(), ip("192.0.2.1")),
        ("eth1".to_owned(), ip("2001:db8::1")),
    ];
    let listen = listen.iter().map(|address| Listen {
        transport: Transport::Udp,
        address: address.parse().unwrap(),
        udp_workers: None,
    });
    let config = Config { listen: listen.collect(), ..Config::default() };
    let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
    let selection = select(all, &carried, &config, &named);
    (selection.interfaces.into_iter().map(|interface| interface.name).collect(), selection.findings)
}

#[test]
fn interfaces_that_carry_a_listen_address_are_looked_at() {
    assert_eq!(selected(&["192.0.2.1:6969"], &[]), (vec!["eth0".to_owned()], Vec::new()));
    assert_eq!(selected(&["[2001:db8::1]:6969"], &[]).0, ["eth1"]);
    assert_eq!(selected(&["0.0.0.0:6969"], &[]).0, ["lo", "eth0", "eth1"]);
    assert_eq!(selected(&[], &[]).0, ["lo", "eth0", "eth1"]);
}

#[test]
fn named_interfaces_alone_are_looked_at_even_when_they_are_down() {
    assert_eq!(selected(&["192.0.2.1:6969"], &["eth2"]).0, ["eth2"]);
    let (interfaces, findings) = selected(&[], &["eth9"]);
    assert!(interfaces.is_empty());
    assert_eq!((findings[0].subject.as_str(), findings[0].status), ("eth9", Status::Obstacle));
}

#[test]
fn an_address_that_nobody_carries_is_an_obstacle_to_the_start() {
    let (interfaces, findings) = selected(&["198.51.100.1:6969", "192.0.2.1:6969"], &[]);
    assert_eq!(interfaces, ["eth0"]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].hinders, Some(Hinders::Start));
    assert_eq!(findings[0].mend.as_deref(), Some("ip address add 198.51.100.1/32 dev INTERFACE"));
    assert!(selected(&["127.0.0.53:6969"], &[]).1.is_empty(), "all of 127.0.0.0/8 is the loopback's");
}
