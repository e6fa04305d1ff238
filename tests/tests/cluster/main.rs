//! Several trackers, each on a host of its own, that tell each other of their peers.

mod livesync;
mod opentracker;
mod outage;
mod scene;
mod sealed;
mod sites;
mod sites_access;
mod sites_credentials;
mod sites_scene;
