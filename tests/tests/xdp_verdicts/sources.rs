//! Sources that no answer can reach, and networks that the operator blocks.

use crate::frames::{CONNECT, Way, over_v4, over_v6, patched};
use crate::scene::Scene;
use crate::table::{answered, check, dropped};
use std::net::IpAddr;
use tracker_common::abi::FLAG_BLOCKED;
use tracker_common::verdict::Verdict;

#[test]
fn a_source_that_cannot_be_answered_is_dropped() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    check(&mut scene, |_| {
        let mut rows = Vec::new();
        for source in ["0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255"] {
            rows.push(dropped(source, over_v4().from(source).frame(&CONNECT), Verdict::UnanswerableSource));
        }
        for source in ["::", "ff02::1", "ff0e::1:2:3"] {
            rows.push(dropped(source, over_v6().from(source).frame(&CONNECT), Verdict::UnanswerableSource));
        }
        for source in ["1.0.0.0", "223.255.255.255", "240.0.0.1", "192.0.2.1"] {
            rows.push(answered(source, over_v4().from(source).frame(&CONNECT)));
        }
        for source in ["::1:2:3", "fe80::1", "2001:db8::1"] {
            rows.push(answered(source, over_v6().from(source).frame(&CONNECT)));
        }
        for mut way in Way::both() {
            way.client.set_port(0);
            let name = format!("{}, port 0", way.family());
            rows.push(dropped(name, way.frame(&CONNECT), Verdict::UnanswerableSource));
            way.client.set_port(1);
            rows.push(answered(format!("{}, port 1", way.family()), way.frame(&CONNECT)));
        }
        for (name, mac) in [("broadcast", [0xff; 6]), ("multicast", [0x33, 0x33, 0, 0, 0, 1])] {
            let frame = patched(over_v4().frame(&CONNECT), 6, &mac);
            rows.push(dropped(name, frame, Verdict::UnanswerableSource));
        }
        rows
    });
}

#[test]
fn a_blocked_network_of_any_size_is_dropped_and_its_neighbour_is_not() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    scene.change(|control| control.flags = FLAG_BLOCKED);
    for way in Way::both() {
        let bits = if way.client.is_ipv4() { 32 } else { 128 };
        for prefix_len in 0..=bits {
            let network = with_last_bit_flipped(way.client.ip(), prefix_len, false);
            scene.program.block(network, prefix_len);
            let name = format!("{network}/{prefix_len}");
            check(&mut scene, |_| vec![dropped(&name, way.frame(&CONNECT), Verdict::SourceBlocked)]);
            scene.program.unblock(network, prefix_len);
            if prefix_len > 0 {
                let neighbour = with_last_bit_flipped(way.client.ip(), prefix_len, true);
                scene.program.block(neighbour, prefix_len);
                check(&mut scene, |_| vec![answered(format!("beside {name}"), way.frame(&CONNECT))]);
                scene.program.unblock(neighbour, prefix_len);
            }
        }
    }
}

/// The network of so many bits in which the address lies, or the one beside it.
fn with_last_bit_flipped(address: IpAddr, prefix_len: u32, flipped: bool) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix_len).unwrap_or(0);
            let last_bit = 1_u32.checked_shl(32 - prefix_len).filter(|_| flipped).unwrap_or(0);
            IpAddr::V4(((address.to_bits() & mask) ^ last_bit).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix_len).unwrap_or(0);
            let last_bit = 1_u128.checked_shl(128 - prefix_len).filter(|_| flipped).unwrap_or(0);
            IpAddr::V6(((address.to_bits() & mask) ^ last_bit).into())
        }
    }
}

#[test]
fn a_blocked_source_is_dropped_whatever_it_sends() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    scene.change(|control| control.flags = FLAG_BLOCKED);
    for way in Way::both() {
        scene.program.block(way.client.ip(), if way.client.is_ipv4() { 32 } else { 128 });
        check(&mut scene, |_| {
            let payloads = [&CONNECT[..], b"", &[0xff; 300]];
            let row = |payload: &&[u8]| dropped("blocked", way.frame(payload), Verdict::SourceBlocked);
            payloads.iter().map(row).collect()
        });
    }
}

#[test]
fn entries_are_not_looked_at_before_the_daemon_says_so() {
    let Some(mut scene) = Scene::new_or_skipped() else { return };
    scene.program.block(over_v4().client.ip(), 32);
    check(&mut scene, |_| vec![answered("not yet", over_v4().frame(&CONNECT))]);
}
