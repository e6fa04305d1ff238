//! The XDP program in the life of the daemon: loaded, told what it may answer, attached, watched, detached.
//!
//! Packets never come through here. What the program needs to know reaches it through its maps; it goes on without
//! this module, but for the sign of life that it needs every few seconds.

mod attach;
mod back_off;
mod control_map;
mod interfaces;
mod link_info;
mod listeners;
mod object;
mod queues;
mod xsks;

pub use attach::AttachError;
pub use interfaces::ChangeWatch;
pub use object::ObjectError;
pub use xsks::{InterfaceNews, OpenedQueue, QueueEnd, SocketId};

use crate::clock::Now;
use crate::config::types::{Config, Mode, Transport, XdpConfig};
use crate::ingress::xsk::XskError;
use attach::{Attached, PIN_DIRECTORY, Pin, attach};
use aya::maps::lpm_trie::Key as Prefix;
use aya::maps::{Array, LpmTrie, Map, MapData, MapError, PerCpuArray};
use aya::programs::Xdp as Program;
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use control_map::{Budget, ControlMap};
use interfaces::Interface;
use ipnet::{IpNet, Ipv4Net};
use listeners::Buckets;
use log::Log;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use thiserror::Error as ErrorMessage;
use tracker_common::abi::{
    self, Counter, FLAG_BLOCKED, FLAG_LENIENT, LISTENERS_PER_BUCKET, ListenBucket, NETWORK_BLOCKED,
    NETWORK_SERVED, map,
};
use tracker_common::connection_id::Keys;
use tracker_common::verdict::Verdict;
use xsks::Xsks;

