//! The daemon under a service manager, which the tests play: it passes sockets, keeps descriptors, listens for states and
//! signs of life (sd_listen_fds(3), sd_notify(3)); and the units that come with it.

#[cfg(test)]
mod activation;
#[cfg(test)]
mod life;
#[cfg(test)]
mod manager;
#[cfg(test)]
mod units;
