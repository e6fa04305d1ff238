//! What a child process writes, collected line by line by a thread of its own: the child never blocks on a full
//! pipe, and a test waits for a line instead of sleeping.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The lines so far, shared with the thread that reads them.
#[derive(Clone, Debug)]
pub(crate) struct CollectedLog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl CollectedLog {
    /// Reads `output` to its end in a thread, which ends with the last process that holds the other side.
    pub(crate) fn drain(output: impl Read + Send + 'static) -> Self {
        let log = Self { shared: Arc::default() };
        let collected = log.clone();
        std::thread::spawn(move || collected.collect(output));
        log
    }

    fn collect(&self, output: impl Read) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.lock().lines.push(text);
            self.shared.changed.notify_all();
            line.clear();
        }
        self.lock().ended = true;
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.lines.lock().expect("nothing panics while it holds the lines")
    }

    pub(crate) fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    pub(crate) fn lines(&self) -> usize {
        self.lock().lines.len()
    }

    /// The first line behind the first `seen` that has `contained` in it; `None` when the output has ended or the
    /// deadline has passed without one.
    pub(crate) fn await_line(&self, seen: usize, contained: &str, deadline: Duration) -> Option<String> {
        let find =
            |lines: &Lines| lines.lines.iter().skip(seen).find(|line| line.contains(contained)).cloned();
        let lines = self.wait_until(deadline, |lines| lines.ended || find(lines).is_some());
        find(&lines)
    }

    /// Whether the output has ended before the deadline.
    pub(crate) fn await_end(&self, deadline: Duration) -> bool {
        self.wait_until(deadline, |lines| lines.ended).ended
    }

    fn wait_until(
        &self,
        deadline: Duration,
        mut is_met: impl FnMut(&Lines) -> bool,
    ) -> MutexGuard<'_, Lines> {
        let end = Instant::now() + deadline;
        let mut lines = self.lock();
        while !is_met(&lines) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.shared.changed.wait_timeout(lines, left);
            lines = woken.expect("nothing panics while it holds the lines").0;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::CollectedLog;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn a_line_is_found_before_the_output_ends_and_not_after_it() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let log = CollectedLog::drain(reader);
        writer.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(log.await_line(1, "w", Duration::from_secs(30)).as_deref(), Some("two"));
        drop(writer);
        assert_eq!(log.await_line(0, "three", Duration::from_secs(30)), None);
        assert!(log.await_end(Duration::from_secs(30)));
        assert_eq!(log.text(), "one\ntwo");
    }
}
