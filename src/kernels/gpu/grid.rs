//! How many cubes a kernel starts.

use burn_cubecl::cubecl::{self, prelude::*};

/// The most cubes that a dimension of a dispatch may have on every adapter (WebGPU, section 3.6.2).
const MOST: usize = 65_535;

/// So many cubes as a rectangle of them that no dimension is too large for. It may have a few more, which have nothing to
/// do: [`cube_index`] numbers them, and a kernel knows how many it needs.
fn rectangle(cubes: usize) -> [usize; 2] {
    let across = cubes.clamp(1, MOST);
    [across, cubes.div_ceil(across)]
}

/// [`rectangle`] as a kernel is launched with it.
pub(in crate::kernels::gpu) fn cube_count(cubes: usize) -> CubeCount {
    let [across, down] = rectangle(cubes);
    CubeCount::Static(across as u32, down as u32, 1)
}

/// The number of the cube that asks, row by row.
#[cube]
pub(in crate::kernels::gpu) fn cube_index() -> usize {
    CUBE_POS_Y as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_dimension_is_larger_than_every_adapter_allows() {
        for cubes in [0, 1, 65_535, 65_536, 1_000_003, 4_000_000_000] {
            let [across, down] = rectangle(cubes);
            assert!(across <= MOST && down <= MOST, "{cubes}: {across} × {down}");
            assert!(across * down >= cubes && across * down < cubes + MOST);
        }
        assert_eq!(rectangle(65_536), [65_535, 2]);
    }
}
