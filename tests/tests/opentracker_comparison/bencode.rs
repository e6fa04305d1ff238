//! Bencode flattened into fields: `files/<hash>/complete` and the like. Bytes that are no text are written in hexadecimal.

use crate::fields::Fields;

/// Adds the value, and all within it, below `name`; panics where it is no bencode or something is behind it.
pub(crate) fn flatten(fields: &mut Fields, name: &str, bencode: &[u8]) {
    let rest = value(fields, name, bencode);
    assert!(rest.is_empty(), "{} behind the end of {name}", rest.escape_ascii());
}

fn value<'a>(fields: &mut Fields, name: &str, bencode: &'a [u8]) -> &'a [u8] {
    match bencode.first() {
        Some(b'i') => {
            let end = bencode.iter().position(|byte| *byte == b'e').expect("an integer ends");
            fields.insert(name.to_owned(), String::from_utf8_lossy(&bencode[1..end]).into_owned());
            &bencode[end + 1..]
        }
        Some(b'd') => {
            let mut rest = &bencode[1..];
            while rest.first() != Some(&b'e') {
                let (key, behind) = string(rest);
                rest = value(fields, &format!("{name}/{}", shown(key)), behind);
            }
            &rest[1..]
        }
        Some(b'l') => {
            let (mut rest, mut number) = (&bencode[1..], 0);
            while rest.first() != Some(&b'e') {
                rest = value(fields, &format!("{name}/{number}"), rest);
                number += 1;
            }
            &rest[1..]
        }
        _ => {
            let (bytes, rest) = string(bencode);
            fields.insert(name.to_owned(), shown(bytes));
            rest
        }
    }
}

fn string(bencode: &[u8]) -> (&[u8], &[u8]) {
    let colon = bencode.iter().position(|byte| *byte == b':').expect("a string has a length");
    let length: usize = String::from_utf8_lossy(&bencode[..colon]).parse().expect("a length is a number");
    bencode[colon + 1..].split_at(length)
}

fn shown(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'/') {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
