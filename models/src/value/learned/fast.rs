//! Exponentials that a compiler turns into vector code, and one in vectors.

use pulp::Simd;

/// Adding this leaves a whole number in the low bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ within 2 units of the last place from −87 to 88, and their ends beyond. Cephes' polynomial (Moshier)
/// on x − n ln 2.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// 1 + e⁻ˣ: the polynomial of [`exp`]; x is taken within ±44, beyond which a sigmoid is 0 or 1.
#[inline(always)]
fn one_and_exp_of_minus<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LN_2: f32 = std::f32::consts::LN_2;
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    let x = simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(-44.0)), simd.splat_f32s(44.0));
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(-LOG2_E), simd.splat_f32s(ROUND));
    let n = simd.sub_f32s(shifted, simd.splat_f32s(ROUND));
    // −x = n ln 2 − s; the signs of the odd powers are turned for that.
    let s = simd.mul_add_e_f32s(n, simd.splat_f32s(LN_2), x);
    let mut p = simd.splat_f32s(-1.987_569_1e-4);
    for of in [1.398_2e-3, -8.333_452e-3, 4.166_579_6e-2, -1.666_666_5e-1, 0.5] {
        p = simd.mul_add_e_f32s(p, s, simd.splat_f32s(of));
    }
    let one = simd.splat_f32s(1.0);
    let e = simd.mul_add_e_f32s(p, simd.mul_f32s(s, s), simd.sub_f32s(one, s));
    let bits = simd.splat_u32s(127_u32.wrapping_sub(ROUND.to_bits()));
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(shifted), bits);
    let power = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.mul_add_e_f32s(e, simd.transmute_f32s_u32s(power), one)
}

/// x · sigmoid(x) of two vectors, for one division.
#[inline(always)]
fn silu_of_two<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> (S::f32s, S::f32s) {
    let (a, b) = (one_and_exp_of_minus(simd, x), one_and_exp_of_minus(simd, y));
    // Each is below 2⁶⁴: so is their product below the largest number.
    let both = simd.div_f32s(simd.splat_f32s(1.0), simd.mul_f32s(a, b));
    (simd.mul_f32s(x, simd.mul_f32s(both, b)), simd.mul_f32s(y, simd.mul_f32s(both, a)))
}

/// x · sigmoid(x) of each (Elfwing, Uchibe & Doya 2018).
#[inline(always)]
pub fn silu<S: Simd>(simd: S, values: &mut [f32]) {
    let (wide, rest) = S::as_mut_simd_f32s(values);
    let (pairs, single) = wide.as_chunks_mut::<2>();
    for [x, y] in pairs {
        (*x, *y) = silu_of_two(simd, *x, *y);
    }
    for x in single {
        *x = silu_of_two(simd, *x, *x).0;
    }
    if !rest.is_empty() {
        let x = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, silu_of_two(simd, x, x).0);
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Silu<'a>(&'a mut [f32]);

    impl WithSimd for Silu<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            silu(simd, self.0);
        }
    }

    #[test]
    fn silu_is_that_of_doubles_in_vectors_of_any_width() {
        let xs: Vec<f32> = (-50_000..50_003).map(|k| k as f32 * 2e-3).collect();
        for arch in [Arch::new(), Arch::Scalar] {
            let mut values = xs.clone();
            arch.dispatch(Silu(&mut values));
            for (x, found) in xs.iter().zip(values) {
                let x = f64::from(*x);
                let want = x / (1.0 + (-x).exp());
                assert!(
                    (f64::from(found) - want).abs() < 4e-7 * want.abs().max(1.0),
                    "{x} {found}"
                );
            }
        }
        let mut ends = [f32::INFINITY, -1e30, f32::MIN, 0.0, f32::MAX];
        Arch::new().dispatch(Silu(&mut ends));
        assert_eq!((ends[0], ends[3], ends[4]), (f32::INFINITY, 0.0, f32::MAX));
        assert!(ends.iter().all(|x| !x.is_nan()));
    }

    #[test]
    fn they_are_those_of_the_standard_library() {
        for k in -90_000..90_000 {
            let x = k as f32 * 1e-3;
            let within = x.clamp(-87.0, 88.0);
            assert!((exp(x) / within.exp() - 1.0).abs() < 4e-7, "{x}");
            assert!((tanh(x) - x.tanh()).abs() < 3e-7, "{x}");
        }
        assert!(exp(f32::INFINITY).is_finite() && exp(f32::NEG_INFINITY) > 0.0);
        assert_eq!((sigmoid(0.0), sigmoid(100.0)), (0.5, 1.0));
    }
}
