//! Full scrapes that are written to a file again and again.

use crate::restart::hash;
use std::collections::BTreeSet;
use std::fs;
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

#[test]
fn an_export_is_what_a_client_would_get_in_every_format() {
    std::thread::scope(|scope| {
        for (format, target) in [
            ("ben", "/scrape"),
            ("bin", "/stats?mode=tpbs&format=bin"),
            ("txt", "/stats?mode=tpbs&format=txt"),
            ("txtp", "/stats?mode=tpbs&format=txtp"),
            ("url", "/stats?mode=tpbs&format=url"),
            ("statedump", "/stats?mode=statedump"),
        ] {
            scope.spawn(move || assert_exports(format, target));
        }
    });
}

fn assert_exports(format: &str, target: &str) {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("export");
    let settings = [
        format!("state.export={}", path.display()),
        format!("state.export_format={format}"),
        "state.export_interval_secs=1".to_owned(),
        "log.level=debug".to_owned(),
    ];
    let mut arguments = vec!["-i", "127.0.0.1", "-p", "0", "-P", "0"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let daemon = Daemon::start(&arguments);
    daemon.await_log_line(": 0 torrents written");
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let connection_id = client.connect();
    for number in 0..50 {
        let announce = AnnounceRequest { info_hash: hash(number), ..AnnounceRequest::new(connection_id, 1) };
        client.announce(&announce.seeding().event(number % 2));
    }
    daemon.await_log_line(": 50 torrents written");
    let sorted =
        |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
    let exported = fs::read(&path).expect("it was written");
    let served = http::get(daemon.tcp_v4(), target).body;
    assert_eq!(exported.len(), served.len(), "{format}");
    assert_eq!(sorted(&exported), sorted(&served), "{format}");
    let files = fs::read_dir(directory.path()).expect("the directory is ours").count();
    assert!(files <= 2, "{files} files, of which only the next one may be another");
}

#[test]
fn a_start_that_knows_no_torrent_does_not_replace_an_export_by_an_empty_one() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("export");
    fs::write(&path, "of a run before").expect("the directory is ours");
    let set = format!("state.export={}", path.display());
    let mut daemon =
        Daemon::start(&["-i", "127.0.0.1", "-p", "0", "-P", "0", "--set", &set, "--set", "log.level=debug"]);
    daemon.await_log_line("the export of before stays for now");
    assert!(daemon.terminate().success(), "{}", daemon.log());
    assert_eq!(fs::read(&path).expect("it is still there"), b"of a run before");
    assert!(!daemon.log().contains("torrents written"), "{}", daemon.log());
}
