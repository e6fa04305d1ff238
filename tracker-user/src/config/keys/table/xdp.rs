//! Settings of the XDP program.

use super::{number, optional, store};
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::types::XdpAttach;
use crate::config::values;

/// Every setting under `xdp.`.
pub(super) static SETTINGS: &[Setting] = &[
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
];

fn packets(text: &str, least: u64) -> Result<u32, String> {
    values::number(text, "packets", least..=1_000_000_000)
}

fn xdp_attach_name(attach: XdpAttach) -> &'static str {
    match attach {
        XdpAttach::Auto => "auto",
        XdpAttach::Native => "native",
        XdpAttach::Generic => "generic",
    }
}
