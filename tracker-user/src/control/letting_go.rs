//! What workers look at is replaced whole. What was before is freed by whoever replaced it, once no worker looks at it any
//! more: freeing megabytes takes longer than a packet.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long to wait for a worker that still looks something up.
const LETTING_GO: Duration = Duration::from_millis(1);

/// Waits until the caller alone holds what it has taken out of the workers' sight. Sleeps: nothing for a thread that serves.
pub(super) fn wait<T>(before: &Arc<T>) {
    while Arc::strong_count(before) > 1 {
        thread::sleep(LETTING_GO);
    }
}

#[cfg(test)]
mod tests {
    use super::wait;
    use crate::access_list::AccessList;
    use crate::config::types::TrackerConfig;
    use crate::tracker::Tracker;
    use arc_swap::ArcSwap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;

    #[test]
    fn what_a_worker_looks_at_is_freed_by_who_replaced_it() {
        /// Notes the thread that frees it.
        struct Looked(mpsc::Sender<thread::ThreadId>);
        impl Drop for Looked {
            fn drop(&mut self) {
                self.0.send(thread::current().id()).unwrap();
            }
        }
        let (freed, freeing) = mpsc::channel();
        let shared = ArcSwap::from_pointee(Looked(freed.clone()));
        let (has_replaced, (looks, looking)) = (AtomicBool::new(false), mpsc::channel());
        thread::scope(|scope| {
            scope.spawn(|| {
                let guard = shared.load();
                looks.send(()).unwrap();
                while !has_replaced.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                drop(guard);
            });
            looking.recv().unwrap();
            let before = shared.swap(Arc::new(Looked(freed.clone())));
            has_replaced.store(true, Ordering::Release);
            wait(&before);
            drop(before);
            assert_eq!(freeing.recv().unwrap(), thread::current().id());
        });
    }

    #[test]
    fn the_list_of_before_is_handed_to_who_replaces_it() {
        let tracker = Tracker::new(TrackerConfig::default(), [1, 2]);
        let denying = AccessList::denying(&["192.0.2.0/24".parse().unwrap()]);
        tracker.replace_access(Arc::new(denying.clone()));
        let before = tracker.replace_access(Arc::new(AccessList::default()));
        wait(&before);
        assert_eq!((*before == denying, Arc::strong_count(&before)), (true, 1));
    }
}
