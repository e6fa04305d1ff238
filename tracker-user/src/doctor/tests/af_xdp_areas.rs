//! What is said about AF_XDP on an interface.

use super::host_areas::Fixture;
use super::interface_areas::{EVERYTHING, card};
use crate::config::types::{Config, Mode, XdpAttach};
use crate::doctor::af_xdp::examine;
use crate::doctor::finding::{Finding, Hinders, Status};
use crate::doctor::links::{Interface, XdpFeatures};
use crate::doctor::mode::{Grounds, choose};
use crate::netlink::ethtool::CardRings;

/// `CAP_IPC_LOCK` of linux/capability.h.
const IPC_LOCK: u32 = 14;

/// The complaints about an interface of a host whose limit of locked memory does not matter.
fn complaints(config: &Config, interface: &Interface) -> Vec<Finding> {
    let host = Fixture::healthy().with_capabilities(&[IPC_LOCK]);
    let findings = examine(&host.host(), config, interface);
    findings.into_iter().filter(|finding| finding.status != Status::Ok).collect()
}

#[track_caller]
fn only(mut complaints: Vec<Finding>) -> Finding {
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    complaints.remove(0)
}

#[test]
fn nothing_is_said_of_a_driver_without_af_xdp() {
    let host = Fixture::healthy();
    let without = Interface { xdp_features: Some(XdpFeatures(XdpFeatures::BASIC)), ..card("eth0") };
    assert!(examine(&host.host(), &Config::default(), &without).is_empty());
    assert!(complaints(&Config::default(), &card("eth0")).is_empty());
}

#[test]
fn a_small_mtu_hinders_af_xdp_and_nothing_else() {
    let small = Interface { mtu_bytes: 1499, ..card("eth0") };
    let finding = only(complaints(&Config::default(), &small));
    assert_eq!((finding.status, finding.hinders), (Status::Warning, Some(Hinders::AfXdp)));
    assert_eq!(finding.mend.as_deref(), Some("ip link set dev eth0 mtu 1500"));
    let grounds =
        Grounds { mode: Mode::Auto, attach: XdpAttach::Auto, build: EVERYTHING, host: &[], is_named: false };
    let choice = choose(grounds, &small, &[finding]);
    assert_eq!((choice.mode, choice.attach), ("xdp", Some("native")), "{choice:?}");
}

#[test]
fn queues_that_are_left_out_are_a_warning() {
    let mut config = Config::default();
    config.xsk.queues = 3;
    let finding = only(complaints(&config, &card("eth0")));
    assert!(finding.says.contains("3 of 4 queues"), "{finding:?}");
    config.xsk.queues = 4;
    assert!(complaints(&config, &card("eth0")).is_empty());
}

#[test]
fn the_frames_of_all_sockets_must_fit_into_locked_memory() {
    let config = Config::default();
    // Four queues of 2,048 entries, with a frame of 2,048 bytes for each way.
    let takes = 4 * 2048 * 2 * 2048;
    let with_limit = |bytes: u64, capabilities: &[u32]| {
        let limits = format!("Max locked memory  4096  {bytes}  bytes\n");
        let host = Fixture::healthy().with("proc/self/limits", &limits).with_capabilities(capabilities);
        let findings = examine(&host.host(), &config, &card("eth0"));
        findings.into_iter().find(|finding| finding.says.contains("locked memory")).unwrap()
    };
    let lacking = with_limit(takes - 1, &[]);
    assert_eq!((lacking.status, lacking.hinders), (Status::Warning, Some(Hinders::AfXdp)));
    assert!(lacking.mend.unwrap().contains("ulimit -l"));
    assert_eq!(with_limit(takes, &[]).status, Status::Ok);
    assert_eq!(with_limit(takes - 1, &[IPC_LOCK]).status, Status::Ok);
}

#[test]
fn rings_of_the_card_that_could_be_larger_are_a_warning() {
    let with = |receive, receive_max| {
        let rings = CardRings { receive, receive_max, transmit: 4096, transmit_max: 4096 };
        Interface { rings: Some(rings), ..card("eth0") }
    };
    let config = Config::default();
    let finding = only(complaints(&config, &with(512, 8160)));
    assert_eq!(finding.mend.as_deref(), Some("ethtool -G eth0 rx 2048 tx 4096"));
    assert_eq!(only(complaints(&config, &with(512, 1024))).mend.unwrap(), "ethtool -G eth0 rx 1024 tx 4096");
    assert!(complaints(&config, &with(1024, 1024)).is_empty(), "it cannot be larger");
    assert!(complaints(&config, &with(4096, 8160)).is_empty());
    assert!(complaints(&config, &Interface { rings: None, ..card("veth0") }).is_empty());
}
