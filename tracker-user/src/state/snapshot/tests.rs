//! Snapshots as a whole: what comes back of a store, and that nothing comes back of a file that is not what was written.

use super::file::{FileError, Loaded, check_writable, load, write};
use super::format::{Damage, HEADER_LEN, VERSION};
use super::parser::{Block, Item, Parser};
use super::writer::{Origin, SnapshotWriter};
use crate::access_list::{AccessList, ListKind, ListedTorrents, TorrentList};
use crate::clock::Now;
use crate::config::types::{StoreConfig, TrackerConfig};
use crate::info_hash::InfoHash;
use crate::peer_store::{Page, PeersOut, SwarmCounts, Timeouts, Totals};
use crate::state::moment::{Boot, Elapsed, Moment};
use crate::tracker::{Announce, Event, Protocol, Tracker};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

const TIMEOUTS: Timeouts = Timeouts { peer_secs: 2700, torrent_secs: 86_400 };
const BOOT: Boot = Boot([1; 16]);
const ORIGIN: Origin = Origin { store_id: 7, boot: BOOT };

fn here(secs: u32) -> Moment {
    Moment { wall_secs: 1_000_000 + u64::from(secs), secs, boot: BOOT }
}

fn hash(number: u32) -> InfoHash {
    InfoHash(std::array::from_fn(|at| number.to_be_bytes()[at % 4]))
}

fn empty() -> Arc<Tracker> {
    Arc::new(Tracker::new(TrackerConfig::default(), [3, 4]))
}

fn announce(tracker: &Tracker, number: u32, peer: SocketAddr, secs: u32) {
    let announce = Announce {
        over: Protocol::Udp,
        info_hash: hash(number),
        peer,
        bytes_left: u64::from(number % 3),
        event: if number.is_multiple_of(6) { Event::Completed } else { Event::Ordinary },
        peers_wanted: None,
    };
    let mut random = fastrand::Rng::with_seed(1);
    tracker.announce(&announce, Now::from_seconds(secs), &mut random, &mut PeersOut::new(&mut [], &mut []));
}

/// A tracker with so many torrents and a few peers each, announced a while ago.
pub(super) fn announced(torrents: u32, secs: u32) -> Arc<Tracker> {
    let tracker = empty();
    for number in 0..torrents {
        announce(&tracker, number, (Ipv4Addr::from(0x0a00_0000 + number), 6881).into(), secs);
        if number % 2 == 0 {
            announce(
                &tracker,
                number,
                (Ipv6Addr::from(number as u128 + (0x2001 << 112)), 6881).into(),
                secs + 1,
            );
        }
    }
    tracker
}

/// The page that a block has on it.
pub(super) fn page_of(block: &Block, begun_secs: u32) -> Page {
    let (mut content, mut page) = (Vec::new(), Page::default());
    block.unpack(&mut zstd::bulk::Decompressor::new().unwrap(), &mut content).unwrap();
    super::format::decode_page(&content, begun_secs, &mut page).unwrap();
    page
}

/// The bytes of a snapshot that was begun at this second.
fn bytes_of(tracker: &Tracker, secs: u32) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(ORIGIN, 0, here(secs)).unwrap();
    std::iter::from_fn(|| writer.next_piece(tracker.store()).unwrap()).flatten().collect()
}

