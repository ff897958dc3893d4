//! Repairs what an old wasm-opt does to the exports of tables.
//!
//! binaryen up to 108, which Debian 12 ships, writes every export of a table with index 0. wasm-bindgen exports its
//! table of JavaScript references, which stands behind the table of functions, so that the optimised module fails as
//! soon as it is started ("WebAssembly.Table.set(): Argument 1 is invalid for table").

use std::ops::Range;

use anyhow::{Context, Result, bail};

const EXPORT_SECTION: u8 = 7;
const TABLE: u8 = 1;

/// Gives the table exports of `after`, the optimised module, the indices that they have in `before`. wasm-opt neither
/// adds tables nor reorders them. Returns whether anything had to be changed.
pub fn repair(before: &[u8], after: &mut [u8]) -> Result<bool> {
    let wanted = table_exports(before).context("the module before optimisation")?;
    let found = table_exports(after).context("the optimised module")?;
    let mut changed = false;
    for (name, index, place) in found {
        let Some((_, right, _)) = wanted.iter().find(|(other, ..)| *other == name) else {
            bail!("the optimised module exports another table, {name:?}");
        };
        if index == *right {
            continue;
        }
        if *right > 0x7f || place.len() != 1 {
            bail!("the export of table {name:?} cannot be repaired in place");
        }
        after[place.start] = *right as u8;
        changed = true;
    }
    Ok(changed)
}

/// Name, index, and the bytes of the index of each exported table.
fn table_exports(wasm: &[u8]) -> Result<Vec<(String, u32, Range<usize>)>> {
    if wasm.get(..8) != Some(b"\0asm\x01\0\0\0") {
        bail!("not a WebAssembly module");
    }
    let mut at = 8;
    while at < wasm.len() {
        let section = wasm[at];
        at += 1;
        let size = number(wasm, &mut at)? as usize;
        let end = at.checked_add(size).filter(|&end| end <= wasm.len());
        let end = end.context("a section is cut off")?;
        if section == EXPORT_SECTION {
            return exports(&wasm[..end], at);
        }
        at = end;
    }
    Ok(Vec::new())
}

fn exports(wasm: &[u8], mut at: usize) -> Result<Vec<(String, u32, Range<usize>)>> {
    let mut tables = Vec::new();
    for _ in 0..number(wasm, &mut at)? {
        let length = number(wasm, &mut at)? as usize;
        let end = at.checked_add(length).context("an export is cut off")?;
        let name = wasm.get(at..end).context("an export is cut off")?;
        let kind = *wasm.get(end).context("an export is cut off")?;
        at = end + 1;
        let start = at;
        let index = number(wasm, &mut at)?;
        if kind == TABLE {
            tables.push((String::from_utf8_lossy(name).into_owned(), index, start..at));
        }
    }
    Ok(tables)
}

/// An unsigned LEB128 number.
fn number(wasm: &[u8], at: &mut usize) -> Result<u32> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = *wasm.get(*at).context("a number is cut off")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).context("a number is too large");
        }
    }
    bail!("a number is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of one export section: a function `f` with index 0 and a table `t` with `index`.
    fn module(index: u8) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([EXPORT_SECTION, 9, 2, 1, b'f', 0, 0, 1, b't', TABLE, index]);
        wasm
    }

    #[test]
    fn a_table_gets_its_index_back() {
        let mut after = module(0);
        assert!(repair(&module(1), &mut after).unwrap());
        assert_eq!(after, module(1));
        assert!(!repair(&module(1), &mut after).unwrap());
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(repair(b"nothing", &mut module(0)).is_err());
        assert!(repair(&module(1)[..15], &mut module(0)).is_err());
    }
}
