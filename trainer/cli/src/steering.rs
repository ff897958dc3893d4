//! Arguments of `sample` that say which levels are visited and what guidance makes of them.

use clap::Args;
use freeguide::guidance::{Policy, Projection};
use freeguide::noise_level::LogSnrRange;
use freeguide::sampler::{Grid, Spacing};
use freeguide::settings::{Request, SamplingDefaults};

use freeguide_native::usage::Usage;

/// Levels and guidance beyond its strength.
#[derive(Debug, Args)]
pub struct Steering {
    /// What is made of the two estimates: cfg (the paper's mix), apg (adaptive projected guidance,
    /// Sadat et al. 2024) or cfg++ (Chung et al. 2024; w from -1 to 0, -0.4 unless given).
    #[arg(long, value_name = "NAME", value_parser = policy)]
    pub guidance_policy: Option<Policy>,
    /// Guide only between these λ = log(α²/σ²), in nats; outside, the plain conditional model draws
    /// in one pass (Kynkäänniemi et al. 2024).
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = range)]
    pub guidance_interval: Option<LogSnrRange>,
    /// With cfg: how much of the conditional prediction's contrast is restored, from 0 to 1 (Lin et
    /// al. 2023).
    #[arg(long, value_name = "PHI")]
    pub guidance_rescale: Option<f64>,
    /// With apg: how much of the change along the estimate stays, from 0 to 1; 0 unless given.
    #[arg(long, value_name = "ETA")]
    pub apg_eta: Option<f64>,
    /// With apg: the momentum, above -1 and below 1; -0.5 unless given.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub apg_momentum: Option<f64>,
    /// With apg: the largest norm of the change of an image; none unless given.
    #[arg(long, value_name = "R")]
    pub apg_norm: Option<f64>,
    /// How the noise levels are spread: uniform-u (the paper's, of ddim and ancestral),
    /// uniform-lambda or karras (of dpm++2m and heun), and of imported models leading or trailing,
    /// which are diffusers' choices of timesteps.
    #[arg(long, value_name = "NAME", value_parser = spacing)]
    pub grid: Option<Spacing>,
    /// The λ, in nats, from the first level to the last.
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = range)]
    pub grid_range: Option<LogSnrRange>,
    /// ρ of the karras grid; 7 unless given.
    #[arg(long, value_name = "RHO")]
    pub grid_rho: Option<f64>,
    /// Take the last step of dpm++2m and heun in second order too.
    #[arg(long)]
    pub full_order_last: bool,
}

impl Steering {
    /// Writes what was asked for into `request`, the rest as the model has it.
    ///
    /// # Errors
    ///
    /// [`Usage`] where an option belongs to another policy.
    pub fn apply(&self, request: &mut Request, defaults: &SamplingDefaults) -> Result<(), Usage> {
        request.guidance_interval = self.guidance_interval;
        let policy = self.guidance_policy.unwrap_or(defaults.guidance_policy);
        let apg = [
            ("--apg-eta", self.apg_eta),
            ("--apg-momentum", self.apg_momentum),
            ("--apg-norm", self.apg_norm),
        ];
        let misplaced = |option: &str, wanted: &str| {
            let name = policy.name();
            Usage(format!(
                "{option} belongs to --guidance-policy {wanted}, and the policy is {name}"
            ))
        };
        let steered = match policy {
            Policy::Cfg { rescale } => Policy::Cfg {
                rescale: self.guidance_rescale.unwrap_or(rescale),
            },
            _ if self.guidance_rescale.is_some() => {
                return Err(misplaced("--guidance-rescale", "cfg"));
            }
            Policy::Apg(projection) => Policy::Apg(Projection {
                eta: self.apg_eta.unwrap_or(projection.eta),
                momentum: self.apg_momentum.unwrap_or(projection.momentum),
                norm_threshold: self.apg_norm.or(projection.norm_threshold),
            }),
            Policy::CfgPlusPlus => policy,
        };
        if !matches!(steered, Policy::Apg(_))
            && let Some((option, _)) = apg.into_iter().find(|(_, value)| value.is_some())
        {
            return Err(misplaced(option, "apg"));
        }
        request.guidance_policy = (steered != defaults.guidance_policy).then_some(steered);

        if self.grid.is_some()
            || self.grid_range.is_some()
            || self.grid_rho.is_some()
            || self.full_order_last
        {
            let sampler = request.sampler.unwrap_or(defaults.sampler);
            let own = defaults.grid.filter(|_| sampler == defaults.sampler);
            let mut grid = match self.grid {
                Some(spacing) => Grid::new(spacing),
                None => own.unwrap_or_else(|| sampler.grid()),
            };
            grid.log_snr = self.grid_range.or(grid.log_snr);
            grid.rho = self.grid_rho.unwrap_or(grid.rho);
            grid.lower_order_last &= !self.full_order_last;
            request.grid = Some(grid);
        }
        Ok(())
    }
}

fn policy(name: &str) -> Result<Policy, String> {
    Policy::by_name(name).ok_or_else(|| format!("the policies are {}", Policy::NAMES.join(", ")))
}

fn spacing(name: &str) -> Result<Spacing, String> {
    Spacing::ALL
        .into_iter()
        .find(|s| s.name() == name)
        .ok_or_else(|| {
            let known: Vec<_> = Spacing::ALL.iter().map(|s| s.name()).collect();
            format!("the grids are {}", known.join(", "))
        })
}

fn range(text: &str) -> Result<LogSnrRange, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    match text.split_once(',') {
        Some((min, max)) if let (Some(min), Some(max)) = (number(min), number(max)) => {
            Ok(LogSnrRange { min, max })
        }
        _ => Err("two numbers are wanted, as in -3,5".to_owned()),
    }
}
