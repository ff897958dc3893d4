//! Repairs the table exports that an old wasm-opt damages.
//!
//! binaryen up to 108, which Debian 12 ships, writes every export of a table with index 0. wasm-bindgen exports its
//! table of JavaScript references, which comes after the table of functions. The optimised module therefore fails when
//! it starts ("WebAssembly.Table.set(): Argument 1 is invalid for table").

use std::ops::Range;

use anyhow::{Context, Result, bail};
use wasmparser::{BinaryReader, ExternalKind, Parser, Payload};

/// Restores the indices of the table exports in `after`, the optimised module, to those in `before`. wasm-opt neither
/// adds tables nor reorders them. Returns whether anything was changed.
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

/// The name, the index, and the position of the index of each exported table.
fn table_exports(wasm: &[u8]) -> Result<Vec<(String, u32, Range<usize>)>> {
    let mut tables = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ExportSection(section) = payload? else {
            continue;
        };
        // The section's own iterator does not say where an index stands.
        let at = section.range();
        let (at, end) = (usize::try_from(at.start)?, usize::try_from(at.end)?);
        let mut reader = BinaryReader::new(&wasm[at..end], 0);
        for _ in 0..reader.read_var_u32()? {
            let name = reader.read_string()?;
            let kind = reader.read::<ExternalKind>()?;
            let start = at + reader.current_position();
            let index = reader.read_var_u32()?;
            if kind == ExternalKind::Table {
                tables.push((
                    name.to_owned(),
                    index,
                    start..at + reader.current_position(),
                ));
            }
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one export section: a function `f` with index 0 and a table `t` with `index`.
    fn module(index: u8) -> Vec<u8> {
        const EXPORT_SECTION: u8 = 7;
        const TABLE: u8 = 1;
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([EXPORT_SECTION, 9, 2, 1, b'f', 0, 0, 1, b't', TABLE, index]);
        wasm
    }

    #[test]
    fn the_index_of_a_table_is_restored() {
        let mut after = module(0);
        assert!(repair(&module(1), &mut after).unwrap());
        assert_eq!(after, module(1));
        assert!(!repair(&module(1), &mut after).unwrap());
    }

    #[test]
    fn a_damaged_module_is_refused() {
        assert!(repair(b"nothing", &mut module(0)).is_err());
        assert!(repair(&module(1)[..15], &mut module(0)).is_err());
    }
}
