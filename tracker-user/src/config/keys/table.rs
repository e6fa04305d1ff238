//! The entries of the table of settings, in the order in which they are documented and printed.

use super::{Kind, Setting, Shown};
use crate::config::draft::Draft;
use crate::config::types::{AccessConfig, Config, CopyMode, LogLevel, Transport, XdpAttach};
use crate::config::values;
use ipnet::IpNet;
use std::path::{Path, PathBuf};

/// A day: clients that hear of a longer interval give the tracker up.
const MAX_INTERVAL_SECS: u64 = 86_400;
/// A week.
const MAX_PEER_TIMEOUT_SECS: u64 = 604_800;
/// A year.
const MAX_TORRENT_TIMEOUT_SECS: u64 = 31_536_000;
/// 63 slots of 2^34 ns are 1,082.3 s; see `tracker_common::connection_id::MAX_LIFETIME_SLOTS`.
const MAX_CONNECTION_ID_LIFETIME_SECS: u64 = 1082;

/// The cores that a set of them has room for.
const MAX_CPU: u16 = 1023;

/// Every setting.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "listen.tcp_udp",
        doc: "An address for both HTTP and UDP; repeatable; with no listen line: port 6969 of all addresses.",
        kind: Kind::Listen,
        example: "0.0.0.0:6969",
        set: |draft, value| {
            let address = values::socket_address(value)?;
            draft.listen(Transport::Tcp, address);
            draft.listen(Transport::Udp, address);
            Ok(())
        },
        show: |_| Shown::Listen(Vec::new()),
    },
    Setting {
        name: "listen.tcp",
        doc: "An address for HTTP alone; repeatable; port 6969 if it names none, a free one for port 0.",
        kind: Kind::Listen,
        example: "192.0.2.1:80",
        set: |draft, value| listen(draft, Transport::Tcp, value),
        show: |config| listening(config, Transport::Tcp),
    },
    Setting {
        name: "listen.udp.workers",
        doc: "How many workers share each of the UDP addresses that follow; without it, all do.",
        kind: Kind::ForNextListen,
        example: "4",
        set: |draft, value| {
            store(&mut draft.udp_workers_of_next, values::workers_of_one_address(value).map(Some))
        },
        show: |_| Shown::Unset,
    },
    Setting {
        name: "listen.udp",
        doc: "An address for UDP alone; repeatable; port 6969 if it names none, a free one for port 0.",
        kind: Kind::Listen,
        example: "[2001:db8::1]:6969",
        set: |draft, value| listen(draft, Transport::Udp, value),
        show: |config| listening(config, Transport::Udp),
    },
    Setting {
        name: "tracker.user",
        doc: "The user to become once ports are bound; started as root it is nobody, unless this says root.",
        kind: Kind::Text,
        example: "nobody",
        set: |draft, value| store(&mut draft.config.tracker.user, values::text(value, "a user").map(Some)),
        show: |config| optional(config.tracker.user.clone()),
    },
    Setting {
        name: "tracker.rootdir",
        doc: "The directory to lock the tracker into (started as root) or to change to, once ports are bound.",
        kind: Kind::Text,
        example: "/var/lib/opentracker",
        set: |draft, value| {
            let path = values::text(value, "a directory").map(|path| Some(path.into()));
            store(&mut draft.config.tracker.rootdir, path)
        },
        show: |config| optional(config.tracker.rootdir.as_ref().map(|path| path.to_string_lossy().into())),
    },
    Setting {
        name: "tracker.redirect_url",
        doc: "Where a browser that opens the tracker's root page is sent; without it, it gets a 404.",
        kind: Kind::Text,
        example: "https://tracker.example/",
        set: |draft, value| {
            store(&mut draft.config.tracker.redirect_url, values::redirect_url(value).map(Some))
        },
        show: |config| optional(config.tracker.redirect_url.clone()),
    },
    Setting {
        name: "tracker.interval_secs",
        doc: "Seconds after which a client should announce again: longer is less load and staler peers.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.interval_secs, seconds(value, 1, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.tracker.interval_secs),
    },
    Setting {
        name: "tracker.interval_jitter_secs",
        doc: "The most seconds added to or taken off an interval at random, so that clients spread out.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.interval_jitter_secs, seconds(value, 0, MAX_INTERVAL_SECS))
        },
        show: |config| number(config.tracker.interval_jitter_secs),
    },
    Setting {
        name: "tracker.peer_timeout_secs",
        doc: "Seconds after its last announce when a peer is forgotten; longer than any interval.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.peer_timeout_secs, seconds(value, 1, MAX_PEER_TIMEOUT_SECS))
        },
        show: |config| number(config.tracker.peer_timeout_secs),
    },
    Setting {
        name: "tracker.torrent_timeout_secs",
        doc: "Seconds after its last announce when a torrent without peers loses its completed count.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.tracker.torrent_timeout_secs, seconds(value, 1, MAX_TORRENT_TIMEOUT_SECS))
        },
        show: |config| number(config.tracker.torrent_timeout_secs),
    },
    Setting {
        name: "tracker.peers_wanted_default",
        doc: "Peers in an answer to a client that does not say how many it wants.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.tracker.peers_wanted_default, peers(value, 0)),
        show: |config| number(config.tracker.peers_wanted_default),
    },
    Setting {
        name: "tracker.peers_wanted_max",
        doc: "The most peers in an answer; over UDP also no more than one packet holds.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.tracker.peers_wanted_max, peers(value, 1)),
        show: |config| number(config.tracker.peers_wanted_max),
    },
    Setting {
        name: "access.stats",
        doc: "A network that may read the statistics; repeatable; without it, everyone may.",
        kind: Kind::List,
        example: "192.0.2.0/24",
        set: |draft, value| {
            draft.config.access.stats.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.stats),
    },
    Setting {
        name: "access.stats_path",
        doc: "The path of the statistics; an unguessable one hides them.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.access.stats_path, values::stats_path(value)),
        show: |config| Shown::Text(config.access.stats_path.clone()),
    },
    Setting {
        name: "access.proxy",
        doc: "A network of proxies whose X-Forwarded-For is believed; repeatable; anyone there can pose as anyone.",
        kind: Kind::List,
        example: "192.0.2.7",
        set: |draft, value| {
            draft.config.access.proxy.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.proxy),
    },
    Setting {
        name: "access.deny",
        doc: "A network that is not served, over UDP or HTTP; repeatable; the kernel drops its packets where XDP runs.",
        kind: Kind::List,
        example: "203.0.113.0/24",
        set: |draft, value| {
            draft.config.access.deny.push(values::network(value)?);
            Ok(())
        },
        show: |config| networks(&config.access.deny),
    },
    Setting {
        name: "access.clients_deny",
        doc: "What the peer id of a client begins with that is not served, as -XL or -AZ2060-; repeatable.",
        kind: Kind::List,
        example: "-XL",
        set: |draft, value| {
            draft.config.access.clients_deny.push(values::peer_id_prefix(value)?);
            Ok(())
        },
        show: |config| Shown::List(config.access.clients_deny.clone()),
    },
    Setting {
        name: "access.whitelist",
        doc: "A file of the torrents that are served, and no others: 40 hexadecimal digits a line.",
        kind: Kind::Text,
        example: "whitelist.txt",
        set: |draft, value| list_file(draft, value, "access.whitelist", |access| &mut access.whitelist),
        show: |config| path(config.access.whitelist.as_deref()),
    },
    Setting {
        name: "access.blacklist",
        doc: "A file of the torrents that are not served; instead of a whitelist, not beside it.",
        kind: Kind::Text,
        example: "blacklist.txt",
        set: |draft, value| list_file(draft, value, "access.blacklist", |access| &mut access.blacklist),
        show: |config| path(config.access.blacklist.as_deref()),
    },
    Setting {
        name: "access.fifo_add",
        doc: "A FIFO that takes lines of a list while the tracker runs, and puts their torrents on it.",
        kind: Kind::Text,
        example: "add.fifo",
        set: |draft, value| list_file(draft, value, "access.fifo_add", |access| &mut access.fifo_add),
        show: |config| path(config.access.fifo_add.as_deref()),
    },
    Setting {
        name: "access.fifo_delete",
        doc: "A FIFO that takes lines of a list while the tracker runs, and takes their torrents off it.",
        kind: Kind::Text,
        example: "delete.fifo",
        set: |draft, value| list_file(draft, value, "access.fifo_delete", |access| &mut access.fifo_delete),
        show: |config| path(config.access.fifo_delete.as_deref()),
    },
    Setting {
        name: "access.lists_apply_to_scrapes",
        doc: "Whether scrapes, too, know nothing of a torrent that is not served.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.access.lists_apply_to_scrapes, values::switch(value)),
        show: |config| Shown::Switch(config.access.lists_apply_to_scrapes),
    },
    Setting {
        name: "udp.workers",
        doc: "Threads that answer UDP; 0 for one per core.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.udp.workers, workers(value)),
        show: |config| number(config.udp.workers),
    },
    Setting {
        name: "udp.receive_buffer_bytes",
        doc: "Room for packets that wait for a worker (SO_RCVBUF of each socket); 0 for the kernel's default.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.udp.receive_buffer_bytes, values::number(value, "bytes", 0..=1 << 30))
        },
        show: |config| number(config.udp.receive_buffer_bytes),
    },
    Setting {
        name: "udp.lenient",
        doc: "Whether a wrong connection id is answered with an error: for debugging, as its source may be forged.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.udp.lenient, values::switch(value)),
        show: |config| Shown::Switch(config.udp.lenient),
    },
    Setting {
        name: "udp.connection_id_lifetime_secs",
        doc: "Seconds for which a connection id holds: some clients keep one for over five minutes.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            let lifetime = seconds(value, 1, MAX_CONNECTION_ID_LIFETIME_SECS);
            store(&mut draft.config.udp.connection_id_lifetime_secs, lifetime)
        },
        show: |config| number(config.udp.connection_id_lifetime_secs),
    },
    Setting {
        name: "udp.connection_id_rotation_secs",
        doc: "Seconds between new keys of the connection ids; at least the lifetime of an id.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.udp.connection_id_rotation_secs, seconds(value, 1, 604_800))
        },
        show: |config| number(config.udp.connection_id_rotation_secs),
    },
    Setting {
        name: "xdp.mode",
        doc: "How packets come in: auto (the best that this host offers), xsk (AF_XDP) or xdp (or no start), socket.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.mode, values::mode(value)),
        show: |config| Shown::Text(config.xdp.mode.name().to_owned()),
    },
    Setting {
        name: "xdp.interface",
        doc: "An interface to attach to; repeatable; without it, all that carry a listen address, except loopback.",
        kind: Kind::List,
        example: "eth0",
        set: |draft, value| {
            draft.config.xdp.interface.push(values::text(value, "an interface")?);
            Ok(())
        },
        show: |config| Shown::List(config.xdp.interface.clone()),
    },
    Setting {
        name: "xdp.attach",
        doc: "Where the XDP program runs: native (in the driver), generic, or auto (native where it works).",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.attach, values::xdp_attach(value)),
        show: |config| Shown::Text(xdp_attach_name(config.xdp.attach).to_owned()),
    },
    Setting {
        name: "xdp.object",
        doc: "An XDP program to load instead of the one that is built in.",
        kind: Kind::Text,
        example: "/usr/lib/opentracker-xdp/tracker-ebpf",
        set: |draft, value| {
            let path = values::text(value, "a file").map(|path| Some(path.into()));
            store(&mut draft.config.xdp.object, path)
        },
        show: |config| optional(config.xdp.object.as_ref().map(|path| path.to_string_lossy().into())),
    },
    Setting {
        name: "xdp.pin",
        doc: "Whether the program stays attached when the tracker ends, for the next to take over without a gap.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.pin, values::switch(value)),
        show: |config| Shown::Switch(config.xdp.pin),
    },
    Setting {
        name: "xdp.source_packets_per_sec",
        doc: "Proven packets per second from one IPv4 address or IPv6 /64, in the kernel; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.source_packets_per_sec, packets(value, 0)),
        show: |config| number(config.xdp.source_packets_per_sec),
    },
    Setting {
        name: "xdp.source_burst_packets",
        doc: "Proven packets that one source may send at once: clients behind one address come in crowds.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.source_burst_packets, packets(value, 1)),
        show: |config| number(config.xdp.source_burst_packets),
    },
    Setting {
        name: "xdp.connects_per_sec",
        doc: "Connects per second that are answered, of all sources together; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.connects_per_sec, packets(value, 0)),
        show: |config| number(config.xdp.connects_per_sec),
    },
    Setting {
        name: "xdp.connect_burst",
        doc: "Connects of all sources together that are answered at once, where they are bounded.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xdp.connect_burst, packets(value, 1)),
        show: |config| number(config.xdp.connect_burst),
    },
    Setting {
        name: "xsk.zero_copy",
        doc: "Whether the card writes packets into the tracker's memory: auto (where it can), on (or no start), off.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.zero_copy, values::zero_copy(value)),
        show: |config| Shown::Text(zero_copy_name(config.xsk.zero_copy).to_owned()),
    },
    Setting {
        name: "xsk.busy_poll",
        doc: "Microseconds for which a thread polls its queue of the card instead of interrupts; 0 for interrupts.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.busy_poll_micros, values::number(value, "microseconds", 0..=10_000))
        },
        show: |config| number(config.xsk.busy_poll_micros),
    },
    Setting {
        name: "xsk.busy_poll_budget",
        doc: "Packets that one look into the queue takes in at most, with xsk.busy_poll.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.busy_poll_budget, values::number(value, "packets", 1..=1024))
        },
        show: |config| number(config.xsk.busy_poll_budget),
    },
    Setting {
        name: "xsk.ring_size",
        doc: "Packets that a queue's ring holds, a power of two; each takes 4 KiB of memory, for both ways.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.ring_size, values::ring_size(value)),
        show: |config| number(config.xsk.ring_size),
    },
    Setting {
        name: "xsk.tx_budget",
        doc: "Packets that one system call sends at most without zero-copy (Linux 6.17); 0 for the kernel's own.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.xsk.transmit_budget, values::number(value, "packets", 0..=4096))
        },
        show: |config| number(config.xsk.transmit_budget),
    },
    Setting {
        name: "xsk.queues",
        doc: "Receive queues of each interface that AF_XDP serves, from the first; 0 for all.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.xsk.queues, values::number(value, "queues", 0..=256)),
        show: |config| number(config.xsk.queues),
    },
    Setting {
        name: "xsk.cpus",
        doc: "A core for the thread of the next queue; repeatable; without it, the cores that the tracker may use.",
        kind: Kind::List,
        example: "2",
        set: |draft, value| {
            draft.config.xsk.cpus.push(values::number(value, "a core", 0..=u64::from(MAX_CPU))?);
            Ok(())
        },
        show: |config| Shown::List(config.xsk.cpus.iter().map(ToString::to_string).collect()),
    },
    Setting {
        name: "http.workers",
        doc: "Threads that answer HTTP; 0 for one per core.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.workers, workers(value)),
        show: |config| number(config.http.workers),
    },
    Setting {
        name: "http.max_connections",
        doc: "Connections open at a time; one more closes the oldest.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.max_connections, values::number(value, "connections", 1..=1 << 20))
        },
        show: |config| number(config.http.max_connections),
    },
    Setting {
        name: "http.request_timeout_secs",
        doc: "Seconds for a whole request to arrive, and for an open connection to send the next one.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.request_timeout_secs, seconds(value, 1, 3600)),
        show: |config| number(config.http.request_timeout_secs),
    },
    Setting {
        name: "http.response_timeout_secs",
        doc: "Seconds for a client to take some bytes of an answer before it is cut off.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| store(&mut draft.config.http.response_timeout_secs, seconds(value, 1, 3600)),
        show: |config| number(config.http.response_timeout_secs),
    },
    Setting {
        name: "http.max_request_bytes",
        doc: "The most bytes of a request line and its headers.",
        kind: Kind::Number,
        example: "",
        // hyper's buffer cannot be smaller.
        set: |draft, value| {
            store(&mut draft.config.http.max_request_bytes, values::number(value, "bytes", 8192..=1 << 20))
        },
        show: |config| number(config.http.max_request_bytes),
    },
    Setting {
        name: "http.full_scrape",
        doc: "Whether a list of all torrents is served, to whoever may read the statistics.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.http.full_scrape, values::switch(value)),
        show: |config| Shown::Switch(config.http.full_scrape),
    },
    Setting {
        name: "http.full_scrape_interval_secs",
        doc: "Seconds from one full scrape to the next of the same IPv4 address or IPv6 /64; 0 for no bound.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.full_scrape_interval_secs, seconds(value, 0, 86_400))
        },
        show: |config| number(config.http.full_scrape_interval_secs),
    },
    Setting {
        name: "http.full_scrapes_max",
        doc: "Full scrapes that are sent at a time; one more is told to come back.",
        kind: Kind::Number,
        example: "",
        set: |draft, value| {
            store(&mut draft.config.http.full_scrapes_max, values::number(value, "full scrapes", 1..=1024))
        },
        show: |config| number(config.http.full_scrapes_max),
    },
    Setting {
        name: "state.load",
        doc: "A file that the statistics gave with mode=statedump, for the counts of downloads; read at the start.",
        kind: Kind::Text,
        example: "statedump.txt",
        set: |draft, value| {
            let path = values::text(value, "a file").map(|path| Some(path.into()));
            store(&mut draft.config.state_load, path)
        },
        show: |config| path(config.state_load.as_deref()),
    },
    Setting {
        name: "log.level",
        doc: "How much is written to standard error: error, warn, info or debug.",
        kind: Kind::Text,
        example: "",
        set: |draft, value| store(&mut draft.config.log_level, values::log_level(value)),
        show: |config| Shown::Text(log_level_name(config.log_level).to_owned()),
    },
    Setting {
        name: "log.refused",
        doc: "Whether announces that a list refuses are written as well, with the note behind the torrent; ten a second.",
        kind: Kind::Switch,
        example: "",
        set: |draft, value| store(&mut draft.config.log_refused, values::switch(value)),
        show: |config| Shown::Switch(config.log_refused),
    },
];

