//! Bencode as the strictest client reads it: keys sorted and each there once, no leading zero, nothing behind the
//! end.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(u64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dictionary(Dictionary),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Dictionary(pub(crate) BTreeMap<Vec<u8>, Value>);

impl Dictionary {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key.as_bytes())
    }

    pub(crate) fn integer(&self, key: &str) -> u64 {
        let Some(Value::Integer(value)) = self.get(key) else { panic!("no integer {key} in {self:?}") };
        *value
    }

    pub(crate) fn bytes(&self, key: &str) -> &[u8] {
        let Some(Value::Bytes(value)) = self.get(key) else { panic!("no string {key} in {self:?}") };
        value
    }

    pub(crate) fn list(&self, key: &str) -> &[Value] {
        let Some(Value::List(value)) = self.get(key) else { panic!("no list {key} in {self:?}") };
        value
    }

    pub(crate) fn dictionary(&self, key: &[u8]) -> &Dictionary {
        let Some(Value::Dictionary(value)) = self.0.get(key) else { panic!("no {key:?} in {self:?}") };
        value
    }
}

pub(crate) fn parse_dictionary(bytes: &[u8]) -> Dictionary {
    let Value::Dictionary(dictionary) = parse(bytes) else {
        panic!("no dictionary: {}", bytes.escape_ascii())
    };
    dictionary
}

pub(crate) fn parse(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = value(&mut rest);
    assert!(rest.is_empty(), "bytes behind the end: {}", rest.escape_ascii());
    value
}

fn value(rest: &mut &[u8]) -> Value {
    match rest[0] {
        b'i' => {
            *rest = &rest[1..];
            Value::Integer(number(rest, b'e'))
        }
        b'l' => {
            *rest = &rest[1..];
            let mut values = Vec::new();
            while rest[0] != b'e' {
                values.push(value(rest));
            }
            *rest = &rest[1..];
            Value::List(values)
        }
        b'd' => Value::Dictionary(dictionary(rest)),
        _ => Value::Bytes(string(rest)),
    }
}

fn dictionary(rest: &mut &[u8]) -> Dictionary {
    *rest = &rest[1..];
    let mut entries: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
    while rest[0] != b'e' {
        let key = string(rest);
        if let Some((last, _)) = entries.last_key_value() {
            assert!(*last < key, "key {} is not behind {}", key.escape_ascii(), last.escape_ascii());
        }
        let value = value(rest);
        entries.insert(key, value);
    }
    *rest = &rest[1..];
    Dictionary(entries)
}

fn string(rest: &mut &[u8]) -> Vec<u8> {
    let length = number(rest, b':') as usize;
    let (string, behind) = rest.split_at(length);
    *rest = behind;
    string.to_vec()
}

fn number(rest: &mut &[u8], end: u8) -> u64 {
    let length = rest.iter().position(|byte| *byte == end).expect("no end of a number");
    let digits = std::str::from_utf8(&rest[..length]).unwrap();
    *rest = &rest[length + 1..];
    let value: u64 = digits.parse().unwrap();
    assert_eq!(value.to_string(), digits, "a number has one form");
    value
}
