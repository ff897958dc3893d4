//! The schedule of a diffusers folder: `scheduler_config.json`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use freeguide::prediction::Target;
use freeguide::timesteps::{Betas, Timesteps};

use freeguide_readers::diffusers::Scheduler;

/// The name of the file.
pub const SCHEDULER_FILE: &str = "scheduler_config.json";

/// The classes of diffusers that sample a network which was trained with a schedule of betas and is shown its timesteps.
/// What else they are called with only changes how they sample.
const FAMILY: [&str; 24] = [
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DDIMInverseScheduler",
    "PNDMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverMultistepInverseScheduler",
    "DPMSolverSinglestepScheduler",
    "DPMSolverSDEScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
    "LCMScheduler",
    "RePaintScheduler",
    "SASolverScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
    // Their names in Flax, for the same schedules.
    "FlaxDDPMScheduler",
    "FlaxDDIMScheduler",
];

/// Refuses by its name a class whose schedule is another: EDM's, flow matching, consistency models.
fn check_class(path: &Path, read: &Scheduler) -> Result<()> {
    // Files of before diffusers 0.3 do not say.
    if let Some(class) = &read._class_name
        && !FAMILY.contains(&class.as_str())
    {
        bail!(
            "{}: the schedule of {class} cannot be imported; those of DDPMScheduler and its family can, which are of betas and timesteps",
            path.display()
        );
    }
    if read.use_flow_sigmas == Some(true) {
        bail!(
            "{}: its network was trained by flow matching (use_flow_sigmas), which cannot be imported",
            path.display()
        );
    }
    if let Some(kind) = read
        .timestep_type
        .as_deref()
        .filter(|&kind| kind != "discrete")
    {
        bail!(
            "{}: its network is shown {kind} timesteps, and discrete ones can be imported",
            path.display()
        );
    }
    Ok(())
}

/// What a schedule says about a model.
#[derive(Debug)]
pub struct Schedule {
    /// Its timesteps.
    pub timesteps: Timesteps,
    /// What the network predicts.
    pub target: Target,
    /// Whether the estimate of the clean image is clipped to [−1, 1].
    pub clip: bool,
}

/// Reads a schedule.
pub fn read(path: &Path) -> Result<Schedule> {
    let read: Scheduler = super::json(path)?;
    check_class(path, &read)?;
    let target = match read.prediction_type.as_str() {
        "epsilon" => Target::Epsilon,
        "v_prediction" => Target::V,
        other => bail!(
            "{}: its network predicts the {other}; epsilon and v_prediction can be imported",
            path.display()
        ),
    };
    let (start, end) = (read.beta_start, read.beta_end);
    let betas = match (read.trained_betas, read.beta_schedule.as_str()) {
        (Some(values), _) => Betas::List { values },
        (None, "linear") => Betas::Linear { start, end },
        (None, "scaled_linear") => Betas::ScaledLinear { start, end },
        (None, "squaredcos_cap_v2") => Betas::SquaredCosine,
        (None, other) => bail!(
            "{}: the schedule {other} cannot be imported; linear, scaled_linear, squaredcos_cap_v2 and a list of trained_betas can",
            path.display()
        ),
    };
    let mut timesteps = Timesteps {
        count: read.num_train_timesteps,
        betas,
        scale: 1.0,
    };
    if read.rescale_betas_zero_snr {
        // Checked before anything of the claimed length is computed.
        timesteps
            .validate()
            .with_context(|| path.display().to_string())?;
        timesteps = without_last_signal(&timesteps);
    }
    Ok(Schedule {
        timesteps,
        target,
        // A range other than ours cannot be represented.
        clip: read.clip_sample && read.clip_sample_range == 1.0,
    })
}

/// Rescales a schedule to zero terminal SNR (Lin et al. 2023, algorithm 1): √ᾱ is shifted and scaled so that it ends at
/// 0 and starts at the same value.
fn without_last_signal(timesteps: &Timesteps) -> Timesteps {
    let roots: Vec<f64> = timesteps.levels().iter().map(|l| l.alpha()).collect();
    let (first, last) = match (roots.first(), roots.last()) {
        (Some(&first), Some(&last)) if first > last => (first, last),
        // It cannot be scaled. The check of the schedule reports why.
        _ => return timesteps.clone(),
    };
    let alpha_bars = roots
        .iter()
        .map(|root| ((root - last) * first / (first - last)).powi(2));
    let mut before = 1.0;
    let betas = alpha_bars.map(|alpha_bar| {
        let beta = 1.0 - alpha_bar / before;
        before = alpha_bar;
        beta
    });
    Timesteps {
        betas: Betas::List {
            values: betas.collect(),
        },
        ..timesteps.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Schedule> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        read(file.path())
    }

    #[test]
    fn classes_of_another_family_are_refused_by_name() {
        for class in [
            "CMStochasticIterativeScheduler",
            "FlowMatchEulerDiscreteScheduler",
            "EDMEulerScheduler",
            "EDMDPMSolverMultistepScheduler",
            "ScoreSdeVeScheduler",
            "KarrasVeScheduler",
            "UnCLIPScheduler",
        ] {
            let error = read_text(&format!(r#"{{"_class_name": "{class}"}}"#)).unwrap_err();
            assert!(error.to_string().contains(class), "{error}");
        }
        for class in ["DDPMScheduler", "DDIMScheduler", "EulerDiscreteScheduler"] {
            read_text(&format!(r#"{{"_class_name": "{class}"}}"#)).unwrap();
        }
        read_text("{}").unwrap();
        for setting in [
            r#""use_flow_sigmas": true"#,
            r#""timestep_type": "continuous""#,
        ] {
            let text = format!(r#"{{"_class_name": "EulerDiscreteScheduler", {setting}}}"#);
            assert!(read_text(&text).is_err(), "{setting}");
        }
    }

    #[test]
    fn no_signal_is_left_at_the_last_timestep() {
        let linear = Timesteps {
            count: 1000,
            betas: Betas::Linear {
                start: 1e-4,
                end: 0.02,
            },
            scale: 1.0,
        };
        let rescaled = without_last_signal(&linear);
        assert_eq!(rescaled.validate(), Ok(()));
        let (before, after) = (linear.levels(), rescaled.levels());
        assert!((before[0].0 - after[0].0).abs() < 1e-9);
        assert!((after[999].alpha().powi(2).log2() + 32.0).abs() < 1e-6);
        // diffusers' rescale_zero_terminal_snr, for this schedule at 500: 0.0747.
        let shifted =
            (before[500].alpha() - before[999].alpha()) / (before[0].alpha() - before[999].alpha());
        let expected = (shifted * before[0].alpha()).powi(2);
        assert!((after[500].alpha().powi(2) - expected).abs() < 1e-9);
    }
}
