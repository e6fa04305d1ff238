//! Settings of the addresses that are listened on.

use super::store;
use crate::config::draft::Draft;
use crate::config::keys::{Kind, Setting, Shown};
use crate::config::types::{Config, Transport};
use crate::config::values;

/// Every setting under `listen.`.
pub(super) static SETTINGS: &[Setting] = &[
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
];

fn listen(draft: &mut Draft, transport: Transport, value: &str) -> Result<(), String> {
    draft.listen(transport, values::socket_address(value)?);
    Ok(())
}

fn listening(config: &Config, transport: Transport) -> Shown {
    let of_transport = config.listen.iter().filter(|listen| listen.transport == transport);
    Shown::Listen(of_transport.map(|listen| (listen.address.to_string(), listen.udp_workers)).collect())
}
