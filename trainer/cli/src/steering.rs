//! Arguments of `sample` that choose the noise levels and the guidance policy.

use clap::Args;
use freeguide::guidance::{Policy, Projection};
use freeguide::noise_level::LogSnrRange;
use freeguide::sampler::{Grid, Spacing};
use freeguide::settings::{Request, SamplingDefaults};

use freeguide_native::usage::Usage;

/// The noise levels, and the settings of guidance other than its strength.
#[derive(Debug, Args)]
pub struct Steering {
    /// The guidance policy, which combines the two estimates: cfg (the paper's), apg (adaptive projected
    /// guidance, Sadat et al. 2024) or cfg++ (Chung et al. 2024; w from -1 to 0, by default -0.4).
    #[arg(long, value_name = "NAME", value_parser = policy)]
    pub guidance_policy: Option<Policy>,
    /// Use guidance only between these λ = log(α²/σ²), in nats. Outside, only the conditional estimate is
    /// computed (Kynkäänniemi et al. 2024).
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = range)]
    pub guidance_interval: Option<LogSnrRange>,
    /// With cfg: guidance rescale φ, from 0 to 1; restores the contrast of the conditional prediction (Lin
    /// et al. 2023).
    #[arg(long, value_name = "PHI")]
    pub guidance_rescale: Option<f64>,
    /// With apg: η, how much of the parallel component is kept, from 0 to 1; by default 0.
    #[arg(long, value_name = "ETA")]
    pub apg_eta: Option<f64>,
    /// With apg: the momentum β, between -1 and 1; by default -0.5.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub apg_momentum: Option<f64>,
    /// With apg: r, the largest norm of the guidance update of an image; by default unlimited.
    #[arg(long, value_name = "R")]
    pub apg_norm: Option<f64>,
    /// The spacing of the noise levels: uniform-u (the paper's, default of ddim and ancestral),
    /// uniform-lambda, karras (default of dpm++2m and heun) or, for imported models, leading or trailing,
    /// the timestep spacings of diffusers.
    #[arg(long, value_name = "NAME", value_parser = spacing)]
    pub grid: Option<Spacing>,
    /// The range of λ of the grid, in nats.
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true, value_parser = range)]
    pub grid_range: Option<LogSnrRange>,
    /// ρ of the karras grid; by default 7.
    #[arg(long, value_name = "RHO")]
    pub grid_rho: Option<f64>,
    /// Use second order in the last step of dpm++2m and heun too.
    #[arg(long)]
    pub full_order_last: bool,
}

impl Steering {
    /// Writes the given options into `request`. The others have the model's values.
    ///
    /// # Errors
    ///
    /// [`Usage`], if an option belongs to another policy.
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
                "{option} belongs to --guidance-policy {wanted}, but the policy is {name}"
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
        _ => Err("expected two numbers, such as -3,5".to_owned()),
    }
}