fn store<T>(setting: &mut T, parsed: Result<T, String>) -> Result<(), String> {
    *setting = parsed?;
    Ok(())
}

/// Of two lists only one could be in force, and of two FIFOs one be read, so no other replaces the first.
fn list_file(
    draft: &mut Draft,
    value: &str,
    name: &str,
    list: fn(&mut AccessConfig) -> &mut Option<PathBuf>,
) -> Result<(), String> {
    let path = values::text(value, "a file")?;
    let earlier = draft.place_of(name).cloned();
    let list = list(&mut draft.config.access);
    match (list.as_ref(), earlier) {
        (Some(first), Some(place)) => {
            let first = first.display();
            Err(format!("{first:?} is given before ({place}), and there can be one; remove one of them"))
        }
        _ => {
            *list = Some(path.into());
            Ok(())
        }
    }
}

fn seconds(text: &str, least: u64, most: u64) -> Result<u32, String> {
    values::number(text, "seconds", least..=most)
}

fn peers(text: &str, least: u64) -> Result<u16, String> {
    values::number(text, "peers", least..=2000)
}

fn packets(text: &str, least: u64) -> Result<u32, String> {
    values::number(text, "packets", least..=1_000_000_000)
}

fn workers(text: &str) -> Result<u16, String> {
    values::number(text, "workers", 0..=1024)
}

