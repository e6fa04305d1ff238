//! Verdicts that headers alone bring about: links, IPv4, IPv6 and UDP.

use crate::frames::{
    CLIENT_MAC, CONNECT, OUR_MAC, SERVICE_VLAN, VLAN, Way, framed, over_v4, over_v6, padded, patched, tagged,
};
use crate::scene::Scene;
use crate::table::{Row, answered, check, passed};
use tracker_common::verdict::Verdict;
use tracker_tests::packet::{Checksum, IpPacket, Ipv4, Ipv6, Udp};

fn check_rows(rows: impl Fn() -> Vec<Row>) {
    if let Some(mut scene) = Scene::new_or_skipped() {
        check(&mut scene, |_| rows());
    }
}

#[test]
fn a_frame_cut_short_anywhere_is_left_to_the_stack() {
    check_rows(|| {
        let mut rows = Vec::new();
        for (way, tags) in Way::both().into_iter().flat_map(|way| [(way, 0), (way, 1), (way, 2)]) {
            let frame = tagged(&way.frame(&CONNECT), &[(VLAN, 7), (VLAN, 8)][..tags]);
            for len in 14..frame.len() {
                let verdict = if len < 14 + 4 * tags { Verdict::NotUdp } else { Verdict::BadHeader };
                let name = format!("{}, {tags} tags, {len} bytes", way.family());
                rows.push(passed(name, frame[..len].to_vec(), verdict));
            }
            rows.push(answered(format!("{}, {tags} tags, whole", way.family()), frame));
        }
        rows
    });
}

#[test]
fn only_frames_for_our_link_address_are_ours() {
    let to = |mac: [u8; 6]| patched(over_v4().frame(&CONNECT), 0, &mac);
    check_rows(|| {
        vec![
            answered("ours", to(OUR_MAC)),
            passed("the client's own", to(CLIENT_MAC), Verdict::NotListening),
            passed("off by one bit", to([2, 0, 0, 0, 0, 0x81]), Verdict::NotListening),
            passed("broadcast", to([0xff; 6]), Verdict::NotListening),
            passed("multicast", to([1, 0, 0x5e, 0, 0, 1]), Verdict::NotListening),
            passed("zero", to([0; 6]), Verdict::NotListening),
        ]
    });
}

#[test]
fn up_to_two_tags_are_read() {
    let (v4, v6) = (over_v4().frame(&CONNECT), over_v6().frame(&CONNECT));
    let arp = patched(v4.clone(), 12, &[8, 6]);
    check_rows(|| {
        vec![
            answered("a VLAN, IPv4", tagged(&v4, &[(VLAN, 100)])),
            answered("a VLAN, IPv6", tagged(&v6, &[(VLAN, 100)])),
            answered("only a priority", tagged(&v4, &[(VLAN, 0xe000)])),
            answered("a VLAN of a provider alone", tagged(&v4, &[(SERVICE_VLAN, 1)])),
            answered("QinQ, IPv4", tagged(&v4, &[(SERVICE_VLAN, 1), (VLAN, 2)])),
            answered("QinQ, IPv6", tagged(&v6, &[(SERVICE_VLAN, 1), (VLAN, 2)])),
            answered("a VLAN in a VLAN", tagged(&v4, &[(VLAN, 1), (VLAN, 2)])),
            passed("three tags, IPv4", tagged(&v4, &[(VLAN, 1), (VLAN, 2), (VLAN, 3)]), Verdict::NotUdp),
            passed("three tags, IPv6", tagged(&v6, &[(VLAN, 1), (VLAN, 2), (VLAN, 3)]), Verdict::NotUdp),
            passed("ARP in a VLAN", tagged(&arp, &[(VLAN, 1)]), Verdict::NotUdp),
        ]
    });
}

