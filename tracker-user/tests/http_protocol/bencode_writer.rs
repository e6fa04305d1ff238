//! Whatever the writer writes, the strictest client reads back as it was.

use crate::strict_bencode::{Dictionary, Value, parse};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{collection, prop_assert_eq, proptest};
use tracker_user::bencode::Writer;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<u64>().prop_map(Value::Integer), any::<Vec<u8>>().prop_map(Value::Bytes)];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            collection::btree_map(any::<Vec<u8>>(), inner, 0..8)
                .prop_map(|entries| Value::Dictionary(Dictionary(entries))),
        ]
    })
}

fn write(writer: &mut Writer<'_>, value: &Value) {
    match value {
        Value::Integer(value) => writer.integer(*value),
        Value::Bytes(bytes) => writer.bytes(bytes),
        Value::List(values) => {
            writer.list();
            values.iter().for_each(|value| write(writer, value));
            writer.end();
        }
        Value::Dictionary(Dictionary(entries)) => {
            writer.dictionary();
            for (key, value) in entries {
                writer.bytes(key);
                write(writer, value);
            }
            writer.end();
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out), &value);
        prop_assert_eq!(parse(&out), value);
    }
}
