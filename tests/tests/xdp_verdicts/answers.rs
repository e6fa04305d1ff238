//! Answers to connects, byte by byte: built a second time by other code, and written out literally.

use crate::frames::{CONNECT, SERVICE_VLAN, VLAN, over_v4, over_v6, padded, tagged};
use crate::scene::{Scene, id, in_one_slot};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tracker_common::connection_id::Keys;
use tracker_tests::kernel_program::Action;
use tracker_tests::packet::{Ipv4, Ipv6, ReceivedUdp, Udp};

/// The shortest frame on a wire, its check sequence not counted.
const MIN_FRAME_LEN: usize = 60;

/// The only right answer to a frame with a connect in it.
pub(crate) fn answer_to(request: &[u8], keys: &Keys, now_ns: u64) -> Vec<u8> {
    let ip_at = ip_offset(request);
    let (source, destination, udp_at) = addresses(request, ip_at);
    let payload = &request[udp_at + 8..];
    let id = id(keys, source.ip(), 0, now_ns);
    let answer = [&[0; 4], &payload[12..16], &id.to_be_bytes()].concat();
    let udp = Udp::new(destination, source, &answer).bytes();
    let packet = match (destination.ip(), source.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            Ipv4 { id: 0, flags_and_offset: 0x4000, ttl: 64, payload: udp, ..Ipv4::new(from, to) }.packet()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            Ipv6 { hop_limit: 64, payload: udp, ..Ipv6::new(from, to) }.packet()
        }
        addresses => panic!("two families in {addresses:?}"),
    };
    let mut bytes = [&request[6..12], &request[..6], &request[12..ip_at], &packet.bytes].concat();
    // What is left of a longer request is padding.
    let len = request.len().min(MIN_FRAME_LEN.max(bytes.len()));
    bytes.extend(&request[bytes.len()..len]);
    bytes
}

/// Where the IP header begins.
pub(crate) fn ip_offset(frame: &[u8]) -> usize {
    let is_tag = |at: usize| [VLAN, SERVICE_VLAN].contains(&u16::from_be_bytes([frame[at], frame[at + 1]]));
    let kind_at = [12, 16].into_iter().find(|&at| !is_tag(at)).unwrap_or(20);
    kind_at + 2
}

/// Source, destination, and where the UDP header begins, without options or extensions.
pub(crate) fn addresses(frame: &[u8], ip_at: usize) -> (SocketAddr, SocketAddr, usize) {
    let v4 = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]).into();
    let v6 = |at: usize| {
        let octets: [u8; 16] = frame[at..at + 16].try_into().expect("sixteen bytes");
        Ipv6Addr::from(octets).into()
    };
    let (source, destination, udp_at): (IpAddr, IpAddr, usize) = match frame[ip_at] >> 4 {
        4 => (v4(ip_at + 12), v4(ip_at + 16), ip_at + 20),
        _ => (v6(ip_at + 8), v6(ip_at + 24), ip_at + 40),
    };
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    (SocketAddr::new(source, port(udp_at)), SocketAddr::new(destination, port(udp_at + 2)), udp_at)
}

/// Runs a connect and returns its answer and the id that it must carry.
fn connect(frame: &[u8], client: IpAddr) -> Option<(Vec<u8>, [u8; 8])> {
    let mut scene = Scene::new_or_skipped()?;
    Some(connect_in(&mut scene, frame, client))
}

fn connect_in(scene: &mut Scene, frame: &[u8], client: IpAddr) -> (Vec<u8>, [u8; 8]) {
    in_one_slot(|now_ns| {
        let run = scene.run(frame);
        assert_eq!(run.action, Action::Answered);
        (run.output, scene.id(client, 0, now_ns).to_be_bytes())
    })
}