#[test]
fn other_protocols_of_the_host_are_left_alone() {
    let v4 = |protocol| framed(Ipv4 { protocol, ..over_v4().ipv4(&CONNECT) }.packet());
    let v6 = |next_header| framed(Ipv6 { next_header, ..over_v6().ipv6(&CONNECT) }.packet());
    let other_kind = |kind: [u8; 2]| patched(over_v4().frame(&CONNECT), 12, &kind);
    let fragment = Ipv4 { protocol: 6, flags_and_offset: 0x2000, ..over_v4().ipv4(&CONNECT) };
    check_rows(|| {
        vec![
            passed("ARP", other_kind([8, 6]), Verdict::NotUdp),
            passed("an 802.3 length", other_kind([0, 44]), Verdict::NotUdp),
            passed("LLDP", other_kind([0x88, 0xcc]), Verdict::NotUdp),
            passed("ICMP", v4(1), Verdict::NotUdp),
            passed("TCP over IPv4", v4(6), Verdict::NotUdp),
            passed("UDP-Lite", v4(136), Verdict::NotUdp),
            passed("a fragment of TCP", framed(fragment.packet()), Verdict::NotUdp),
            passed("TCP over IPv6", v6(6), Verdict::NotUdp),
            passed("ICMPv6", v6(58), Verdict::NotUdp),
            passed("no next header", v6(59), Verdict::NotUdp),
        ]
    });
}

#[test]
fn other_addresses_and_ports_are_left_alone() {
    let to = |way: Way, destination: &str| {
        let tracker = destination.parse().expect("an address");
        Way { tracker, ..way }.frame(&CONNECT)
    };
    check_rows(|| {
        let mut rows = vec![
            // The address of the other family's tracker, as IPv6 would write it: nothing a host answers to.
            passed("a mapped destination", to(over_v6(), "[::ffff:192.0.2.1]:6969"), Verdict::BadHeader),
            passed(
                "a mapped source",
                over_v6().from("::ffff:198.51.100.7").frame(&CONNECT),
                Verdict::BadHeader,
            ),
        ];
        for other in ["192.0.2.2:6969", "192.0.2.1:6968", "192.0.2.1:0", "255.255.255.255:6969"] {
            rows.push(passed(other, to(over_v4(), other), Verdict::NotListening));
        }
        for other in ["[2001:db8::2]:6969", "[2001:db8::1]:53", "[2001:db8::1]:0", "[ff02::1]:6969"] {
            rows.push(passed(other, to(over_v6(), other), Verdict::NotListening));
        }
        rows
    });
}

#[test]
fn ipv4_headers_are_taken_as_the_stack_would_take_them() {
    let header = |change: fn(&mut Ipv4)| {
        let mut packet = over_v4().ipv4(&CONNECT);
        change(&mut packet);
        framed(packet.packet())
    };
    check_rows(|| {
        vec![
            answered("no hops left", header(|ip| ip.ttl = 0)),
            answered("255 hops", header(|ip| ip.ttl = 255)),
            answered("every bit of DSCP and ECN", header(|ip| ip.tos = 0xff)),
            answered("any id", header(|ip| ip.id = 0xffff)),
            answered("do not fragment", header(|ip| ip.flags_and_offset = 0x4000)),
            answered("the reserved flag", header(|ip| ip.flags_and_offset = 0x8000)),
            passed("first fragment", header(|ip| ip.flags_and_offset = 0x2000), Verdict::Fragment),
            passed("middle fragment", header(|ip| ip.flags_and_offset = 0x2003), Verdict::Fragment),
            passed("last fragment", header(|ip| ip.flags_and_offset = 0x0003), Verdict::Fragment),
            passed("last possible offset", header(|ip| ip.flags_and_offset = 0x1fff), Verdict::Fragment),
            passed("fragment and do not", header(|ip| ip.flags_and_offset = 0x6000), Verdict::Fragment),
            passed("router alert", header(|ip| ip.options = vec![0x94, 4, 0, 0]), Verdict::IpOptions),
            passed("40 bytes of options", header(|ip| ip.options = vec![1; 40]), Verdict::IpOptions),
            passed("header checksum wrong", header(|ip| ip.checksum = Checksum::Wrong), Verdict::BadHeader),
            passed("header checksum zero", header(|ip| ip.checksum = Checksum::Zero), Verdict::BadHeader),
            passed("version 0", header(|ip| ip.version = 0), Verdict::BadHeader),
            passed("version 6", header(|ip| ip.version = 6), Verdict::BadHeader),
            passed("header of 16 bytes", header(|ip| ip.header_words = Some(4)), Verdict::BadHeader),
            passed("header of 0 bytes", header(|ip| ip.header_words = Some(0)), Verdict::BadHeader),
            passed("total length a byte short", header(|ip| ip.total_length = Some(43)), Verdict::BadHeader),
            passed("total length within UDP", header(|ip| ip.total_length = Some(27)), Verdict::BadHeader),
            passed("total length below its own", header(|ip| ip.total_length = Some(19)), Verdict::BadHeader),
            passed("total length zero", header(|ip| ip.total_length = Some(0)), Verdict::BadHeader),
            passed("total length a byte long", header(|ip| ip.total_length = Some(45)), Verdict::BadHeader),
            passed("longest total length", header(|ip| ip.total_length = Some(65535)), Verdict::BadHeader),
        ]
    });
}

