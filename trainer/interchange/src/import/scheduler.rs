//! The schedule of a diffusers folder: `scheduler_config.json`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use freeguide::network::LogSnrEmbedding;
use freeguide::noise_level::LogSnrRange;
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

/// Those that sample a network which was trained by flow matching and is shown N · s for (1 − s) x + s ε.
const FLOW: [&str; 2] = [
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
];

/// Those that sample a network with the preconditioning of EDM (Karras et al. 2022), which is shown ¼ ln σ.
const EDM: [&str; 2] = ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"];

/// Whether the class of a schedule is one of these. Files of before diffusers 0.3 do not say.
fn is_of(read: &Scheduler, classes: &[&str]) -> bool {
    (read._class_name.as_deref()).is_some_and(|class| classes.contains(&class))
}

/// Refuses by its name a class whose schedule is another, such as that of consistency models.
fn check_class(path: &Path, read: &Scheduler) -> Result<()> {
    if let Some(class) = &read._class_name
        && !FAMILY.contains(&class.as_str())
    {
        bail!(
            "{}: the schedule of {class} cannot be imported; those of DDPMScheduler and its family, EDMEulerScheduler and FlowMatchEulerDiscreteScheduler can",
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
    /// What the network is shown of a noise level.
    pub time: Time,
    /// What the network predicts.
    pub target: Target,
    /// Whether the estimate of the clean image is clipped to [−1, 1].
    pub clip: bool,
}

/// How a network is told a noise level.
#[derive(Debug)]
pub enum Time {
    /// By its timestep in a schedule.
    Steps(Timesteps),
    /// By λ itself, of levels in a range.
    LogSnr(LogSnrEmbedding, LogSnrRange),
}

/// Reads a schedule.
pub fn read(path: &Path) -> Result<Schedule> {
    let read: Scheduler = super::json(path)?;
    if is_of(&read, &FLOW) {
        return flow(path, &read);
    }
    if is_of(&read, &EDM) {
        return edm(path, &read);
    }
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
        time: Time::Steps(timesteps),
        target,
        // A range other than ours cannot be represented.
        clip: read.clip_sample && read.clip_sample_range == 1.0,
    })
}

/// Flow matching. A shift of the levels only changes which of them sampling visits.
fn flow(path: &Path, read: &Scheduler) -> Result<Schedule> {
    if read.invert_sigmas == Some(true) {
        bail!(
            "{}: its network is shown the share of the image (invert_sigmas), which cannot be imported",
            path.display()
        );
    }
    Ok(Schedule {
        time: Time::Steps(Timesteps {
            count: read.num_train_timesteps.saturating_add(1),
            betas: Betas::Flow,
            scale: 1.0,
        }),
        target: Target::Velocity,
        clip: false,
    })
}

/// EDM. The network is shown ¼ ln s of s = σ/α, which is −λ/8.
fn edm(path: &Path, read: &Scheduler) -> Result<Schedule> {
    let name = path.display();
    if read.prediction_type != "epsilon" {
        bail!(
            "{name}: a network in EDM's preconditioning whose prediction_type is {} cannot be imported; epsilon can",
            read.prediction_type
        );
    }
    let deviation = read.sigma_data.unwrap_or(0.5);
    if deviation != 0.5 {
        bail!("{name}: its sigma_data is {deviation}; 0.5 can be imported");
    }
    let level = |s: f64| -2.0 * s.ln();
    let range = LogSnrRange {
        min: level(read.sigma_max.unwrap_or(80.0)),
        max: level(read.sigma_min.unwrap_or(0.002)),
    };
    if !range.is_valid() {
        bail!("{name}: its sigma_min and sigma_max are not two levels of noise");
    }
    let embedding = LogSnrEmbedding {
        min: -8.0,
        max: 0.0,
        scale: 1.0,
    };
    Ok(Schedule {
        time: Time::LogSnr(embedding, range),
        target: Target::Edm,
        clip: false,
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
            "FlowMatchLCMScheduler",
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
    fn flow_matching_is_velocity_on_a_straight_line() {
        let read = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#;
        let read = read_text(read).unwrap();
        assert_eq!((read.target, read.clip), (Target::Velocity, false));
        let Time::Steps(timesteps) = read.time else {
            panic!("it is shown timesteps");
        };
        assert_eq!(timesteps.validate(), Ok(()));
        // At timestep 250 of 1000 a quarter is noise.
        let level = timesteps.levels()[250];
        assert!((level.sigma() / (level.alpha() + level.sigma()) - 0.25).abs() < 1e-12);
        let inverted =
            r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true}"#;
        let error = read_text(inverted).unwrap_err().to_string();
        assert!(error.contains("invert_sigmas"), "{error}");
        let long = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 18446744073709551615}"#;
        let Time::Steps(timesteps) = read_text(long).unwrap().time else {
            panic!("it is shown timesteps");
        };
        assert!(timesteps.validate().is_err());
    }

    #[test]
    fn edm_is_its_preconditioning_and_nothing_near_it() {
        let text = |more: &str| format!(r#"{{"_class_name": "EDMEulerScheduler"{more}}}"#);
        let read = read_text(&text("")).unwrap();
        assert_eq!(read.target, Target::Edm);
        let Time::LogSnr(embedding, range) = read.time else {
            panic!("it is shown λ");
        };
        // ¼ ln 80 at the most noise, from λ = −2 ln 80.
        let shown = embedding.scale * (embedding.max - range.min) / (embedding.max - embedding.min);
        assert!((shown - 0.25 * 80f64.ln()).abs() < 1e-12);
        for (more, word) in [
            (r#", "prediction_type": "v_prediction""#, "v_prediction"),
            (r#", "sigma_data": 1.0"#, "sigma_data is 1"),
            (r#", "sigma_min": 0"#, "sigma_min"),
            (r#", "sigma_min": 90.0"#, "sigma_min"),
        ] {
            let error = read_text(&text(more)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
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