/// The UDP checksum of an answer depends on its id: it is read where it stands, and checked by itself.
fn checked_udp_checksum(frame: &[u8], tags: usize) -> [u8; 2] {
    let (ip_at, mut untagged) = (14 + 4 * tags, frame.to_vec());
    untagged.drain(12..12 + 4 * tags);
    let udp_at = addresses(frame, ip_at).2;
    untagged.truncate(udp_at - 4 * tags + 24);
    ReceivedUdp::parse(&untagged).expect("a right UDP datagram");
    [frame[udp_at + 6], frame[udp_at + 7]]
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const TRACKER_TO_CLIENT_V4: [u8; 32] = [
    0x45, 0, 0, 44, 0, 0, 0x40, 0, 64, 17, 0x4e, 0x85, // header checksum
    192, 0, 2, 1, 198, 51, 100, 7, // addresses
    0x1b, 0x39, 0xc8, 0xd5, 0, 24, // ports, length
    0, 0, // in place of the UDP checksum
    0, 0, 0, 0, // action
];
const TRANSACTION_ID: [u8; 4] = [0xde, 0xad, 0xbe, 0xef];

#[test]
fn the_answer_over_ipv4_is_these_literal_bytes() {
    let Some((frame, id)) = connect(&over_v4().frame(&CONNECT), over_v4().client.ip()) else { return };
    let mut expected = [&MACS[..], &[8, 0], &TRACKER_TO_CLIENT_V4, &TRANSACTION_ID, &id].concat();
    expected[40..42].copy_from_slice(&checked_udp_checksum(&frame, 0));
    assert_eq!(frame, expected);
}

#[test]
fn the_answer_over_ipv6_is_these_literal_bytes() {
    let Some((frame, id)) = connect(&over_v6().frame(&CONNECT), over_v6().client.ip()) else { return };
    let mut expected = [&MACS[..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 17, 64]].concat();
    expected.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend([0x20, 1, 0xd, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    expected.extend([0x1b, 0x39, 0xc8, 0xd5, 0, 24]);
    expected.extend(checked_udp_checksum(&frame, 0));
    expected.extend([0; 4]);
    expected.extend(TRANSACTION_ID);
    expected.extend(id);
    assert_eq!(frame, expected);
}

#[test]
fn the_answer_in_a_vlan_is_these_literal_bytes() {
    let request = tagged(&over_v4().frame(&CONNECT), &[(VLAN, 0x6064)]);
    let Some((frame, id)) = connect(&request, over_v4().client.ip()) else { return };
    let tag = [0x81, 0, 0x60, 0x64, 8, 0];
    let mut expected = [&MACS[..], &tag, &TRACKER_TO_CLIENT_V4, &TRANSACTION_ID, &id].concat();
    expected[44..46].copy_from_slice(&checked_udp_checksum(&frame, 1));
    assert_eq!(frame, expected);
}

#[test]
fn the_answer_in_a_vlan_of_a_provider_is_these_literal_bytes() {
    let request = tagged(&over_v4().frame(&CONNECT), &[(SERVICE_VLAN, 0x0007), (VLAN, 0x0064)]);
    let Some((frame, id)) = connect(&request, over_v4().client.ip()) else { return };
    let tags = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 0x64, 8, 0];
    let mut expected = [&MACS[..], &tags, &TRACKER_TO_CLIENT_V4, &TRANSACTION_ID, &id].concat();
    expected[48..50].copy_from_slice(&checked_udp_checksum(&frame, 2));
    assert_eq!(frame, expected);
}

#[test]
fn what_was_behind_a_connect_is_cut_off() {
    let request = over_v4().frame(&[&CONNECT[..], &[7; 100]].concat());
    let Some((frame, id)) = connect(&request, over_v4().client.ip()) else { return };
    let mut expected = [&MACS[..], &[8, 0], &TRACKER_TO_CLIENT_V4, &TRANSACTION_ID, &id, &[7, 7]].concat();
    expected[40..42].copy_from_slice(&checked_udp_checksum(&frame, 0));
    assert_eq!(frame, expected, "58 bytes, and padding to the shortest frame");
}

#[test]
fn ethernet_padding_is_no_part_of_the_answer() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    for len in 0..=80 {
        let request = padded(&over_v4().frame(&CONNECT), &vec![0xaa; len]);
        let (frame, _) = connect_in(&mut scene, &request, over_v4().client.ip());
        assert_eq!(frame.len(), (58 + len).min(60));
        assert_eq!(frame[16..18], [0, 44], "the total length");
    }
}
