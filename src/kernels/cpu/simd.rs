//! What the kernels need of SIMD beyond pulp's operations.

use pulp::{Arch, Simd, WithSimd};

/// Runs `operation` compiled for the widest instruction set that this CPU has: AVX-512, AVX2 with FMA, NEON or
/// wasm's SIMD. Which one is found out once, by pulp.
#[inline]
pub(super) fn dispatch<Operation: WithSimd>(operation: Operation) -> Operation::Output {
    Arch::new().dispatch(operation)
}

/// eˣ of every lane, within 2 units in the last place; x is clipped to ±87, where e^x is still a normal number.
///
/// e^x = 2^n · e^r with n = round(x / ln 2) and |r| ≤ ln 2 / 2, for which the Taylor polynomial of degree 6, its
/// coefficients bent to the interval (Cephes' `expf`), is as exact as a 32-bit float.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(
        simd.min_f32s(x, simd.splat_f32s(87.0)),
        simd.splat_f32s(-87.0),
    );
    // Adding 1.5·2²³ leaves round(x / ln 2) in the low bits of the mantissa.
    let shifter = simd.splat_f32s(12_582_912.0);
    let shifted = simd.add_f32s(
        simd.mul_f32s(x, simd.splat_f32s(core::f32::consts::LOG2_E)),
        shifter,
    );
    let n = simd.sub_f32s(shifted, shifter);
    // ln 2 in two parts, of which n times the first is exact.
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.121_944_4e-4), r);
    let p = simd.splat_f32s(1.987_569_1e-4);
    let p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.398_199_9e-3));
    let p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(8.333_452e-3));
    let p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(4.166_579_6e-2));
    let p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.666_666_5e-1));
    let p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(0.5));
    let p = simd.mul_add_e_f32s(
        simd.mul_f32s(r, r),
        p,
        simd.add_f32s(r, simd.splat_f32s(1.0)),
    );
    // 2^n: n moved to the exponent, and added to that of 1.
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.add_u32s(exponent, simd.splat_u32s(1.0f32.to_bits()));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}

/// The logistic function 1 / (1 + e⁻ˣ) of every lane.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}
