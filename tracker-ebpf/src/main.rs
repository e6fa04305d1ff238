//! Where a packet first meets the tracker: in the network card's driver, before the kernel's own stack.
//!
//! Every packet ends in exactly one verdict, which is counted. Connects are answered here; wrong connection ids end
//! here; everything else that concerns the tracker goes on to the daemon, and what does not is passed on untouched.
//! Nothing is kept here that could not be lost.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod budget;
#[cfg(target_arch = "bpf")]
mod checksum;
#[cfg(target_arch = "bpf")]
mod connect;
#[cfg(target_arch = "bpf")]
mod headers;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod steer;

#[cfg(target_arch = "bpf")]
mod entry {
    use crate::headers::Frame;
    use crate::{maps, steer};
    use aya_ebpf::bindings::xdp_action;
    use aya_ebpf::macros::xdp;
    use aya_ebpf::programs::XdpContext;
    use tracker_common::abi::ABI_VERSION;

    /// What the daemon compares with its own before it loads the object.
    #[unsafe(no_mangle)]
    static TRACKER_ABI_VERSION: u32 = ABI_VERSION;

    /// The licence under which the kernel lends its functions.
    #[unsafe(no_mangle)]
    #[unsafe(link_section = "license")]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    /// The program. `frags`: attaches to interfaces whose packets may lie in several buffers (Linux 5.18).
    #[xdp(frags)]
    pub(crate) fn tracker(context: XdpContext) -> u32 {
        let frame = Frame::of(&context);
        let len = frame.len();
        let (verdict, action) = steer::steer(&context, &frame);
        maps::count(verdict, len);
        #[cfg(feature = "log")]
        aya_log_ebpf::debug!(&context, "{} bytes: {}", len, verdict.name());
        match action {
            steer::Action::Answer => xdp_action::XDP_TX,
            steer::Action::Pass => xdp_action::XDP_PASS,
            steer::Action::HandOver => xdp_action::XDP_REDIRECT,
            steer::Action::Drop => xdp_action::XDP_DROP,
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // The verifier refuses a program in which this can be reached.
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
