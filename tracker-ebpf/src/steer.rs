//! What becomes of a packet: the one place where verdicts are reached, in the order of what they cost.

use crate::budget::{self, Spent};
use crate::checksum::{self, Found};
use crate::connect::{self, Payload};
use crate::headers::{Address, Datagram, Frame, Ip};
use crate::maps;
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_xdp_get_buff_len};
use aya_ebpf::programs::XdpContext;
use tracker_common::abi::{
    Control, FLAG_BLOCKED, FLAG_LENIENT, HEARTBEAT_LIMIT_NS, LISTENER_DEAF, LISTENER_UNTAGGED, Listener,
    MAX_XSK_FRAME_LEN,
};
use tracker_common::connection_id::Claim;
use tracker_common::request::{Kind, classify};
use tracker_common::verdict::Verdict;
use tracker_common::wire::request;

/// The index of the loopback interface in every network namespace.
const LOOPBACK: usize = 1;

/// What is done with the packet.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// It has become its own answer and goes out where it came in.
    Answer,
    /// It goes on, as if this program were not there.
    Pass,
    /// It goes to the AF_XDP socket of its queue.
    HandOver,
    /// It ends here.
    Drop,
}

/// The verdict on a packet.
#[inline(always)]
pub(crate) fn steer(context: &XdpContext, frame: &Frame) -> (Verdict, Action) {
    let datagram = match frame.datagram() {
        Ok(datagram) => datagram,
        Err(verdict) => return (verdict, Action::Pass),
    };
    let Some(listener) = listener_asked(context, &datagram) else {
        return (Verdict::NotListening, Action::Pass);
    };
    if let Ip::V4(ip) = datagram.ip
        && !checksum::is_ipv4_right(ip)
    {
        return (Verdict::BadHeader, Action::Pass);
    }
    let Some(control) = maps::control() else { return (Verdict::DaemonSilent, Action::Pass) };
    // SAFETY: a helper without arguments (Linux 5.11).
    let now_ns = unsafe { bpf_ktime_get_coarse_ns() };
    if now_ns.saturating_sub(control.heartbeat_ns) > HEARTBEAT_LIMIT_NS {
        return (Verdict::DaemonSilent, Action::Pass);
    }
    if !is_answerable(&datagram) {
        return (Verdict::UnanswerableSource, Action::Drop);
    }
    if control.flags & FLAG_BLOCKED != 0 && maps::is_blocked(datagram.source) {
        return (Verdict::SourceBlocked, Action::Drop);
    }
    request(&Asked { context, frame, datagram: &datagram, listener, control, now_ns })
}

/// A packet for the tracker, with all that is needed to judge it.
struct Asked<'a> {
    context: &'a XdpContext,
    frame: &'a Frame,
    datagram: &'a Datagram,
    listener: Listener,
    control: &'static Control,
    now_ns: u64,
}

#[inline(always)]
fn request(asked: &Asked<'_>) -> (Verdict, Action) {
    let datagram = asked.datagram;
    if datagram.payload_len < request::HEADER_LEN {
        return (Verdict::TooShort, Action::Drop);
    }
    let Some(payload): Option<Payload> = asked.frame.at(datagram.payload) else {
        return (Verdict::BadHeader, Action::Pass);
    };
    let address = payload as usize;
    // SAFETY: `at` has found the 16 bytes within the packet; loads need not be aligned.
    let id = u64::from_be(unsafe { (address as *const u64).read_unaligned() });
    // SAFETY: as above.
    let action = u32::from_be(unsafe { ((address + request::ACTION.start) as *const u32).read_unaligned() });
    let kind = match classify(datagram.payload_len, id, action) {
        Ok(kind) => kind,
        Err(verdict) => return (verdict, Action::Drop),
    };
    let claim = match kind {
        Kind::Connect => may_connect(asked),
        Kind::Announce | Kind::Scrape => claimed(asked, id),
    };
    let claim = match claim {
        Ok(claim) => claim,
        Err(end) => return end,
    };
    // The one place of the hash, for all kinds: as a function of its own it would cost a return, of which a kernel that
    // guards against speculation makes 5 ns, and in several places it would be walked through by the verifier in each.
    let right_id = claim.id(&asked.control.keys, datagram.source.octets());
    match kind {
        Kind::Connect => {
            connect::answer(asked.context, asked.frame, datagram, payload, right_id);
            (Verdict::ConnectAnswered, Action::Answer)
        }
        _ if right_id != id => refused(asked, Verdict::ConnectionIdForged),
        Kind::Announce => proven(asked, Verdict::AnnounceRedirected, Verdict::AnnounceProven),
        Kind::Scrape => proven(asked, Verdict::ScrapeRedirected, Verdict::ScrapeProven),
    }
}

/// Which id a connect is answered with, or how it ends.
#[inline(always)]
fn may_connect(asked: &Asked<'_>) -> Result<Claim, (Verdict, Action)> {
    // Only here: an id has proven that somebody else has the address.
    if is_of_host(asked.context, asked.datagram) {
        return Err((Verdict::UnanswerableSource, Action::Drop));
    }
    if checksum::judge(asked.datagram, asked.frame.end()) == Found::Unsure {
        return Err((Verdict::ChecksumUnsure, Action::Pass));
    }
    if budget::of_connects(asked.control, asked.now_ns) == Spent::Over {
        return Err((Verdict::ConnectOverBudget, Action::Drop));
    }
    let keys = &asked.control.keys;
    Ok(Claim::issued(keys, keys.issuing_slot(asked.now_ns)))
}

