//! Which announces and scrapes a list refuses, how it says so, and which lists the daemon does not start with.

use crate::scene::{LISTED, LOOPBACK, Listed, OTHER, REASON, line};
use nix::sys::signal::Signal;
use nix::unistd::mkdtemp;
use tracker_tests::daemon::Daemon;
use tracker_tests::http;
use tracker_tests::temporary_directory::TemporaryDirectory;
use tracker_tests::udp_client::{AnnounceRequest, UdpClient};

#[test]
fn a_whitelist_refuses_what_is_not_on_it_over_udp_and_http() {
    assert_permits("-w", [true, false]);
}

#[test]
fn a_blacklist_refuses_what_is_on_it_over_udp_and_http() {
    assert_permits("-b", [false, true]);
}

fn assert_permits(option: &str, expected: [bool; 2]) {
    let listed = Listed::start(option, &line(&LISTED).to_lowercase(), &[]);
    let mut client = listed.client();
    for (hash, permitted) in [LISTED, OTHER].iter().zip(expected) {
        assert_eq!(client.is_permitted(hash, 6881), permitted);
        let answer = listed.announce_http(hash);
        assert_eq!(answer.status, 200);
        if permitted {
            assert!(answer.body.starts_with(b"d8:completei1e"), "{answer:?}");
        } else {
            assert_eq!(answer.body, [b"d14:failure reason63:", REASON, b"e"].concat());
        }
        // What is refused is not stored.
        assert_eq!(client.seeders(&[*hash]), [u32::from(permitted)]);
    }
    let stats = listed.daemon.stats();
    assert_eq!((&stats["torrents"], &stats["peers"]), (&1.into(), &1.into()));
    for protocol in ["udp", "http"] {
        let verdicts = &stats[protocol];
        let counted = (&verdicts["announce_answered"], &verdicts["torrent_forbidden"]);
        assert_eq!(counted, (&1.into(), &1.into()), "{protocol}");
    }
}

#[test]
fn without_a_list_every_torrent_is_served() {
    let daemon = Daemon::start(LOOPBACK);
    let hash = http::percent_encoded(&OTHER);
    let answer = http::get(daemon.tcp_v4(), &format!("/announce?info_hash={hash}&port=6881&left=0"));
    assert!(answer.body.starts_with(b"d8:completei1e"), "{answer:?}");
}

#[test]
fn a_forbidden_torrent_that_is_stored_is_handed_out_no_more_and_scraped_as_the_operator_likes() {
    for (applies, seeders) in [("false", 1), ("true", 0)] {
        let more = ["--set", &format!("access.lists_apply_to_scrapes={applies}")];
        let listed = Listed::start("-b", "", &more);
        let mut client = listed.client();
        assert!(client.is_permitted(&LISTED, 6881));
        listed.reload(&line(&LISTED));
        assert!(!client.is_permitted(&LISTED, 6882));
        assert_eq!(client.seeders(&[OTHER, LISTED]), [0, seeders]);
        let scrape = format!("/scrape?info_hash={}", http::percent_encoded(&LISTED));
        let answer = http::get(listed.daemon.tcp_v4(), &scrape);
        let row = format!("d8:completei{seeders}e");
        assert!(String::from_utf8_lossy(&answer.body).contains(&row), "{answer:?}");
    }
}

#[test]
fn bad_lines_are_named_and_the_others_are_in_force() {
    let text =
        format!("# torrents\n\n{}nonsense\n{} 2026-11-24 asked for\n", line(&OTHER), line(&LISTED).trim());
    let listed = Listed::start("-b", &text, &[]);
    listed.daemon.await_log_line("2 torrents");
    listed.daemon.await_log_line("line 4 (\"nonsense\")");
    let mut client = listed.client();
    assert_eq!([LISTED, OTHER].map(|hash| client.is_permitted(&hash, 6881)), [false, false]);
}