#[test]
fn ipv6_headers_are_taken_as_the_stack_would_take_them() {
    let header = |change: fn(&mut Ipv6)| {
        let mut packet = over_v6().ipv6(&CONNECT);
        change(&mut packet);
        framed(packet.packet())
    };
    check_rows(|| {
        let mut rows = vec![
            answered("no hops left", header(|ip| ip.hop_limit = 0)),
            answered("every bit of DSCP and ECN", header(|ip| ip.traffic_class = 0xff)),
            answered("any flow label", header(|ip| ip.flow_label = 0xf_ffff)),
            passed("version 4", header(|ip| ip.version = 4), Verdict::BadHeader),
            passed("version 7", header(|ip| ip.version = 7), Verdict::BadHeader),
            passed("payload a byte short", header(|ip| ip.payload_length = Some(23)), Verdict::BadHeader),
            passed("payload a byte long", header(|ip| ip.payload_length = Some(25)), Verdict::BadHeader),
            passed("payload zero", header(|ip| ip.payload_length = Some(0)), Verdict::BadHeader),
            passed("payload longest", header(|ip| ip.payload_length = Some(65535)), Verdict::BadHeader),
        ];
        for extension in [0, 43, 44, 50, 51, 60, 135] {
            let packet = Ipv6 { extensions: vec![(extension, vec![0; 7])], ..over_v6().ipv6(&CONNECT) };
            let name = format!("extension header {extension}");
            rows.push(passed(name, framed(packet.packet()), Verdict::IpOptions));
        }
        let fragments = over_v6().ipv6(&CONNECT).fragments(8, 99);
        rows.extend(fragments.into_iter().map(|part| passed("fragment", framed(part), Verdict::IpOptions)));
        rows
    });
}

#[test]
fn the_udp_length_rules_where_it_fits() {
    let udp = |way: Way, length: u16, payload: &[u8]| {
        framed(Udp { length: Some(length), ..way.udp(payload) }.packet())
    };
    check_rows(|| {
        let mut rows = Vec::new();
        for way in Way::both() {
            let name = |text: &str| format!("{}: {text}", way.family());
            let long = [&CONNECT[..], b"behind"].concat();
            rows.push(answered(name("shorter than the IP payload"), udp(way, 24, &long)));
            rows.push(passed(name("longer by a byte"), udp(way, 25, &CONNECT), Verdict::BadHeader));
            rows.push(passed(name("longest"), udp(way, 65535, &CONNECT), Verdict::BadHeader));
            rows.push(passed(name("below its own"), udp(way, 7, &CONNECT), Verdict::BadHeader));
            rows.push(passed(name("zero"), udp(way, 0, &CONNECT), Verdict::BadHeader));
            let padded_long = padded(&udp(way, 25, &CONNECT), &[0; 6]);
            rows.push(passed(name("into the padding"), padded_long, Verdict::BadHeader));
        }
        rows
    });
}

#[test]
fn a_datagram_needs_its_whole_header() {
    check_rows(|| {
        let mut rows = Vec::new();
        for len in 0..8 {
            let udp = over_v4().udp(&CONNECT).bytes()[..len].to_vec();
            let v4: IpPacket = Ipv4 { payload: udp.clone(), ..over_v4().ipv4(&[]) }.packet();
            let v6 = Ipv6 { payload: udp, ..over_v6().ipv6(&[]) }.packet();
            rows.push(passed(format!("v4, {len} bytes of UDP"), framed(v4), Verdict::BadHeader));
            rows.push(passed(format!("v6, {len} bytes of UDP"), framed(v6), Verdict::BadHeader));
        }
        rows
    });
}

#[test]
fn a_packet_in_several_buffers_is_left_to_the_stack() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    let frame = over_v4().frame(&[&CONNECT[..], &[0; 8000]].concat());
    let run = scene.run(&frame);
    assert_eq!((run.verdict, run.output), (Verdict::BadHeader, frame.clone()));
    assert!(run.counted_bytes < frame.len() as u64, "the bytes of the first buffer are counted");
}
