//! Pickles that are not weights.

use super::*;

fn load(pickle: &[u8]) -> Result<Value, String> {
    let mut machine = Pickle::new(pickle.len() as u64);
    machine.load(&mut &*pickle).map_err(|e| e.to_string())
}

#[test]
fn values_are_small() {
    assert_eq!(size_of::<Value>(), 8);
}

/// What `pickle.dumps` makes of `os.system("true")` and of a lambda's like.
#[test]
fn code_is_refused_by_name() {
    let error = load(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.");
    assert!(error.unwrap_err().contains("posix.system"));
    let error = load(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.");
    assert!(error.unwrap_err().contains("builtins.eval"));
    let error = load(b"\x80\x02i__main__\nModel\n.");
    assert!(error.unwrap_err().contains("instruction 0x69"));
}

#[test]
fn a_damaged_pickle_is_refused() {
    for pickle in [
        &b""[..],
        b".",
        b"\x80",
        b"(1",
        b"u.",
        b"}(K\x01u.",
        b"N\x86.",
        b"(N(\x85t.",
        b"h\x00.",
        b"X\xff\xff\xff\xff.",
        b"X\x01\x00\x00\x00\xff.",
        b"NR.",
        b"NQ.",
        b"NNs.",
    ] {
        load(pickle).unwrap_err();
    }
    // Four gigabytes of memo for six bytes.
    let error = load(b"Nr\xff\xff\xff\xff.").unwrap_err();
    assert!(error.contains("more than its 7 bytes"), "{error}");
}

#[test]
fn cycles_and_depth_cost_nothing() {
    load(b"}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
    let mut deep = vec![b')'];
    deep.extend([0x85; 3000]);
    deep.push(b'.');
    load(&deep).unwrap();
}