#[test]
fn it_does_not_start_with_a_list_that_it_cannot_read() {
    let directory =
        mkdtemp("/tmp/tracker-tests-XXXXXX").expect("the directory for temporary files can be written");
    let directory_name = directory.to_str().expect("the path is text");
    for path in ["/nowhere/list", directory_name] {
        let ended = Daemon::start_refused(&[LOOPBACK, &["-w", path]].concat());
        assert!(!ended.status.success(), "{ended:?}");
        assert!(ended.log.contains("access.whitelist") && ended.log.contains(path), "{}", ended.log);
    }
    std::fs::remove_dir(directory).expect("the directory is ours");
}

#[test]
fn it_does_not_start_with_two_lists() {
    for lists in [["-w", "one", "-b", "two"], ["-w", "one", "-w", "two"], ["-b", "one", "-b", "two"]] {
        let ended = Daemon::start_refused(&[LOOPBACK, &lists].concat());
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.log.contains("remove one of them"), "{}", ended.log);
    }
}

#[test]
fn refused_announces_are_logged_with_what_stands_behind_the_torrent_where_the_operator_wants_it() {
    let note = "2026-11-24 case 4711";
    let text = format!("{}{} {note}\n", line(&OTHER), line(&LISTED).trim());
    let listed = Listed::start("-b", &text, &["--set", "log.refused=true"]);
    let mut client = listed.client();
    assert!(!client.is_permitted(&LISTED, 6881));
    let expected = format!("refused {} to 127.0.0.1, on the blacklist: {note}", line(&LISTED).trim());
    listed.daemon.await_log_line(&expected);
    let seen_lines = listed.daemon.log_lines();
    // More than are written in a second, and of a torrent without a note.
    (0..100).for_each(|_| assert!(!client.is_permitted(&OTHER, 6881)));
    let expected = format!("refused {} to 127.0.0.1, on the blacklist", line(&OTHER).trim());
    assert!(listed.daemon.await_log_line_after(seen_lines, "refused").ends_with(&expected));
    listed.daemon.await_log_line_after(seen_lines, "more announces");
}

#[test]
fn a_denied_client_is_refused_over_udp_and_http_until_a_reload_allows_it() {
    let directory = TemporaryDirectory::new();
    let config = directory.path().join("opentracker.conf");
    // The peer id of the test's client begins so.
    std::fs::write(&config, "access.clients_deny -XX0001\naccess.clients_deny -YY\n").expect("it is ours");
    let daemon = Daemon::start(&[LOOPBACK, &["-f", config.to_str().expect("the path is text")]].concat());
    let mut client = UdpClient::new(daemon.udp_v4().ip(), daemon.udp_v4());
    let denied = AnnounceRequest::new(client.connect(), 6881);
    let allowed = AnnounceRequest { peer_id: *b"-XX0002-abcdefghijkl", ..denied.clone() };
    let reason = b"This client is not allowed on this tracker.";
    let error = [&[0, 0, 0, 3][..], &denied.transaction_id.to_be_bytes(), reason].concat();
    assert_eq!(client.ask(&denied.payload()), error);
    assert_eq!(client.announce(&allowed).leechers, 1);
    let hash = http::percent_encoded(&OTHER);
    let announce = |peer_id: &str| {
        let path = format!("/announce?info_hash={hash}&port=6881&left=0&peer_id={peer_id}");
        http::get(daemon.tcp_v4(), &path).body
    };
    assert!(
        announce("%2dYY0001-abcdefghijkl").starts_with(b"d14:failure reason43:This client is not allowed")
    );
    assert!(announce("-YX0001-abcdefghijkl").starts_with(b"d8:completei1e"));
    let stats = daemon.stats();
    assert_eq!((&stats["udp"]["client_denied"], &stats["http"]["client_denied"]), (&1.into(), &1.into()));
    std::fs::write(&config, "").expect("the directory is ours");
    let seen_lines = daemon.log_lines();
    daemon.signal(Signal::SIGHUP);
    daemon.await_log_line_after(seen_lines, "reloaded access.deny");
    assert_eq!(client.announce(&denied).leechers, 1);
}
