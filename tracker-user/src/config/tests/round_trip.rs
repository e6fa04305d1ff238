//! A printed configuration reads back as itself, whatever it is; and no text makes a reader panic.

use super::{from_classic, from_toml};
use crate::config::print::as_toml;
use crate::config::types::{
    AccessConfig, BatchsyncConfig, Config, ControlConfig, CopyMode, HttpConfig, Listen, LivesyncConfig,
    LogLevel, Mode, NatsServer, SandboxMode, StateConfig, StoreConfig, SyncConfig, TrackerConfig, Transport,
    UdpConfig, XdpAttach, XdpConfig, XskConfig,
};
use crate::peer_store::Limits;
use crate::scrape_format::Format;
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{option, prop_assert_eq};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

fn ip() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|ip| ip.to_canonical())
}

/// UDP first, and no address twice.
fn listen() -> impl Strategy<Value = Vec<Listen>> {
    let one = (any::<bool>(), ip(), any::<u16>(), option::of(1..=1024_u16));
    let addresses = vec(one, 0..5).prop_map(|lines| {
        let line = |(is_udp, ip, port, workers): (bool, IpAddr, u16, Option<u16>)| Listen {
            transport: if is_udp { Transport::Udp } else { Transport::Tcp },
            address: SocketAddr::new(ip, port),
            udp_workers: workers.filter(|_| is_udp),
        };
        lines.into_iter().map(line).collect::<Vec<_>>()
    });
    addresses.prop_map(|mut listen| {
        listen.sort_by_key(|listen| (listen.transport == Transport::Tcp, listen.address));
        listen.dedup_by_key(|listen| (listen.transport == Transport::Tcp, listen.address));
        listen
    })
}

fn networks() -> impl Strategy<Value = Vec<IpNet>> {
    let network = (ip(), 0..=32_u8).prop_map(|(ip, bits)| IpNet::new(ip, bits).unwrap().trunc());
    vec(network, 0..4)
}

fn tracker() -> impl Strategy<Value = TrackerConfig> {
    let texts =
        (option::of("\\PC{1,20}"), option::of("\\PC{1,20}"), option::of("https?://[!-.0-~][!-~]{0,20}"));
    let numbers =
        (1_u32..=86_400, 1_u32..=604_800, 1_u32..=31_536_000, 0_u16..=2000, 1_u16..=2000, 0_u8..=90);
    let sandboxes = proptest::sample::select(vec![SandboxMode::Auto, SandboxMode::On, SandboxMode::Off]);
    (texts, numbers, sandboxes).prop_flat_map(|((user, rootdir, redirect_url), numbers, sandbox)| {
        let (interval_secs, timeout, torrent_timeout_secs, wanted, most, decoy_peers_percent) = numbers;
        (0..interval_secs).prop_map(move |interval_jitter_secs| TrackerConfig {
            user: user.clone(),
            rootdir: rootdir.clone().map(Into::into),
            sandbox,
            redirect_url: redirect_url.clone(),
            interval_secs,
            interval_jitter_secs,
            peer_timeout_secs: timeout.max(interval_secs + interval_jitter_secs + 1),
            torrent_timeout_secs,
            peers_wanted_default: wanted.min(most),
            peers_wanted_max: most,
            decoy_peers_percent,
            interval_stretch_max_percent: 100,
        })
    })
}

fn store() -> impl Strategy<Value = StoreConfig> {
    let memory = prop_oneof![Just(0), 16_u64 << 20..=1 << 46];
    let most = 0..=1_000_000_000_000_u64;
    let sources = (0..=65_535_u32, any::<u16>());
    (memory, most.clone(), most, sources, any::<bool>(), networks()).prop_map(
        |(max_memory_bytes, max_peers, max_torrents, sources, refuse_bogons, refuse_networks)| {
            let (torrents_per_source, ports_per_source) = sources;
            let limits =
                Limits { max_memory_bytes, max_peers, max_torrents, torrents_per_source, ports_per_source };
            StoreConfig { limits, refuse_bogons, refuse_networks }
        },
    )
}

fn access() -> impl Strategy<Value = AccessConfig> {
    let path = || option::of("\\PC{1,20}".prop_map(PathBuf::from));
    let lists = (path(), path(), path(), any::<bool>(), any::<bool>());
    let denied = (networks(), vec("[!-~]{1,20}", 0..3));
    (networks(), "[b-z][a-z0-9_~-]{10,20}", networks(), denied, lists).prop_map(
        |(stats, stats_path, proxy, (deny, clients_deny), lists)| {
            let (list, fifo_add, fifo_delete, is_whitelist, lists_apply_to_scrapes) = lists;
            // Without a list, there is nothing for them to change.
            let (fifo_add, fifo_delete) = if list.is_some() { (fifo_add, fifo_delete) } else { (None, None) };
            let (whitelist, blacklist) = if is_whitelist { (list, None) } else { (None, list) };
            AccessConfig {
                stats,
                stats_path,
                proxy,
                deny,
                clients_deny,
                whitelist,
                blacklist,
                fifo_add,
                fifo_delete,
                lists_apply_to_scrapes,
            }
        },
    )
}

