//! Bencode (BEP 3), outwards only: what the answers over HTTP are written in. It never reads bencode, and it does
//! not sort: whoever writes a dictionary writes its keys in order.

/// Appends bencoded values to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Opens a dictionary: keys and values follow in turn, keys sorted as raw bytes, then [`Writer::end`].
    pub fn dictionary(&mut self) {
        self.out.push(b'd');
    }

    /// Opens a list: its values follow, then [`Writer::end`].
    pub fn list(&mut self) {
        self.out.push(b'l');
    }

    /// Closes the dictionary or list that was opened last.
    pub fn end(&mut self) {
        self.out.push(b'e');
    }

    /// Writes a string of any bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.decimal(bytes.len() as u64);
        self.out.push(b':');
        self.out.extend_from_slice(bytes);
    }

    /// Writes an integer.
    pub fn integer(&mut self, value: u64) {
        self.out.push(b'i');
        self.decimal(value);
        self.out.push(b'e');
    }

    /// Writes a key and its string.
    pub fn entry_bytes(&mut self, key: &str, bytes: &[u8]) {
        self.bytes(key.as_bytes());
        self.bytes(bytes);
    }

    /// Writes a key and its integer.
    pub fn entry_integer(&mut self, key: &str, value: u64) {
        self.bytes(key.as_bytes());
        self.integer(value);
    }

    /// Decimal digits without the detour through `fmt`, which costs more than the rest of a small answer.
    fn decimal(&mut self, mut value: u64) {
        const MOST_DIGITS: usize = 20;
        let mut digits = [0_u8; MOST_DIGITS];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
            used += 1;
            if value == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[MOST_DIGITS - used..]);
    }
}

#[cfg(test)]
mod tests {
    use super::Writer;

    #[test]
    fn every_kind_of_value_has_its_literal_bytes() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.dictionary();
        writer.entry_bytes("a", b"\0x");
        writer.entry_integer("b", 0);
        writer.entry_integer("c", u64::MAX);
        writer.bytes(b"d");
        writer.list();
        writer.integer(10);
        writer.bytes(b"");
        writer.end();
        writer.end();
        assert_eq!(out, b"d1:a2:\0x1:bi0e1:ci18446744073709551615e1:dli10e0:ee");
    }
}