fn listen(draft: &mut Draft, transport: Transport, value: &str) -> Result<(), String> {
    draft.listen(transport, values::socket_address(value)?);
    Ok(())
}

fn listening(config: &Config, transport: Transport) -> Shown {
    let of_transport = config.listen.iter().filter(|listen| listen.transport == transport);
    Shown::Listen(of_transport.map(|listen| (listen.address.to_string(), listen.udp_workers)).collect())
}

fn number(value: impl Into<u64>) -> Shown {
    Shown::Number(value.into())
}

fn optional(value: Option<String>) -> Shown {
    value.map_or(Shown::Unset, Shown::Text)
}

fn path(path: Option<&Path>) -> Shown {
    optional(path.map(|path| path.to_string_lossy().into()))
}

fn networks(networks: &[IpNet]) -> Shown {
    Shown::List(networks.iter().map(ToString::to_string).collect())
}

fn xdp_attach_name(attach: XdpAttach) -> &'static str {
    match attach {
        XdpAttach::Auto => "auto",
        XdpAttach::Native => "native",
        XdpAttach::Generic => "generic",
    }
}

fn zero_copy_name(copy_mode: CopyMode) -> &'static str {
    match copy_mode {
        CopyMode::Auto => "auto",
        CopyMode::ZeroCopy => "on",
        CopyMode::Copy => "off",
    }
}

fn log_level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}
