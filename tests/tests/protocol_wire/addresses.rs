//! Who sent a frame, and whom it is for.

use crate::wire::{FAMILIES, Family, Wire, rules};
use std::net::{IpAddr, SocketAddr};
use tracker_tests::packet::{Frame, Udp};
use tracker_tests::udp_client::connect_request;

rules! {
    a_frame_for_another_link_address_is_not_answered,
    a_packet_for_another_ip_address_is_not_answered,
    a_frame_of_another_vlan_is_not_answered,
    a_frame_with_a_priority_and_no_vlan_is_answered,
    sources_that_cannot_be_answered_do_no_harm,
    port_0_does_no_harm,
    another_tracker_as_the_source_makes_no_loop,
}

fn a_frame_for_another_link_address_is_not_answered(wire: &mut Wire) {
    for family in FAMILIES {
        for payload in [connect_request(1), wire.announce(family).payload()] {
            let frame = Wire::frame(wire.udp(family, &payload).packet());
            for destination in [[2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 1, 1]] {
                wire.expect_no_effect(family, &[Frame { destination, ..frame.clone() }.bytes()]);
            }
        }
    }
}

fn a_packet_for_another_ip_address_is_not_answered(wire: &mut Wire) {
    let others = |family| match family {
        Family::V4 => ["10.77.0.3", "10.77.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "8.8.8.8"],
        Family::V6 => ["fd77::3", "fd77::1:1", "ff02::1", "::1", "::", "2001:db8::1"],
    };
    for family in FAMILIES {
        for other in others(family) {
            let mut udp = wire.udp(family, &connect_request(1));
            udp.destination.set_ip(other.parse().expect("an address"));
            wire.expect_dropped(family, udp.packet());
        }
    }
}

fn a_frame_of_another_vlan_is_not_answered(wire: &mut Wire) {
    for family in FAMILIES {
        for tag in [1, 5, 0x0fff, 0xe005] {
            let frame = Wire::frame(wire.udp(family, &connect_request(1)).packet());
            wire.expect_no_effect(family, &[Frame { vlan: Some(tag), ..frame }.bytes()]);
        }
    }
}

fn a_frame_with_a_priority_and_no_vlan_is_answered(wire: &mut Wire) {
    for family in FAMILIES {
        let frame = Wire::frame(wire.udp(family, &connect_request(1)).packet());
        wire.socket.send(&Frame { vlan: Some(0xe000), ..frame }.bytes());
        wire.expect_connect_answer(family, 1);
    }
}

fn sources_that_cannot_be_answered_do_no_harm(wire: &mut Wire) {
    let sources = |family| match family {
        Family::V4 => {
            ["0.0.0.0", "255.255.255.255", "10.77.0.255", "224.0.0.1", "239.1.2.3", "127.0.0.1", "10.77.0.1"]
        }
        Family::V6 => ["::", "ff02::1", "ff05::2", "ff0e::1", "::1", "fd77::1", "::ffff:10.77.0.2"],
    };
    for family in FAMILIES {
        for source in sources(family) {
            let source: IpAddr = source.parse().expect("an address");
            // From the daemon's own port, too: that is how a loop would start.
            for port in [40_000, wire.tracker(family).port()] {
                for payload in [connect_request(1), wire.announce(family).payload()] {
                    let udp = Udp { source: SocketAddr::new(source, port), ..wire.udp(family, &payload) };
                    wire.expect_dropped(family, udp.packet());
                }
            }
        }
    }
}

fn port_0_does_no_harm(wire: &mut Wire) {
    for family in FAMILIES {
        for payload in [connect_request(1), wire.announce(family).payload()] {
            let mut udp = wire.udp(family, &payload);
            udp.source.set_port(0);
            wire.expect_dropped(family, udp.packet());
            let mut udp = wire.udp(family, &payload);
            udp.destination.set_port(0);
            wire.expect_dropped(family, udp.packet());
        }
    }
}

fn another_tracker_as_the_source_makes_no_loop(wire: &mut Wire) {
    for family in FAMILIES {
        let mut udp = wire.udp(family, &connect_request(1));
        udp.source.set_port(udp.destination.port());
        wire.send(udp.packet());
        let answer = wire.expect_connect_answer(family, 1);
        // The answer comes back as a question, as it would from a tracker that takes it for one. Where an action
        // belongs there is then a piece of a connection id.
        let echo = Udp { payload: answer.payload, ..udp };
        wire.expect_dropped(family, echo.packet());
    }
    assert_eq!(wire.verdict("unknown_action"), 2);
}