/// A file of one test, gone with it.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tracker-user-{}-{name}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        Self(directory.join("snapshot"))
    }

    /// What this content makes of an empty tracker at this second.
    fn load(&self, content: &[u8], secs: u32) -> (Result<Loaded, FileError>, Arc<Tracker>) {
        fs::write(&self.0, content).unwrap();
        let tracker = empty();
        (load(&self.0, &tracker, TIMEOUTS, here(secs)), tracker)
    }

    /// Loads content that is not what was written; what is wrong with it.
    fn damage_of(&self, content: &[u8]) -> Damage {
        let (loaded, tracker) = self.load(content, 5000);
        assert_eq!(tracker.store().totals(), Totals::default());
        let Ok(Loaded::PutAside { damage, kept_as }) = loaded else { panic!("{loaded:?}") };
        assert!(!self.0.exists());
        assert_eq!(fs::read(&kept_as).unwrap(), content);
        fs::remove_file(kept_as).unwrap();
        damage
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// Everything that a store holds, in one order.
fn content_of(tracker: &Tracker, secs: u32) -> Vec<Vec<u8>> {
    let mut parser = Parser::default();
    parser.push(&bytes_of(tracker, secs));
    let mut rows = Vec::new();
    while let Some(item) = parser.next_item().unwrap() {
        let Item::Torrents(block) = item else { continue };
        let page = page_of(&block, secs);
        let (mut v4, mut v6) = (page.v4.iter(), page.v6.iter());
        for row in &page.torrents {
            let peers_v4: Vec<_> = v4.by_ref().take(row.v4 as usize).collect();
            let peers_v6: Vec<_> = v6.by_ref().take(row.v6 as usize).collect();
            rows.push(format!("{row:?} {peers_v4:?} {peers_v6:?}").into_bytes());
        }
    }
    rows.sort();
    rows
}

#[test]
fn a_store_comes_back_as_it_was_with_everything_older() {
    let (file, tracker) = (TestFile::new("comes-back"), announced(20_000, 1000));
    let (loaded, other) = file.load(&bytes_of(&tracker, 1500), 2000);
    let Ok(Loaded::Restored { restored, age }) = loaded else { panic!("{loaded:?}") };
    assert_eq!((restored.peers, restored.contents.rows), (30_000, 20_000));
    assert_eq!((restored.peers_left_out, restored.rows_left_out, age), (0, 0, Elapsed::Secs(500)));
    assert_eq!(other.store().totals(), tracker.store().totals());
    assert_eq!(content_of(&other, 2000), content_of(&tracker, 2000));
    assert!(file.0.exists());
}

#[test]
fn of_what_has_timed_out_by_now_only_downloads_come_back() {
    let (file, tracker) = (TestFile::new("timed-out"), announced(60, 1000));
    let bytes = bytes_of(&tracker, 1500);
    // Ages are known in steps of 27 seconds, a hundredth of the timeout.
    let (_, other) = file.load(&bytes, 3700 - 27);
    assert_eq!(other.store().totals().peers, 90);
    let (_, other) = file.load(&bytes, 3701);
    assert_eq!(other.store().totals(), Totals { torrents: 10, peers: 0, seeders: 0, completed: 20 });
    let (_, other) = file.load(&bytes, 1001 + TIMEOUTS.torrent_secs);
    assert_eq!(other.store().totals(), Totals::default());
}

#[test]
fn torrents_that_the_list_forbids_now_are_left_out() {
    let (file, tracker) = (TestFile::new("forbidden"), announced(60, 1000));
    fs::write(&file.0, bytes_of(&tracker, 1500)).unwrap();
    let list = file.0.with_extension("list");
    fs::write(&list, format!("{:?}\n", hash(6))).unwrap();
    let (listed, _) = ListedTorrents::read(&list).unwrap();
    let other = empty();
    other.replace_torrents(Arc::new(TorrentList::new(ListKind::Blacklist, listed, false)));
    let loaded = load(&file.0, &other, TIMEOUTS, here(1600)).unwrap();
    let Loaded::Restored { restored, .. } = loaded else { panic!("{loaded:?}") };
    assert_eq!((restored.peers, restored.peers_left_out, restored.rows_left_out), (88, 2, 1));
    assert_eq!(other.store().scrape(&hash(6)), None);
    assert_eq!(other.store().totals().torrents, 59);
}

#[test]
fn peers_whose_addresses_are_refused_now_are_left_out() {
    let (file, tracker) = (TestFile::new("refused"), announced(60, 1000));
    fs::write(&file.0, bytes_of(&tracker, 1500)).unwrap();
    let other = empty();
    let config = StoreConfig { refuse_bogons: true, ..StoreConfig::default() };
    other.replace_access(AccessList::default().refusing(&config).into());
    let loaded = load(&file.0, &other, TIMEOUTS, here(1600)).unwrap();
    let Loaded::Restored { restored, .. } = loaded else { panic!("{loaded:?}") };
    // Those of IPv4 are private.
    assert_eq!((restored.peers, restored.peers_left_out, other.store().totals().peers), (30, 60, 30));
}

#[test]
fn peers_whose_addresses_are_denied_now_are_left_out() {
    let (file, tracker) = (TestFile::new("denied"), announced(60, 1000));
    fs::write(&file.0, bytes_of(&tracker, 1500)).unwrap();
    let other = empty();
    other.replace_access(AccessList::denying(&["10.0.0.0/8".parse().unwrap()]).into());
    let loaded = load(&file.0, &other, TIMEOUTS, here(1600)).unwrap();
    let Loaded::Restored { restored, .. } = loaded else { panic!("{loaded:?}") };
    assert_eq!((restored.peers, restored.peers_left_out, other.store().totals().peers), (30, 60, 30));
}

#[test]
fn where_the_clock_was_set_back_no_time_has_passed() {
    let file = TestFile::new("set-back");
    fs::write(&file.0, bytes_of(&announced(60, 1000), 1500)).unwrap();
    let other = empty();
    let rebooted = Moment { wall_secs: 3, secs: 1 << 25, boot: Boot([2; 16]) };
    let loaded = load(&file.0, &other, TIMEOUTS, rebooted).unwrap();
    assert!(matches!(loaded, Loaded::Restored { age: Elapsed::ClockSetBack, .. }), "{loaded:?}");
    assert_eq!(other.store().last_announce_secs(&hash(1)), Some((1 << 25) - 500));
}

#[test]
fn every_truncation_is_put_aside_and_nothing_of_it_is_believed() {
    let (file, bytes) = (TestFile::new("cut-off"), bytes_of(&announced(7, 1000), 1500));
    for length in 0..bytes.len() {
        assert_eq!(file.damage_of(&bytes[..length]), Damage::CutOff, "{length} bytes");
    }
    assert_eq!(file.damage_of(&[&bytes[..], b"\0"].concat()), Damage::BehindEnd);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (file, bytes) = (TestFile::new("flipped"), bytes_of(&announced(5, 1000), 1500));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            file.damage_of(&flipped);
        }
    }
}

