//! The load generator against the real daemon: what it counts is what the daemon counts, over loopback and as frames
//! through AF_XDP; and it sends nothing to others.

use serde_json::Value;
use std::net::UdpSocket;
use std::time::Duration;
use tracker_tests::daemon::Daemon;
use tracker_tests::load_generator;
use tracker_tests::netns::{End, Namespace};
use tracker_tests::skip::is_root_or_skipped;
use tracker_tests::temporary_directory::TemporaryDirectory;

const ENDS: [End<'_>; 2] =
    [End { name: "tracker", mac: "02:00:00:00:00:01" }, End { name: "client", mac: "02:00:00:00:00:02" }];

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// How many packets the daemon has ended with a verdict.
fn verdict(daemon: &Daemon, name: &str) -> u64 {
    count(&daemon.stats()["udp"][name])
}

#[test]
fn what_it_counts_is_what_the_daemon_counts() {
    let daemon = Daemon::start(&["-i", "127.0.0.1", "-P", "0", "-p", "0", "-i", "::1", "-P", "0"]);
    let (v4, v6) = (daemon.udp_v4(), daemon.udp_v6());
    let finished = load_generator::run(&format!(
        "run {v4} {v6} --json --rate 5000 --duration 0.4 --warm-up 0 --torrents 50 --peers 400 --fill --sources 3 \
         --connects 20 --announces 50 --scrapes 10 --forged 10 --stale 10 --ipv6-share 0.5 --timeout 5000"
    ));
    let [result] = finished.results()[..] else { panic!("{finished:?}") };
    assert_eq!(count(&result["lost"]), 0, "{result}");
    assert_eq!(result["answers"], result["requests"]);
    assert_eq!(count(&result["errors"]) + count(&result["broken_answers"]), 0, "{result}");
    assert!(count(&result["requests"]) > 1000, "{result}");
    assert!(result["latency_us"]["p50"].as_f64() > Some(0.0), "{result}");

    let kinds = &result["kinds"];
    assert_eq!(count(&kinds["forged"]["answered"]) + count(&kinds["stale"]["answered"]), 0, "{result}");
    // The warm-up took no time; beside the measurement there were the first connects and the 400 announces.
    assert_eq!(verdict(&daemon, "announce_answered"), count(&kinds["announce"]["sent"]) + 400);
    assert_eq!(verdict(&daemon, "scrape_answered"), count(&kinds["scrape"]["sent"]));
    assert_eq!(verdict(&daemon, "connect_answered"), count(&kinds["connect"]["sent"]) + 6);
    assert_eq!(verdict(&daemon, "connection_id_forged"), count(&kinds["forged"]["sent"]));
    assert_eq!(verdict(&daemon, "connection_id_stale"), count(&kinds["stale"]["sent"]));
    assert_eq!(count(&daemon.stats()["torrents"]), 50);
}

#[test]
fn a_sweep_measures_below_the_highest_rate_and_draws_it() {
    let daemon = Daemon::start(&["-i", "127.0.0.1", "-P", "0"]);
    let directory = TemporaryDirectory::new();
    let svg = directory.path().join("latency.svg");
    let finished = load_generator::run(&format!(
        "sweep {} --json --percent 5,10 --duration 0.2 --warm-up 0.1 --torrents 50 --peers 100 --svg {}",
        daemon.udp_v4(),
        svg.display()
    ));
    let results = finished.results();
    assert_eq!(results.len(), 3, "{finished:?}");
    assert!(results[0]["offered_per_sec"].is_null());
    let highest = results[0]["answers_per_sec"].as_f64().expect("a rate");
    for (result, share) in results[1..].iter().zip([0.05, 0.1]) {
        let offered = result["offered_per_sec"].as_f64().expect("a rate");
        assert!((offered - highest * share).abs() < 1e-6 * highest, "{result}");
    }
    let picture = std::fs::read_to_string(&svg).expect("a picture was drawn");
    assert_eq!(picture.matches("<polyline").count(), 3);
}

#[test]
fn others_are_not_sent_to_without_a_word() {
    if !is_root_or_skipped("the load generator in a network of its own") {
        return;
    }
    load_generator::path();
    let [here, there] = cable();
    let tracker = there.run(|| UdpSocket::bind("192.0.2.1:6969").expect("an address of its own"));
    for way in ["", " --interface client --next-hop 02:00:00:00:00:01"] {
        let finished = here.run(|| load_generator::run(&format!("run 192.0.2.1:6969 --duration 0.1{way}")));
        assert!(!finished.is_success);
        assert!(finished.errors.contains("--i-own-this-tracker"), "{finished:?}");
    }
    tracker.set_nonblocking(true).expect("a socket");
    let heard = tracker.recv(&mut [0; 100]).expect_err("nothing was sent");
    assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
    // With the word it is sent to: the check above can fail.
    tracker.set_nonblocking(false).expect("a socket");
    tracker.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let arguments = "run 192.0.2.1:6969 --i-own-this-tracker --duration 0.1 --timeout 10";
            here.run(|| load_generator::run(arguments))
        });
        assert_eq!(tracker.recv(&mut [0; 100]).expect("a connect came"), 16);
    });
}

