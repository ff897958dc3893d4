//! Whether numbers of a request are within their ranges.

use std::fmt::Debug;

use super::RequestError;
use crate::guidance::Policy;
use crate::noise_level::LogSnrRange;
use crate::sampler::{Grid, MAX_RHO};

pub(super) fn check_policy(policy: &Policy) -> Result<(), RequestError> {
    match policy {
        Policy::Cfg { rescale } => check(
            "guidance_policy.rescale",
            rescale,
            || "from 0 to 1".to_owned(),
            (0.0..=1.0).contains(rescale),
        ),
        Policy::Apg(projection) => {
            check(
                "guidance_policy.eta",
                &projection.eta,
                || "from 0 to 1".to_owned(),
                (0.0..=1.0).contains(&projection.eta),
            )?;
            check(
                "guidance_policy.momentum",
                &projection.momentum,
                || "above −1 and below 1".to_owned(),
                projection.momentum.abs() < 1.0,
            )?;
            check(
                "guidance_policy.norm_threshold",
                &projection.norm_threshold,
                || "a finite number above 0".to_owned(),
                projection
                    .norm_threshold
                    .is_none_or(|r| r > 0.0 && r.is_finite()),
            )
        }
        Policy::CfgPlusPlus => Ok(()),
    }
}

pub(super) fn check_grid(grid: &Grid, trained: LogSnrRange) -> Result<(), RequestError> {
    check(
        "grid.rho",
        &grid.rho,
        || format!("from 1 to {MAX_RHO}"),
        (1.0..=MAX_RHO).contains(&grid.rho),
    )?;
    let Some(range) = grid.log_snr else {
        return Ok(());
    };
    if grid.spacing.is_of_timesteps() {
        return Err(RequestError::Incompatible {
            one: "grid.log_snr".to_owned(),
            other: format!("the spacing {}", grid.spacing.name()),
            why: "it visits timesteps, wherever their levels are",
        });
    }
    check(
        "grid.log_snr",
        &(range.min, range.max),
        || {
            let LogSnrRange { min, max } = trained;
            format!("two numbers in nats, min < max, within the model's own {min} to {max}")
        },
        range.is_valid() && range.min >= trained.min && range.max <= trained.max,
    )
}

pub(super) fn check(
    field: &'static str,
    value: &dyn Debug,
    expected: impl FnOnce() -> String,
    ok: bool,
) -> Result<(), RequestError> {
    if ok {
        return Ok(());
    }
    Err(RequestError::OutOfRange {
        field,
        // As Debug writes it: 1e300, not three hundred digits.
        value: format!("{value:?}"),
        expected: expected(),
    })
}