#[test]
fn blocks_that_are_whole_but_out_of_place_are_noticed() {
    let (file, tracker) = (TestFile::new("out-of-place"), announced(30_000, 1000));
    let mut writer = SnapshotWriter::new(ORIGIN, 0, here(1500)).unwrap();
    let pieces: Vec<_> = std::iter::from_fn(|| writer.next_piece(tracker.store()).unwrap()).collect();
    let of = |order: &[usize]| order.iter().flat_map(|at| pieces[*at].clone()).collect::<Vec<_>>();
    let last = pieces.len() - 1;
    assert!(last >= 4);
    assert_eq!(file.damage_of(&of(&[0, 2, 1])), Damage::Block(0));
    assert_eq!(file.damage_of(&of(&[0, 1, 1])), Damage::Block(1));
    assert_eq!(file.damage_of(&of(&[0, 1, 2, last])), Damage::Block(2));
    // A whole block of another snapshot of the same store.
    let other = bytes_of(&tracker, 1501);
    let mixed = [&other[..HEADER_LEN], &of(&(1..=last).collect::<Vec<_>>())].concat();
    assert_eq!(file.damage_of(&mixed), Damage::Block(0));
}

#[test]
fn a_file_of_another_version_is_kept_for_the_version_that_reads_it() {
    let (file, mut bytes) = (TestFile::new("version"), bytes_of(&announced(5, 1000), 1500));
    bytes[9] = VERSION as u8 + 1;
    assert_eq!(file.damage_of(&bytes), Damage::OtherVersion(VERSION + 1));
    assert_eq!(
        file.damage_of(b"HEX:1:2, a state dump that someone has put here by mistake"),
        Damage::NotASnapshot
    );
}

#[test]
fn what_was_put_aside_before_is_not_replaced() {
    let file = TestFile::new("aside");
    let names: Vec<_> = (0..3)
        .map(|number: u8| match file.load(&[number; 60], 5000).0 {
            Ok(Loaded::PutAside { kept_as, .. }) => kept_as,
            other => panic!("{other:?}"),
        })
        .collect();
    for (number, name) in names.iter().enumerate() {
        assert_eq!(fs::read(name).unwrap(), [number as u8; 60]);
    }
}

