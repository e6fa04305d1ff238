//! A connect answered where it came in: the request's own bytes become the response, and go back out.

use crate::checksum::{Sum, pseudo_header};
use crate::headers::{Datagram, Frame, Ip, Udp};
use aya_ebpf::helpers::bpf_xdp_adjust_tail;
use aya_ebpf::programs::XdpContext;
use tracker_common::wire::{ACTION_CONNECT, request, response};

/// The time to live of a fresh packet, as Linux sends it.
const TTL: u8 = 64;
/// Fragmentation is forbidden: an answer of this size never needs it.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];
/// The shortest frame of Ethernet, without its check sequence.
const MIN_FRAME_LEN: usize = 60;
const UDP_LEN: u16 = (size_of::<Udp>() + response::CONNECT_LEN) as u16;

/// The first 16 bytes of a payload, checked to lie in the packet.
pub(crate) type Payload = *mut [u8; request::HEADER_LEN];

/// Turns a connect request into its response. Pointers into the packet are dead afterwards.
///
/// The checksum is summed up from what is written, not read back: a load that spans several stores waits for them.
#[inline(always)]
pub(crate) fn answer(context: &XdpContext, frame: &Frame, datagram: &Datagram, payload: Payload, id: u64) {
    // The same in both directions.
    let sum = pseudo_header(datagram.ip, UDP_LEN);
    turn_addresses(datagram);
    let sum = write_payload(sum, payload, id.to_be());
    write_udp(sum, datagram.udp);
    cut_tail(context, frame, datagram);
}

/// Writes the response, `id_be` as it lies in memory, and adds it to the sum.
#[inline(always)]
fn write_payload(sum: Sum, payload: Payload, id_be: u64) -> Sum {
    let words = payload.cast::<u32>();
    // SAFETY: the caller has checked that all 16 bytes lie in the packet; here and below.
    let transaction_id = unsafe { words.add(request::TRANSACTION_ID.start / 4).read_unaligned() };
    // SAFETY: as above.
    unsafe { words.add(response::ACTION.start / 4).write_unaligned(ACTION_CONNECT.to_be()) };
    // SAFETY: as above.
    unsafe { words.add(response::TRANSACTION_ID.start / 4).write_unaligned(transaction_id) };
    // SAFETY: as above.
    unsafe { words.add(response::CONNECTION_ID.start / 4).cast::<u64>().write_unaligned(id_be) };
    let sum = sum.add_word(ACTION_CONNECT.to_be()).add_word(transaction_id);
    sum.add_word(id_be as u32).add_word((id_be >> 32) as u32)
}

/// Writes the header of UDP, its checksum over `sum` and the rest.
#[inline(always)]
fn write_udp(sum: Sum, udp: *mut Udp) {
    let words = udp.cast::<u32>();
    // SAFETY: the header of a `Datagram` lies whole in the packet.
    let ports = unsafe { words.read_unaligned() };
    // The length once more: it is in the header as well as in what stands for the IP header.
    let sum = sum.add_word(ports).add_u16(UDP_LEN);
    // Zero would say that there is no checksum (RFC 768).
    let checksum = match !sum.folded() {
        0 => 0xffff,
        checksum => checksum,
    };
    // SAFETY: as above.
    unsafe { words.write_unaligned(ports.rotate_left(16)) };
    // SAFETY: as above.
    unsafe { words.add(1).write_unaligned(u32::from(UDP_LEN.to_be()) | u32::from(checksum) << 16) };
}

/// Exchanges source and destination below UDP, and makes the rest of the IP header that of a fresh packet.
#[inline(always)]
fn turn_addresses(datagram: &Datagram) {
    // SAFETY: all headers of a `Datagram` lie whole in the packet, apart from each other, and nobody else has it.
    let ethernet = unsafe { &mut *datagram.ethernet };
    core::mem::swap(&mut ethernet.destination, &mut ethernet.source);
    match datagram.ip {
        Ip::V4(ip) => {
            // SAFETY: as above.
            let header = unsafe { &mut *ip };
            core::mem::swap(&mut header.destination, &mut header.source);
            header.service = 0;
            header.total_len = (size_of_val(header) as u16 + UDP_LEN).to_be_bytes();
            header.id = [0, 0];
            header.fragment = DONT_FRAGMENT;
            header.ttl = TTL;
            header.checksum = [0, 0];
            // SAFETY: the header has 20 bytes.
            let sum = unsafe { Sum::new().add_words::<5>(ip as usize) };
            header.checksum = (!sum.folded()).to_ne_bytes();
        }
        Ip::V6(ip) => {
            // SAFETY: as above.
            let header = unsafe { &mut *ip };
            core::mem::swap(&mut header.destination, &mut header.source);
            header.version_and_flow = [0x60, 0, 0, 0];
            header.payload_len = UDP_LEN.to_be_bytes();
            header.hop_limit = TTL;
        }
    }
}

/// Cuts off what was behind the request, down to the shortest frame. What stays of it is Ethernet padding.
#[inline(always)]
fn cut_tail(context: &XdpContext, frame: &Frame, datagram: &Datagram) {
    let behind = frame.end() - (datagram.payload + response::CONNECT_LEN);
    let spare = frame.len().saturating_sub(MIN_FRAME_LEN);
    let cut = if behind < spare { behind } else { spare };
    if cut > 0 {
        // SAFETY: a helper call with the program's own context. Should it fail, the frame is only longer.
        unsafe { bpf_xdp_adjust_tail(context.ctx, -(cut as i32)) };
    }
}