fn udp() -> impl Strategy<Value = UdpConfig> {
    let key_file = option::of("\\PC{1,20}");
    (any::<bool>(), 0..=1_u32 << 30, 120..=1082_u32, 2284..=604_800_u32, key_file).prop_map(
        |(
            lenient,
            receive_buffer_bytes,
            connection_id_lifetime_secs,
            connection_id_rotation_secs,
            key_file,
        )| {
            UdpConfig {
                // With fewer workers than an address should have there would be a warning.
                workers: 1024,
                receive_buffer_bytes,
                interval_secs: 0,
                lenient,
                connection_id_lifetime_secs,
                connection_id_rotation_secs,
                connection_id_key_file: key_file.map(Into::into),
            }
        },
    )
}

fn xdp() -> impl Strategy<Value = XdpConfig> {
    let places = proptest::sample::select([XdpAttach::Auto, XdpAttach::Native, XdpAttach::Generic].to_vec());
    let interfaces = vec("[a-z]{1,15}", 0..3);
    let object = option::of("/[a-z]{1,9}").prop_map(|path| path.map(Into::into));
    let bounds = (0..=1_000_000_000_u32, 1..=1_000_000_000_u32);
    let modes = prop_oneof![Just(Mode::Auto), Just(Mode::Xdp), Just(Mode::Socket)];
    (modes, places, interfaces, object, any::<bool>(), bounds.clone(), bounds).prop_map(
        |(mode, attach, interface, object, pin, source, connects)| XdpConfig {
            mode,
            attach,
            interface,
            object,
            pin,
            source_packets_per_sec: source.0,
            source_burst_packets: source.1,
            connects_per_sec: connects.0,
            connect_burst: connects.1,
        },
    )
}

fn http() -> impl Strategy<Value = HttpConfig> {
    let full_scrapes = (any::<bool>(), 0..=86_400_u32, 1..=1024_u32);
    let numbers = (0..=1024_u16, 1..=1_u32 << 20, 1..=3600_u32, 1..=3600_u32, 8192..=1_u32 << 20);
    (numbers, full_scrapes).prop_map(|(numbers, full_scrapes)| {
        let (workers, max_connections, request_timeout_secs, response_timeout_secs, max_request_bytes) =
            numbers;
        let (full_scrape, full_scrape_interval_secs, full_scrapes_max) = full_scrapes;
        HttpConfig {
            workers,
            interval_secs: 0,
            max_connections,
            request_timeout_secs,
            response_timeout_secs,
            max_request_bytes,
            full_scrape,
            full_scrape_interval_secs,
            full_scrapes_max,
        }
    })
}

fn xsk() -> impl Strategy<Value = XskConfig> {
    let copy_modes = vec![CopyMode::Auto, CopyMode::ZeroCopy, CopyMode::Copy];
    let cpus = proptest::collection::vec(0..=1023_u16, 0..4);
    (
        proptest::sample::select(copy_modes),
        0..=10_000_u32,
        1..=1024_u16,
        6..=16_u32,
        0..=4096_u32,
        0..=256_u16,
        cpus,
    )
        .prop_map(
            |(zero_copy, busy_poll_micros, busy_poll_budget, ring_bits, transmit_budget, queues, cpus)| {
                let ring_size = 1 << ring_bits;
                XskConfig {
                    zero_copy,
                    busy_poll_micros,
                    busy_poll_budget,
                    ring_size,
                    transmit_budget,
                    queues,
                    cpus,
                }
            },
        )
}

fn state() -> impl Strategy<Value = StateConfig> {
    let path = |beginning| {
        option::of("\\PC{1,20}".prop_map(move |text| PathBuf::from(format!("{beginning}{text}"))))
    };
    let formats = Format::SCRAPES.into_iter().chain([Format::StateDump]).collect::<Vec<_>>();
    let export = (path("e"), proptest::sample::select(formats), 1..=86_400_u32);
    (path("l"), path("s"), 0..=86_400_u32, export).prop_map(
        |(load, snapshot, snapshot_interval_secs, (export, export_format, export_interval_secs))| {
            StateConfig {
                load,
                snapshot,
                snapshot_interval_secs,
                export,
                export_format,
                export_interval_secs,
            }
        },
    )
}