/// The client's namespace and the tracker's.
fn cable() -> [Namespace; 2] {
    let (there, here) = (Namespace::new(), Namespace::new());
    there.join(&ENDS[0], &here, &ENDS[1]);
    there.add_address("tracker", "192.0.2.1".parse().expect("an address"), 24);
    there.add_address("tracker", "2001:db8::1".parse().expect("an address"), 64);
    here.add_address("client", "192.0.2.2".parse().expect("an address"), 24);
    there.ip("neighbour replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev tracker nud permanent");
    there.ip("neighbour replace 2001:db8::2 lladdr 02:00:00:00:00:02 dev tracker nud permanent");
    there.ip("route add 10.0.0.0/8 via 192.0.2.2");
    there.ip("-6 route add fd00::/16 via 2001:db8::2");
    [here, there]
}

#[test]
fn frames_of_many_sources_are_answered_through_af_xdp() {
    if !is_root_or_skipped("the load generator through AF_XDP") {
        return;
    }
    Daemon::build();
    load_generator::path();
    let [here, there] = cable();
    let start = || {
        there.ip("link set lo up");
        let arguments = ["-i", "192.0.2.1", "-P", "6969", "-p", "6969", "-i", "2001:db8::1", "-P", "6969"];
        Daemon::start(&[&arguments[..], &["--mode", "socket"]].concat())
    };
    let daemon = there.run(start);
    for attach in ["native", "generic"] {
        let finished = here.run(|| {
            load_generator::run(&format!(
                "run 192.0.2.1:6969 [2001:db8::1]:6969 --json --i-own-this-tracker --interface client --attach {attach} \
                 --next-hop 02:00:00:00:00:01 --source-network 10.0.0.0/8 --source-network fd00::/64 --sources 500 \
                 --rate 3000 --duration 0.4 --warm-up 0 --torrents 50 --peers 2000 --timeout 5000"
            ))
        });
        let [result] = finished.results()[..] else { panic!("{finished:?}") };
        assert_eq!(finished.events[0]["place"], if attach == "native" { "driver" } else { "generic" });
        assert_eq!(count(&result["lost"]), 0, "{attach}: {result}");
        assert_eq!(result["answers"], result["requests"], "{attach}: {result}");
        assert_eq!(count(&result["broken_answers"]), 0, "{attach}: {result}");
        assert!(count(&result["requests"]) > 500, "{attach}: {result}");
    }
    // Every source has connected, twice: the daemon has seen each of them, and nothing that was damaged.
    let connects = there.run(|| verdict(&daemon, "connect_answered"));
    assert!(connects >= 2 * 1000, "{connects}");
}

/// Packets that an interface has taken in.
fn received(host: &Namespace, interface: &str) -> u64 {
    let shown = host.ip_output(&format!("-json -stats link show dev {interface}"));
    let shown: Value = serde_json::from_str(&shown).expect("ip prints JSON");
    count(&shown[0]["stats64"]["rx"]["packets"])
}

#[test]
fn frames_leave_by_the_interface_that_is_named_for_it() {
    if !is_root_or_skipped("the load generator through AF_XDP") {
        return;
    }
    Daemon::build();
    load_generator::path();
    let [here, there] = cable();
    let second = End { name: "second", mac: "02:00:00:00:00:03" };
    there.join(&second, &here, &End { name: "wayout", mac: "02:00:00:00:00:04" });
    let daemon = there.run(|| {
        for interface in ["all", "second"] {
            let path = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
            std::fs::write(path, "0").expect("the namespace is ours");
        }
        Daemon::start(&["-i", "192.0.2.1", "-P", "6969", "-p", "6969", "--mode", "socket"])
    });
    let before = received(&there, "tracker");
    let finished = here.run(|| {
        load_generator::run(
            "run 192.0.2.1:6969 --json --i-own-this-tracker --interface client --send-through wayout \
             --next-hop 02:00:00:00:00:03 --source-network 10.0.0.0/8 --sources 100 --rate 3000 --duration 0.4 \
             --warm-up 0 --torrents 50 --peers 200 --timeout 5000",
        )
    });
    let [result] = finished.results()[..] else { panic!("{finished:?}") };
    assert_eq!((count(&result["lost"]), &result["answers"]), (0, &result["requests"]), "{result}");
    assert!(received(&there, "second") >= count(&result["requests"]), "{result}");
    // Nothing but the network's own chatter.
    assert!(received(&there, "tracker") - before < 100, "{result}");
    drop(daemon);
}
