//! Kernel and userspace agree: on whatever the program judges by its payload, the daemon's own handler says the
//! same, and where both answer, they answer with the same bytes.

use crate::answers::{addresses, ip_offset};
use crate::frames::{CONNECT, SERVICE_VLAN, VLAN, Way, announce, scrape, tagged};
use crate::scene::{LIFETIME_SLOTS, Scene, id, in_one_slot};
use arc_swap::ArcSwap;
use fastrand::Rng;
use std::sync::Arc;
use tracker_common::abi::FLAG_LENIENT;
use tracker_common::connection_id::Keys;
use tracker_common::verdict::Verdict;
use tracker_tests::kernel_program::Run;
use tracker_tests::packet::internet_checksum;
use tracker_user::clock::Now;
use tracker_user::config::types::TrackerConfig;
use tracker_user::tracker::Tracker;
use tracker_user::udp::{Handler, IdPolicy, Outcome, Packet, WrongId};

const PACKETS: usize = 50_000;

/// What the daemon must say of a payload on which the program reached this verdict; `None` where the payload had no
/// part in it.
fn in_userspace(kernel: Verdict) -> Option<Verdict> {
    match kernel {
        Verdict::ConnectAnswered | Verdict::ConnectOverBudget | Verdict::ChecksumUnsure => {
            Some(Verdict::ConnectAnswered)
        }
        Verdict::AnnounceProven | Verdict::AnnounceRedirected => Some(Verdict::AnnounceAnswered),
        Verdict::ScrapeProven | Verdict::ScrapeRedirected => Some(Verdict::ScrapeAnswered),
        Verdict::ConnectionIdPassed => Some(Verdict::ConnectionIdRefused),
        Verdict::TooShort
        | Verdict::WrongProtocolId
        | Verdict::ConnectionIdStale
        | Verdict::ConnectionIdForged
        | Verdict::AnnounceTooShort
        | Verdict::ScrapeTooShort
        | Verdict::UnknownAction
        | Verdict::UnanswerableSource => Some(kernel),
        Verdict::SourceBlocked
        | Verdict::SourceOverBudget
        | Verdict::NotUdp
        | Verdict::NotListening
        | Verdict::Fragment
        | Verdict::IpOptions
        | Verdict::BadHeader
        | Verdict::DaemonSilent => None,
        Verdict::AnnounceAnswered
        | Verdict::ScrapeAnswered
        | Verdict::ConnectionIdRefused
        | Verdict::ChecksumWrong
        | Verdict::TorrentForbidden
        | Verdict::ClientDenied
        | Verdict::AddressRefused => {
            panic!("{kernel:?} is not the program's to reach")
        }
    }
}

/// A daemon with the same keys as the program.
fn handler(keys: Keys, wrong_id: WrongId) -> Handler {
    let tracker = Arc::new(Tracker::new(TrackerConfig::default(), [5, 6]));
    let policy = IdPolicy { lifetime_slots: LIFETIME_SLOTS, wrong_id };
    Handler::new(tracker, Arc::new(ArcSwap::from_pointee(keys)), policy)
}

/// A request, right or nearly so.
fn payload(random: &mut Rng, keys: &Keys, way: Way, now_ns: u64) -> Vec<u8> {
    let id = match random.u8(0..8) {
        0 => random.u64(..),
        1 => id(keys, way.client.ip(), random.i64(-2..130), now_ns),
        2 => id(keys, way.client.ip(), 0, now_ns) ^ (1 << random.u32(0..64)),
        _ => id(keys, way.client.ip(), random.i64(0..=i64::from(LIFETIME_SLOTS)), now_ns),
    };
    let mut payload = match random.u8(0..8) {
        0 => (0..random.usize(0..200)).map(|_| random.u8(..)).collect(),
        1..=2 => CONNECT.to_vec(),
        3..=5 => announce(id),
        _ => scrape(id, random.usize(0..5)),
    };
    match random.u8(0..8) {
        0 => payload.truncate(random.usize(0..=payload.len())),
        1 => payload.extend((0..random.usize(0..300)).map(|_| random.u8(..))),
        2 if !payload.is_empty() => {
            let at = random.usize(0..payload.len().min(16));
            payload[at] ^= 1 << random.u32(0..8);
        }
        3 if payload.len() >= 12 => payload[8..12].copy_from_slice(&random.u32(0..5).to_be_bytes()),
        _ => (),
    }
    payload
}