fn livesync() -> impl Strategy<Value = LivesyncConfig> {
    let groups = prop_oneof![Just("224.0.23.5"), Just("ff05::9696")];
    let key_file = "\\PC{1,20}".prop_map(|path| Some(PathBuf::from(path)));
    (groups, any::<u8>(), 1..=u16::MAX, networks(), 0..=60_000_u32, key_file).prop_map(
        |(group, host, port, node_ip, delay_ms, key_file)| {
            let group: IpAddr = group.parse().unwrap();
            let own = match group {
                IpAddr::V4(_) => IpAddr::from([192, 0, 2, host]),
                IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)]),
            };
            LivesyncConfig { listen: Some(SocketAddr::new(own, port)), node_ip, group, delay_ms, key_file }
        },
    )
}

fn sync() -> impl Strategy<Value = SyncConfig> {
    let path = || option::of("\\PC{1,20}".prop_map(PathBuf::from));
    let servers =
        vec("(nats|tls)://([a-z]{1,9}(:[!-~&&[^@/?#:%]]{1,9})?@)?[a-z]{1,9}(:[1-9][0-9]{0,3})?", 1..4);
    let numbers = (0..=10_000_u32, 1_u64 << 20..=1 << 46);
    let texts = ("[A-Za-z0-9_-]{1,64}", "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}");
    let files = (path(), path(), option::of(("\\PC{1,20}", "\\PC{1,20}")));
    (servers, texts, numbers, files).prop_map(|(servers, (site, subject), numbers, files)| {
        let (interval_ms, max_memory_bytes) = numbers;
        let (nats_credentials, nats_ca, pair) = files;
        let (nats_certificate, nats_key) = pair.map(|(one, other)| (one.into(), other.into())).unzip();
        let nats: Vec<NatsServer> = servers.iter().map(|server| server.parse().unwrap()).collect();
        // There is one way to log in.
        let nats_credentials =
            nats_credentials.filter(|_| nats.iter().all(|server| server.login().is_none()));
        let site = Some(site);
        SyncConfig {
            nats,
            site,
            subject,
            interval_ms,
            max_memory_bytes,
            nats_credentials,
            nats_ca,
            nats_certificate,
            nats_key,
        }
    })
}

fn config() -> impl Strategy<Value = Config> {
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];
    let log_level = proptest::sample::select(levels.to_vec());
    let log = (log_level, any::<bool>());
    let control = option::of("/\\PC{0,20}[a-z]".prop_map(PathBuf::from));
    let control = control.prop_map(|socket| ControlConfig { socket });
    let ways_in = (udp(), xdp(), xsk(), http(), (livesync(), sync()));
    let donors = vec((ip(), 1..=u16::MAX).prop_map(SocketAddr::from), 0..3);
    let batchsync = (networks(), donors, 1..=3600_u32);
    let batchsync = batchsync.prop_map(|(admin_ip, join, join_timeout_secs)| BatchsyncConfig {
        admin_ip,
        join,
        join_timeout_secs,
    });
    (listen(), (tracker(), store()), access(), ways_in, (state(), batchsync), control, log).prop_map(
        |(
            listen,
            (tracker, store),
            access,
            (udp, xdp, xsk, http, (livesync, sync)),
            (state, batchsync),
            control,
            (log_level, log_refused),
        )| Config {
            // Of loopback addresses alone there would be a warning.
            store: StoreConfig {
                refuse_bogons: store.refuse_bogons
                    && (listen.is_empty() || listen.iter().any(|listen| !listen.address.ip().is_loopback())),
                ..store
            },
            listen,
            tracker,
            access,
            udp,
            xdp,
            xsk,
            http,
            livesync,
            sync,
            control,
            batchsync,
            log_level,
            // At another level there would be a warning.
            log_refused: log_refused && matches!(log_level, LogLevel::Info | LogLevel::Debug),
            state,
        },
    )
}

proptest! {
    #[test]
    fn a_printed_configuration_reads_back_as_itself(config in config()) {
        let (read_back, findings) = from_toml(&as_toml(&config));
        prop_assert_eq!(findings, Vec::<String>::new());
        prop_assert_eq!(read_back, config);
    }

    #[test]
    fn no_text_makes_a_reader_panic(
        text in "([a-z_.]{0,9}|tracker|listen|udp|workers|[\\[\\]={}\"#\n ]|[0-9:.]{1,5}|\\PC){0,40}",
    ) {
        from_classic(&text);
        from_toml(&text);
    }
}
