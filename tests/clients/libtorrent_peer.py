#!/usr/bin/env python3
"""One peer of one torrent on libtorrent: it knows other peers from the tracker and from nowhere else.

usage: libtorrent_peer.py TORRENT DIRECTORY LISTEN_ADDRESS

Whether it seeds or leeches follows from what lies in DIRECTORY. Every alert goes to standard output. SIGUSR1 makes
it announce at once. SIGTERM stops the torrent and waits until the tracker has been told.
"""

import signal
import sys

import libtorrent

# Alerts come when they come: this is how often a signal is looked for in between.
ALERT_WAIT_MS = 200


def start_session(listen_address):
    host = f"[{listen_address}]" if ":" in listen_address else listen_address
    return libtorrent.session(
        {
            "listen_interfaces": f"{host}:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": libtorrent.alert.category_t.error_notification
            | libtorrent.alert.category_t.status_notification
            | libtorrent.alert.category_t.tracker_notification
            | libtorrent.alert.category_t.connect_notification,
        }
    )


def add_torrent(session, torrent_path, directory):
    parameters = libtorrent.load_torrent_file(torrent_path)
    parameters.save_path = directory
    parameters.flags |= libtorrent.torrent_flags.disable_pex
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    return session.add_torrent(parameters)


class Signals:
    """What signals have asked for: handlers only note it."""

    def __init__(self):
        self.stop = False
        self.announce = False
        signal.signal(signal.SIGTERM, self.note_stop)
        signal.signal(signal.SIGUSR1, self.note_announce)

    def note_stop(self, *_):
        self.stop = True

    def note_announce(self, *_):
        self.announce = True


def print_alerts(session):
    """Prints the alerts of a while, and gives them."""
    session.wait_for_alert(ALERT_WAIT_MS)
    alerts = session.pop_alerts()
    for alert in alerts:
        print(f"{type(alert).__name__}: {alert.message()}", flush=True)
    return alerts


def await_flushed(session):
    while not any(isinstance(alert, libtorrent.cache_flushed_alert) for alert in print_alerts(session)):
        pass


def await_stop_answered(session):
    """Waits for the answer to the announce of the stop; one to an announce before it may still be under way."""
    stop_announced = False
    while True:
        for alert in print_alerts(session):
            if isinstance(alert, libtorrent.tracker_announce_alert):
                stop_announced |= alert.event == libtorrent.event_t.stopped
            elif isinstance(alert, (libtorrent.tracker_reply_alert, libtorrent.tracker_error_alert)):
                if stop_announced:
                    return


def main():
    torrent_path, directory, listen_address = sys.argv[1:]
    signals = Signals()
    session = start_session(listen_address)
    handle = add_torrent(session, torrent_path, directory)
    while not signals.stop:
        print_alerts(session)
        if signals.announce:
            signals.announce = False
            handle.force_reannounce(0, -1, libtorrent.reannounce_flags_t.ignore_min_interval)
    handle.flush_cache()
    await_flushed(session)
    # The end of a session does not wait for the answer to its last announce over UDP, the end of a pause does.
    handle.pause()
    await_stop_answered(session)


if __name__ == "__main__":
    main()