/// A frame with it, its headers right or spoiled in one place behind the link addresses.
fn frame(random: &mut Rng, keys: &Keys, now_ns: u64) -> Vec<u8> {
    let mut way = random.choice(Way::both()).expect("two ways");
    if random.u8(0..16) == 0 {
        way.client.set_port(random.u16(0..2));
    }
    let payload = payload(random, keys, way, now_ns);
    let right = if random.bool() { way.frame(&payload) } else { way.partially_summed(&payload) };
    let tags = [&[][..], &[(VLAN, 5)], &[(SERVICE_VLAN, 5), (VLAN, 6)]];
    let mut frame = tagged(&right, tags[random.usize(0..tags.len())]);
    frame.extend(vec![0xaa; random.usize(0..8)]);
    if random.u8(0..3) == 0 {
        let ip_at = ip_offset(&frame);
        let at = random.usize(12..(ip_at + way.ip_len() + 8).min(frame.len()));
        frame[at] = if random.bool() { random.u8(..) } else { frame[at] ^ (1 << random.u32(0..8)) };
        if random.u8(0..4) != 0 {
            correct_header_checksum(&mut frame, ip_at);
        }
    }
    frame
}

fn correct_header_checksum(frame: &mut [u8], ip_at: usize) {
    if frame[ip_at] == 0x45 {
        frame[ip_at + 10..ip_at + 12].fill(0);
        let checksum = internet_checksum(&[&frame[ip_at..ip_at + 20]]);
        frame[ip_at + 10..ip_at + 12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The error says how the daemon differs from the program on this frame.
fn compare(handler: &mut Handler, frame: &[u8], run: &Run, now_ns: u64) -> Result<(), String> {
    let Some(expected) = in_userspace(run.verdict) else { return Ok(()) };
    let (source, _, udp_at) = addresses(frame, ip_offset(frame));
    let udp_len = usize::from(u16::from_be_bytes([frame[udp_at + 4], frame[udp_at + 5]]));
    let payload = &frame[udp_at + 8..udp_at + udp_len];
    let mut out: Packet = [0; 1472];
    let outcome = handler.handle(source, payload, Now::from_nanoseconds(now_ns), &mut out);
    if outcome.verdict() != expected {
        let verdicts = (run.verdict, outcome.verdict());
        return Err(format!("{verdicts:?} on {source}, {payload:02x?} in {frame:02x?}"));
    }
    match (run.verdict, outcome) {
        (Verdict::ConnectAnswered, Outcome::Reply(_, len))
            if run.output[udp_at + 8..udp_at + 24] != out[..len] =>
        {
            Err(format!("{:02x?} is answered with {:02x?}", run.output, &out[..len]))
        }
        _ => Ok(()),
    }
}

/// Compares on as many packets as given, and tells which verdicts the program reached.
fn agree(seed: u64, flags: u32, wrong_id: WrongId) -> Option<Vec<Verdict>> {
    let mut scene = Scene::new_or_skipped()?;
    scene.change(|control| control.flags = flags);
    let keys = scene.control.keys;
    let mut handler = handler(keys, wrong_id);
    let mut random = Rng::with_seed(seed);
    let mut reached = Vec::new();
    for number in 0..PACKETS {
        let compared = in_one_slot(|now_ns| {
            // Again the same packet, should the slot have changed.
            let frame = frame(&mut random.clone(), &keys, now_ns);
            let run = scene.run(&frame);
            compare(&mut handler, &frame, &run, now_ns).map(|()| run.verdict)
        });
        match compared {
            Ok(verdict) if reached.contains(&verdict) => (),
            Ok(verdict) => reached.push(verdict),
            Err(difference) => panic!("seed {seed}, packet {number}: {difference}"),
        }
        random = Rng::with_seed(random.u64(..));
    }
    Some(reached)
}

fn assert_reached(reached: &[Verdict], expected: &[Verdict]) {
    let missing: Vec<_> = expected.iter().filter(|verdict| !reached.contains(verdict)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

const REACHED_BY_ANY: [Verdict; 14] = [
    Verdict::ConnectAnswered,
    Verdict::ChecksumUnsure,
    Verdict::AnnounceProven,
    Verdict::ScrapeProven,
    Verdict::TooShort,
    Verdict::WrongProtocolId,
    Verdict::AnnounceTooShort,
    Verdict::ScrapeTooShort,
    Verdict::UnknownAction,
    Verdict::UnanswerableSource,
    Verdict::NotUdp,
    Verdict::NotListening,
    Verdict::Fragment,
    Verdict::BadHeader,
];

#[test]
fn kernel_and_userspace_reach_the_same_verdict_on_random_packets() {
    let Some(reached) = agree(0x7ac_0001, 0, WrongId::Dropped) else { return };
    assert_reached(&reached, &REACHED_BY_ANY);
    assert_reached(&reached, &[Verdict::ConnectionIdStale, Verdict::ConnectionIdForged]);
}

#[test]
fn kernel_and_userspace_agree_on_wrong_ids_that_are_to_be_answered() {
    let Some(reached) = agree(0x7ac_0002, FLAG_LENIENT, WrongId::Answered) else { return };
    assert_reached(&reached, &REACHED_BY_ANY);
    assert_reached(&reached, &[Verdict::ConnectionIdPassed]);
}
