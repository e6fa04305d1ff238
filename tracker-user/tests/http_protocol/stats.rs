//! Statistics: every mode over HTTP, in both forms, after the same announces.

use crate::client::Response;
use crate::server::Server;
use serde_json::{Value, json};

const MODES: [&str; 19] = [
    "peer",
    "conn",
    "scrp",
    "udp4",
    "tcp4",
    "fscr",
    "torr",
    "completed",
    "syncs",
    "herr",
    "renew",
    "top10",
    "top100",
    "s24s",
    "busy",
    "woodpeckers",
    "numwants",
    "version",
    "everything",
];

/// A server to which three peers have announced two torrents: one of them three times, with its download finished at last.
fn announced() -> Server {
    let server = Server::start_behind_proxy();
    for (client, query) in [
        ("192.0.2.17", "info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=1&numwant=7&event=started"),
        ("192.0.2.17", "info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=1&numwant=999"),
        ("192.0.2.17", "info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=0&event=completed"),
        ("198.51.100.1", "info_hash=aaaaaaaaaaaaaaaaaaaa&port=2&left=0"),
        ("2001:db8::1", "info_hash=bbbbbbbbbbbbbbbbbbbb&port=3&left=1&numwant=0"),
    ] {
        server.get_from(client, &format!("/announce?{query}")).dictionary();
    }
    server
}

/// A page, or what a walk has found, whose length is not known beforehand.
fn ask(server: &Server, query: &str) -> Response {
    if !["mode=top", "mode=s24s"].iter().any(|walk| query.starts_with(walk)) {
        return server.get(&format!("/stats?{query}"));
    }
    let mut client = server.connect();
    client.send(format!("GET /stats?{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"));
    client.streamed()
}

fn text(server: &Server, mode: &str) -> String {
    let response = ask(server, &format!("mode={mode}"));
    assert_eq!((response.status(), response.header("content-type")), (200, Some("text/plain")), "{mode}");
    String::from_utf8(response.body).unwrap()
}

fn json(server: &Server, mode: &str) -> Value {
    let response = ask(server, &format!("mode={mode}&format=json"));
    assert_eq!(
        (response.status(), response.header("content-type")),
        (200, Some("application/json")),
        "{mode}"
    );
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn every_mode_is_served_as_text_and_as_json() {
    let server = announced();
    for mode in MODES {
        assert!(!text(&server, mode).is_empty(), "{mode}");
        assert!(json(&server, mode).as_object().is_some_and(|object| !object.is_empty()), "{mode}");
    }
}

#[test]
fn announces_count_in_every_table_that_they_belong_to() {
    let server = announced();
    assert_eq!(text(&server, "peer"), "3\n2\nopentracker serving 2 torrents\nopentracker");
    assert!(text(&server, "completed").starts_with("1\n0\n"));
    let renewed = text(&server, "renew");
    assert_eq!((renewed.lines().next(), renewed.lines().nth(1)), (Some("00 2"), Some("01 0")));
    let wanted = text(&server, "numwants");
    let lines = [0, 7, 50, 200].map(|number| wanted.lines().nth(number).unwrap());
    assert_eq!(lines, ["000 => 1", "007 => 1", "050 => 2", "200 => 1"]);
    let busy = "Networks, limit /28:\n00000003: 192.0.2.16\n00000001: 198.51.100.0\n\nNetworks, limit /24:\n\
                00000003: 192.0.2.0\n00000001: 198.51.100.0\n\nNetworks, limit /48:\n00000001: 2001:db8::\n\n";
    assert_eq!(text(&server, "busy"), busy);
    assert_eq!(text(&server, "s24s"), busy.replace("00000003", "00000001"));
    assert_eq!(text(&server, "woodpeckers"), "Networks, limit /28:\n\n");
    let [a, b] = ["61", "62"].map(|digits| digits.repeat(20));
    let top = format!(
        "Top 10 torrents by peers:\n\t2\t{a}\n\t1\t{b}\nTop 10 torrents by seeds:\n\t2\t{a}\n\
         Top 10 torrents by leechers:\n\t1\t{b}\n"
    );
    assert_eq!(text(&server, "top10"), top);
    assert_eq!(text(&server, "top100"), top.replace("Top 10 ", "Top 100 "));
}

#[test]
fn json_has_the_numbers_of_the_text_by_name() {
    let server = announced();
    assert_eq!(json(&server, "peer"), json!({ "peers": 3, "seeders": 2, "torrents": 2 }));
    assert_eq!(json(&server, "completed")["completed"], 1);
    assert_eq!(json(&server, "renew")["by_minutes"][0], 2);
    assert_eq!(json(&server, "numwants")["by_number"][200], 1);
    assert_eq!(
        json(&server, "busy")["tables"][0]["networks"][0],
        json!({ "first_address": "192.0.2.16", "count": 3 })
    );
    assert_eq!(json(&server, "top10")["seeds"], json!([{ "info_hash": "61".repeat(20), "count": 2 }]));
    // Five announces, and the requests for statistics before this one.
    assert_eq!(
        (&json(&server, "tcp4")["successes"], &json(&server, "tcp4")["connections"]),
        (&json!(5), &json!(13))
    );
    let everything = json(&server, "everything");
    assert_eq!(everything["completed_since_start"], 1);
    assert_eq!(everything["renewed"]["by_minutes"][0], 2);
    assert_eq!(everything["busy_networks"][1]["networks"][0]["count"], 3);
}

#[test]
fn the_kinds_of_refusals_are_told_apart() {
    let server = Server::start_with(|config| {
        config.tracker.redirect_url = Some("https://tracker.example/".to_owned())
    });
    for (target, times) in
        [("/", 1), ("/announce?port=1", 2), ("/favicon.ico", 3), ("/stats?mode=nonsense", 4)]
    {
        for _ in 0..times {
            server.get(target);
        }
    }
    let expected = "302 RED 1\n400 ... 0\n400 PAR 6\n400 COM 0\n403 IP  0\n404 INV 3\n500 SRV 0\n";
    assert_eq!(text(&server, "herr"), expected);
}
