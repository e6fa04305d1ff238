//! Lists of torrents in the real daemon: who is refused and how, and that a list changes at once and whole;
//! and networks that are denied.

#[cfg(test)]
mod denied;
#[cfg(test)]
mod fifo;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scene;