/// Why there is no program in front of the sockets.
#[derive(Debug, ErrorMessage)]
pub enum XdpError {
    /// No object, or not one of ours.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The kernel does not take the object.
    #[error(
        "the kernel refuses the XDP program: {0}; it needs root, or CAP_BPF with CAP_NET_ADMIN, and Linux 5.18"
    )]
    Load(String),
    /// A map of the object is missing or of another kind.
    #[error("the XDP program has no map {0}: build it again with `cargo xtask build-ebpf`")]
    Map(&'static str),
    /// A map could not be written or read.
    #[error("a map of the XDP program cannot be accessed: {0}")]
    Write(#[from] MapError),
    /// The host's interfaces could not be read, or the program's memory not be mapped.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// No interface could be served.
    #[error("no interface to attach to: {0}")]
    NoInterface(String),
    /// An interface has no AF_XDP.
    #[error("interface {0} has no AF_XDP: {1}")]
    Xsk(String, XskError),
    /// An interface that was asked for could not be served.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// Whether an interface without the program is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insistence {
    /// The operator asked for XDP by name.
    Required,
    /// Sockets serve what the program does not.
    BestEffort,
}

/// The program, loaded and attached. Detaches when it is dropped, unless it was pinned.
pub struct Xdp {
    ebpf: Ebpf,
    /// Only of a program that was built to log.
    logger: Option<EbpfLogger<&'static dyn Log>>,
    control: ControlMap,
    /// Where this daemon pins its keys: tells others that it lives.
    keys_claim: Option<UnixDatagram>,
    /// Kept for its descriptor: a pinned map must be there to be unpinned.
    control_map: MapData,
    listeners: Array<MapData, [[u64; 4]; LISTENERS_PER_BUCKET]>,
    counters: PerCpuArray<MapData, [u64; 2]>,
    blocked: LpmTrie<MapData, [u8; 16], u32>,
    /// Where AF_XDP is wanted.
    xsks: Option<Xsks>,
    buckets: Buckets,
    denied: BTreeSet<IpNet>,
    attached: Vec<Attached>,
    /// Interfaces that could not be had, with the reason, which is logged once.
    refused: BTreeMap<String, String>,
    bound: Vec<(Transport, SocketAddr)>,
    is_xsk_required: bool,
    config: XdpConfig,
    lenient: bool,
}

impl Xdp {
    /// Whether there is a program to load: built in, or the one that the configuration names.
    pub fn is_available(config: &Config) -> bool {
        object::find(config.xdp.object.as_deref()).is_ok_and(|object| object::check_abi(&object).is_ok())
    }

    /// Whether the program may have something to do, now or when an interface comes: interfaces are named, or more than
    /// loopback is listened on.
    pub fn may_be_of_use(config: &Config, bound: &[(Transport, SocketAddr)]) -> bool {
        let reaches_out = |(transport, socket): &(Transport, SocketAddr)| {
            *transport == Transport::Udp && !socket.ip().is_loopback()
        };
        !config.xdp.interface.is_empty() || bound.iter().any(reaches_out)
    }

    /// Warns of programs that an earlier daemon has left attached, where this one does not take them over: for some
    /// seconds more they answer connects with keys that this daemon does not have.
    pub fn warn_of_those_left_behind() {
        for path in attach::left_behind() {
            let path = path.display();
            log::warn!(
                "an XDP program that --xdp-pin left attached is not taken over; remove it with `rm {path}`"
            );
        }
    }

    /// Loads the program. It is attached by [`Self::refresh`], once it has been told everything.
    ///
    /// # Errors
    /// Where there is no object, or the kernel does not take it.
    pub fn load(config: &Config, bound: &[(Transport, SocketAddr)]) -> Result<Self, XdpError> {
        let object = object::find(config.xdp.object.as_deref())?;
        object::check_abi(&object)?;
        // Read from /sys once and remembered for this thread: after a chroot the counters could not be read.
        let _ = aya::util::nr_cpus();
        let mut ebpf = EbpfLoader::new().load(&object).map_err(|error| refused_by_kernel(&error))?;
        let program: &mut Program = program(&mut ebpf)?;
        program.load().map_err(|error| refused_by_kernel(&error))?;

        let mut blocked: LpmTrie<MapData, [u8; 16], u32> = take(&mut ebpf, map::BLOCKED)?;
        // An IPv6 network that covers the mapped addresses means IPv6 alone: IPv4 has an entry of its own.
        blocked.insert(&EVERY_IPV4, NETWORK_SERVED, 0)?;
        let Some(Map::Array(control_map)) = ebpf.take_map(map::CONTROL) else {
            return Err(XdpError::Map(map::CONTROL));
        };
        let mapped = ControlMap::new(&control_map.fd());
        let control = mapped.map_err(|error| XdpError::System("cannot map the program's memory", error))?;
        control.set_lifetime_slots(config.udp.connection_id_slots());
        let xsk_map = take(&mut ebpf, map::XSKS)?;
        let wants_xsk = matches!(config.xdp.mode, Mode::Auto | Mode::Xsk);
        Ok(Self {
            xsks: wants_xsk.then(|| Xsks::new(xsk_map, &config.xsk)),
            listeners: take(&mut ebpf, map::LISTENERS)?,
            counters: take(&mut ebpf, map::COUNTERS)?,
            blocked,
            logger: start_logger(&mut ebpf)?,
            ebpf,
            control,
            keys_claim: None,
            control_map,
            buckets: Buckets::new(),
            denied: BTreeSet::new(),
            attached: Vec::new(),
            refused: BTreeMap::new(),
            bound: bound.to_vec(),
            is_xsk_required: config.xdp.mode == Mode::Xsk,
            config: config.xdp.clone(),
            lenient: config.udp.lenient,
        })
    }

    /// The keys of a program that an earlier daemon left attached, for ids to hold over an upgrade; not those of a daemon
    /// that lives.
    pub fn keys_left_behind(&mut self) -> Option<Keys> {
        let claim = attach::claim(PINNED_KEYS).ok()?;
        self.keys_claim = self.config.pin.then_some(claim);
        let left = MapData::from_pin(control_pin()).ok()?;
        // Once only: keys that have been left alone since would come back to life with every later start.
        let _ = std::fs::remove_file(control_pin());
        ControlMap::new(&left.fd()).ok().map(|control| control.keys())
    }

    /// Lets the program check with these keys, without issuing with another than before.
    pub fn prepare_keys(&self, keys: &Keys) {
        self.control.prepare_keys(keys);
    }

    /// Lets the program issue as `keys` says.
    pub fn publish_keys(&self, keys: &Keys) {
        self.control.publish_keys(keys);
    }

    /// Sets the key by which sources share budgets; random, so that it is no attacker's to choose.
    pub fn set_source_hash_key(&self, key: u64) {
        self.control.set_source_hash_key(key);
    }

    /// Sets budgets, while the program runs.
    pub fn set_budgets(&mut self, config: &XdpConfig) {
        let source = Budget {
            packets_per_sec: config.source_packets_per_sec,
            burst_packets: config.source_burst_packets,
        };
        let connects =
            Budget { packets_per_sec: config.connects_per_sec, burst_packets: config.connect_burst };
        self.control.set_budgets(source, connects);
    }

    /// Sets a budget of connects that the next one uses up for ever.
    pub fn answer_no_connects(&self) {
        self.control.exhaust_connects();
    }

    /// Lets the program drop what these networks send.
    ///
    /// # Errors
    /// Where the map cannot be written; what was denied before still is.
    pub fn deny(&mut self, networks: &[IpNet]) -> Result<(), XdpError> {
        let wanted: BTreeSet<IpNet> = networks.iter().copied().collect();
        // Before anything that can fail: with entries or without, the flag does no harm.
        let lenient = if self.lenient { FLAG_LENIENT } else { 0 };
        self.control.set_flags(lenient | if wanted.is_empty() { 0 } else { FLAG_BLOCKED });
        for network in wanted.difference(&self.denied.clone()) {
            self.blocked.insert(&prefix(network), NETWORK_BLOCKED, 0)?;
            self.denied.insert(*network);
        }
        for network in self.denied.clone().difference(&wanted) {
            if *network == IpNet::V4(Ipv4Net::default()) {
                self.blocked.insert(&prefix(network), NETWORK_SERVED, 0)?;
            } else {
                self.blocked.remove(&prefix(network))?;
            }
            self.denied.remove(network);
        }
        Ok(())
    }

    /// Gives the program a sign of life.
    pub fn beat(&self, now: Now) {
        self.control.beat(now);
    }

    /// Writes what the program has logged since the last call.
    pub fn flush_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }

    /// What the program has counted, by verdict, on all CPUs together.
    ///
    /// # Errors
    /// Where the map cannot be read.
    pub fn counters(&self) -> Result<Vec<Counter>, XdpError> {
        let read = |index| {
            let of_cpus = self.counters.get(&index, 0)?;
            let sum = |position: usize| of_cpus.iter().map(|of_cpu| of_cpu[position]).sum();
            Ok(Counter { packets: sum(0), bytes: sum(1) })
        };
        (0..Verdict::COUNT as u32).map(read).collect()
    }

    /// Attaches to interfaces that have come, forgets those that have gone, and tells the program its addresses.
    ///
    /// # Errors
    /// With [`Insistence::Required`], where an interface that was asked for cannot be had.
    pub fn refresh(&mut self, insistence: Insistence, now: Now) -> Result<(), XdpError> {
        let host = interfaces::list().map_err(|error| XdpError::System("cannot list interfaces", error))?;
        let is_there = |attached: &Attached| {
            host.iter()
                .any(|now| now.index == attached.interface.index && now.name == attached.interface.name)
        };
        self.attached.retain(|attached| {
            let stays = is_there(attached);
            if !stays {
                log::warn!("interface {} is gone", attached.interface.name);
            }
            stays
        });
        self.look_after_interfaces(&host)?;
        let wanted: Vec<&Interface> = host
            .iter()
            .filter(|interface| is_wanted(interface, &self.config.interface, &self.bound))
            .collect();
        // Before anything is attached: the program passes on what it does not know.
        self.publish_listeners(&wanted, &host)?;
        for interface in &wanted {
            self.attach_if_new(interface, insistence)?;
        }
        if self.open_queues(&wanted, insistence, now)? {
            // Now with the slots of those that have sockets.
            self.publish_listeners(&wanted, &host)?;
        }
        Ok(())
    }

    /// Whether every interface that was asked for by name is served, and any at all.
    ///
    /// # Errors
    /// Which are not.
    pub fn require_all(&self) -> Result<(), XdpError> {
        let is_attached =
            |name: &&String| self.attached.iter().any(|attached| attached.interface.name == **name);
        let is_refused = |name: &&String| self.refused.contains_key(*name);
        let mut named = self.config.interface.iter();
        if let Some(missing) = named.find(|name| !is_attached(name) && !is_refused(name)) {
            return Err(XdpError::NoInterface(format!("there is no {missing}, or it is down")));
        }
        if self.attached.is_empty() {
            let why = match self.refused.len() {
                0 => {
                    "none that is up, other than loopback, carries a listen address; name one with --interface"
                }
                _ => "each refuses the program, for the reason given above",
            };
            return Err(XdpError::NoInterface(why.to_owned()));
        }
        Ok(())
    }

    /// Leaves the program's memory where the next daemon finds its keys. Only of use with pinned links.
    ///
    /// # Errors
    /// Where the BPF file system refuses.
    pub fn pin_keys(&self) -> Result<(), XdpError> {
        let failed = |error| XdpError::System("cannot pin under /sys/fs/bpf", error);
        if self.keys_claim.is_none() {
            let living = io::Error::other(
                "another opentracker-xdp that lives has its keys there; --xdp-pin is for one",
            );
            return Err(failed(living));
        }
        std::fs::create_dir_all(PIN_DIRECTORY).map_err(failed)?;
        self.control_map.pin(control_pin()).map_err(|error| failed(io::Error::other(error)))
    }

    fn attach_if_new(&mut self, interface: &Interface, insistence: Insistence) -> Result<(), XdpError> {
        if self.attached.iter().any(|attached| attached.interface.index == interface.index) {
            return Ok(());
        }
        let pin = match (self.config.pin, insistence) {
            (false, _) => Pin::Never,
            (true, Insistence::BestEffort) => Pin::IfPossible,
            (true, Insistence::Required) => Pin::Always,
        };
        match attach(program(&mut self.ebpf)?, interface, self.config.attach, pin) {
            Ok(attached) => {
                log::info!("XDP program on {} ({})", interface.name, attached.place.name());
                self.refused.remove(&interface.name);
                self.attached.push(attached);
                Ok(())
            }
            Err(error) if insistence == Insistence::BestEffort => {
                let reason = error.to_string();
                let logged = self.refused.insert(interface.name.clone(), reason.clone());
                if logged.as_ref() != Some(&reason) {
                    log::warn!("{reason}; its packets come through sockets");
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn slot(&self, interface: u32) -> u16 {
        self.xsks.as_ref().map_or(0, |xsks| xsks.slot(interface))
    }

    /// Brings the map to what is wanted: new entries first, so that no address is unknown in between.
    fn publish_listeners(&mut self, wanted: &[&Interface], host: &[Interface]) -> Result<(), XdpError> {
        let buckets = listeners::buckets(&listeners::entries(&self.bound, wanted, host, |interface| {
            self.slot(interface)
        }));
        for (index, bucket) in &buckets {
            if self.buckets.get(index) != Some(bucket) {
                self.listeners.set(*index, bucket.entries, 0)?;
            }
        }
        for index in self.buckets.keys().filter(|index| !buckets.contains_key(index)) {
            self.listeners.set(*index, ListenBucket::default().entries, 0)?;
        }
        self.buckets = buckets;
        Ok(())
    }
}

/// Whether the program belongs on an interface: one that is named, or, where none is, one that carries what is bound.
fn is_wanted(interface: &Interface, named: &[String], bound: &[(Transport, SocketAddr)]) -> bool {
    let carries = |(transport, socket): &(Transport, SocketAddr)| {
        let reaches = |ip: &IpAddr| match socket.ip() {
            wildcard if wildcard.is_unspecified() => ip.is_ipv4() == wildcard.is_ipv4(),
            one => *ip == one,
        };
        *transport == Transport::Udp && interface.addresses.iter().any(reaches)
    };
    let is_chosen = match named {
        [] => !interface.is_loopback && bound.iter().any(carries),
        names => names.contains(&interface.name),
    };
    interface.is_up && is_chosen
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Program, XdpError> {
    let missing = || XdpError::Load(format!("the object has no program {:?}", abi::PROGRAM));
    ebpf.program_mut(abi::PROGRAM).ok_or_else(missing)?.try_into().map_err(|_| missing())
}

/// Reads the program's log where it was built with the feature `log`; a release build has none.
fn start_logger(ebpf: &mut Ebpf) -> Result<Option<EbpfLogger<&'static dyn Log>>, XdpError> {
    if ebpf.map(LOG_MAP).is_none() {
        return Ok(None);
    }
    log::warn!("this XDP program logs every packet: for debugging alone");
    EbpfLogger::init(ebpf).map(Some).map_err(|error| refused_by_kernel(&error))
}

/// The map by which aya-log carries a log.
const LOG_MAP: &str = "AYA_LOGS";

fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, XdpError> {
    ebpf.take_map(name).and_then(|map| T::try_from(map).ok()).ok_or(XdpError::Map(name))
}

fn refused_by_kernel(error: &(dyn Error + 'static)) -> XdpError {
    XdpError::Load(causes(error))
}

/// An error with all that caused it, each in its last lines: the verifier writes thousands, and ends with the reason.
fn causes(error: &(dyn Error + 'static)) -> String {
    let (mut texts, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        texts.push(lines[lines.len().saturating_sub(3)..].join(" / "));
        next = error.source();
    }
    texts.join(": ")
}

/// All of IPv4, mapped into IPv6.
const EVERY_IPV4: Prefix<[u8; 16]> = Prefix::new(96, Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());

/// A network as the map has it: IPv4 mapped into IPv6.
fn prefix(network: &IpNet) -> Prefix<[u8; 16]> {
    match network {
        IpNet::V4(v4) => Prefix::new(96 + u32::from(v4.prefix_len()), v4.network().to_ipv6_mapped().octets()),
        IpNet::V6(v6) => Prefix::new(u32::from(v6.prefix_len()), v6.network().octets()),
    }
}

/// What a daemon claims that pins its keys.
const PINNED_KEYS: &str = "keys";

/// Where the program's memory is pinned: a daemon that would misread it does not find it.
fn control_pin() -> PathBuf {
    let namespace = attach::network_namespace();
    Path::new(PIN_DIRECTORY).join(format!("control-{namespace}-{}", abi::ABI_VERSION))
}