/// Which id an announce or a scrape must have, or how it ends.
#[inline(always)]
fn claimed(asked: &Asked<'_>, id: u64) -> Result<Claim, (Verdict, Action)> {
    let now = asked.control.keys.checking_slot(asked.now_ns);
    match Claim::made(id, now, asked.control.lifetime_slots) {
        Some(claim) => Ok(claim),
        None => Err(refused(asked, Verdict::ConnectionIdStale)),
    }
}

#[inline(always)]
fn refused(asked: &Asked<'_>, verdict: Verdict) -> (Verdict, Action) {
    if asked.control.flags & FLAG_LENIENT != 0 {
        return (Verdict::ConnectionIdPassed, Action::Pass);
    }
    (verdict, Action::Drop)
}

/// Only now: an unproven sender could use up a budget that is not its own.
#[inline(always)]
fn proven(asked: &Asked<'_>, handed_over: Verdict, passed: Verdict) -> (Verdict, Action) {
    if budget::of_source(asked.control, asked.datagram.source, asked.now_ns) == Spent::Over {
        return (Verdict::SourceOverBudget, Action::Drop);
    }
    let slot = asked.listener.xsk_slot();
    if slot != 0 && fits_xsk_frame(asked) && maps::hand_over(asked.context, slot) {
        return (handed_over, Action::HandOver);
    }
    (passed, Action::Pass)
}

/// Whether a packet lies in one buffer, and fits a frame of an AF_XDP socket: there, one that does not is lost.
#[inline(always)]
fn fits_xsk_frame(asked: &Asked<'_>) -> bool {
    let len = asked.frame.len();
    // SAFETY: a helper call with the program's own context (Linux 5.18). It counts the bytes of all buffers.
    len <= MAX_XSK_FRAME_LEN && unsafe { bpf_xdp_get_buff_len(asked.context.ctx) } == len as u64
}

/// What is asked, if link address, IP address and port are ours. Forwarded and bridged traffic passes here too.
#[inline(always)]
fn listener_asked(context: &XdpContext, datagram: &Datagram) -> Option<Listener> {
    let refused = if datagram.is_of_vlan { LISTENER_DEAF | LISTENER_UNTAGGED } else { LISTENER_DEAF };
    let link_address = datagram.ethernet.cast::<u8>();
    // SAFETY: the link header lies whole in the packet, and the destination comes first; loads need not be aligned.
    let low = unsafe { link_address.cast::<u32>().read_unaligned() };
    // SAFETY: as above.
    let high = unsafe { link_address.add(4).cast::<u16>().read_unaligned() };
    let link_address = u64::from(low) | u64::from(high) << 32;
    listener(context, datagram, datagram.destination)
        .filter(|listener| listener.link_word() == link_address && listener.flags & refused == 0)
}

/// Whether a packet claims to come from this host, or from one of its broadcast addresses. Over loopback it may.
#[inline(always)]
fn is_of_host(context: &XdpContext, datagram: &Datagram) -> bool {
    context.ingress_ifindex() != LOOPBACK
        && (is_loopback(datagram) || listener(context, datagram, datagram.source).is_some())
}

#[inline(always)]
fn is_loopback(datagram: &Datagram) -> bool {
    match datagram.ip {
        Ip::V4(_) => datagram.source.v4_in_memory() & 0xff == 127,
        Ip::V6(_) => datagram.source.0 == [0, 1 << 56],
    }
}

/// What is known of an address on the interface and port that a packet has come to.
#[inline(always)]
fn listener(context: &XdpContext, datagram: &Datagram, address: Address) -> Option<Listener> {
    // SAFETY: the header of a `Datagram` lies whole in the packet.
    let port_be = unsafe { (*datagram.udp).destination };
    let [first, second] = address.0;
    let third = context.ingress_ifindex() as u64 | u64::from(u16::from_ne_bytes(port_be)) << 32;
    maps::listener([first, second, third])
}

/// Whether an answer could reach its one sender: forged sources of this kind would make the host shout.
#[inline(always)]
fn is_answerable(datagram: &Datagram) -> bool {
    // SAFETY: the headers of a `Datagram` lie whole in the packet.
    let (port, link_address) = unsafe { ((*datagram.udp).source, (*datagram.ethernet).source) };
    // The answer goes out to the link address that it came from: that of a group would reach the whole link.
    let is_group = link_address[0] & 1 == 1;
    let source = datagram.source;
    let shouting = match datagram.ip {
        Ip::V4(_) => {
            let v4 = source.v4_in_memory();
            v4 & 0xf0 == 0xe0 || v4 == u32::MAX || v4 == 0
        }
        Ip::V6(_) => source.0[0] & 0xff == 0xff || source.0 == [0; 2],
    };
    port != [0, 0] && !is_group && !shouting
}