/// A file made by hand as the documentation of the format has it, packed by a frame of zstd that says its content plainly.
#[test]
fn a_file_written_by_hand_is_read() {
    let file = TestFile::new("by-hand");
    let mut header = [0; 56];
    header[..10].copy_from_slice(b"\x93otxsnap\0\x01");
    header[16..24].copy_from_slice(&1_000_100_u64.to_be_bytes());
    let checksum = crc32fast::hash(&header[..52]).to_be_bytes();
    header[52..].copy_from_slice(&checksum);
    let block = |number: u8, kind: u8, content: &[u8]| {
        let length = content.len() as u8;
        let plain =
            [&b"\x28\xb5\x2f\xfd\x20"[..], &[length], &[length << 3 | 1, length >> 5, 0], content].concat();
        let packed = plain.len() as u8;
        let head = [0, 0, 0, number, kind, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, length, 0, 0, 0, packed];
        let checked = crc32fast::hash(&[&checksum[..], &head, &plain].concat());
        [&head[..], &checked.to_be_bytes(), &plain].concat()
    };
    let numbers =
        |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
    let torrents = [
        &numbers(&[1, 1, 0])[..],
        &[0xab; 20],
        &numbers(&[9, 50, 1, 0]),
        &[192, 0, 2, 1, 0x1a, 0xe1],
        &numbers(&[1 << 31 | 60]),
    ];
    let end = [1_u64, 1, 0].map(u64::to_be_bytes);
    let bytes = [&header[..], &block(0, 1, &torrents.concat()), &block(1, 2, end.as_flattened())].concat();
    let (loaded, tracker) = file.load(&bytes, 200);
    let Ok(Loaded::Restored { age, .. }) = loaded else { panic!("{loaded:?}") };
    assert_eq!(age, Elapsed::Secs(100));
    let counts = SwarmCounts { seeders: 1, leechers: 0, completed: 9 };
    assert_eq!(tracker.store().scrape(&InfoHash([0xab; 20])), Some(counts));
    assert_eq!(tracker.store().last_announce_secs(&InfoHash([0xab; 20])), Some(50));
    // The same with an end that counts more.
    let end = [1_u64, 2, 0].map(u64::to_be_bytes);
    let bytes = [&header[..], &block(0, 1, &torrents.concat()), &block(1, 2, end.as_flattened())].concat();
    assert_eq!(file.damage_of(&bytes), Damage::Missing);
    // And with content that its checksum is right for, but that is none.
    let bytes = [&header[..], &block(0, 1, &[9; 30]), &block(1, 2, end.as_flattened())].concat();
    assert_eq!(file.damage_of(&bytes), Damage::Block(0));
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let (file, tracker) = (TestFile::new("written"), announced(30_000, Now::read().seconds()));
    check_writable(&file.0).unwrap();
    assert!(!file.0.exists());
    let written = write(&file.0, tracker.store(), ORIGIN, || Ok(())).unwrap();
    assert_eq!(written.bytes, fs::metadata(&file.0).unwrap().len());
    assert_eq!((written.contents.rows, written.contents.v4, written.contents.v6), (30_000, 30_000, 15_000));
    let before = fs::read(&file.0).unwrap();
    let mut pieces = 0;
    let given_up = write(&file.0, tracker.store(), ORIGIN, || {
        pieces += 1;
        if pieces == 3 { Err(std::io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    });
    assert!(given_up.is_err());
    assert_eq!(fs::read(&file.0).unwrap(), before);
    let other = empty();
    let now = Moment::read(BOOT, Now::read());
    assert!(matches!(load(&file.0, &other, TIMEOUTS, now), Ok(Loaded::Restored { .. })));
    assert_eq!(other.store().totals(), tracker.store().totals());
    assert!(matches!(load(&file.0.with_extension("none"), &other, TIMEOUTS, now), Ok(Loaded::Absent)));
    assert!(check_writable(file.0.parent().unwrap()).is_err());
    assert!(check_writable(std::path::Path::new("/nowhere/snapshot")).is_err());
}
