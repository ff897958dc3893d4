//! Plans for networks that were distilled to few steps.

use super::RequestError;
use super::checks::check;
use crate::network::FlowMap;
use crate::noise_level::LogSnrRange;
use crate::sampler::{Plan, Solver};

impl Plan {
    /// The plan for a flow map, a network of few steps on levels of its own: equal steps in u, of which the last leads to
    /// the clean image. `trained` is the range of λ of the model.
    ///
    /// # Errors
    ///
    /// [`RequestError::OutOfRange`] for a number of steps that the network was not made for, and
    /// [`RequestError::Incompatible`] for other solvers and grids.
    pub fn with_flow_map(self, map: &FlowMap, trained: LogSnrRange) -> Result<Self, RequestError> {
        let incompatible = |one: String, why| {
            Err(RequestError::Incompatible {
                one,
                other: "this model".to_owned(),
                why,
            })
        };
        if self.sampler != Solver::Ddim {
            return incompatible(
                format!("sampler {}", self.sampler.name()),
                "it was distilled to few steps of ddim, which are exact for it; leave the sampler out, or draw with the \
                 model that it was distilled from",
            );
        }
        if self.grid != self.sampler.grid() {
            return incompatible(
                "a grid".to_owned(),
                "it was distilled to few steps on levels of its own; leave the grid out, or draw with the model that it \
                 was distilled from",
            );
        }
        if self.source.is_some() {
            return incompatible(
                "a source image".to_owned(),
                "its few steps begin with noise; leave the image out, or draw with the model that it was distilled from",
            );
        }
        if self.tileable {
            return incompatible(
                "tileable".to_owned(),
                "its few steps do not suffice to fit opposite edges to each other; draw with the model that it was distilled from",
            );
        }
        check(
            "steps",
            &self.steps,
            || {
                format!(
                    "{}, to which this model was distilled",
                    map.steps_in_words()
                )
            },
            map.steps().any(|steps| steps == self.steps),
        )?;
        Ok(Self {
            timestep_levels: Some(trained.starts(self.steps)),
            flow_map: true,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{Grid, Spacing};

    #[test]
    fn other_steps_samplers_and_grids_are_refused() {
        let map = FlowMap { max_steps: 8 };
        let plan = |steps| Plan::new(vec![Some(0)], steps);
        let range = LogSnrRange::PAPER;
        for steps in [1, 2, 4, 8] {
            let plan = plan(steps).with_flow_map(&map, range).unwrap();
            let levels = plan.levels(range);
            assert_eq!(levels.len(), steps);
            assert_eq!(levels[0].0, range.min);
            assert!(levels[steps - 1].0 < range.max);
        }
        let error = |plan: Plan| plan.with_flow_map(&map, range).unwrap_err().to_string();
        for steps in [3, 16] {
            let error = error(plan(steps));
            assert!(error.contains("must be 1, 2, 4 or 8, to which"), "{error}");
        }
        let sampler = error(plan(4).with_sampler(Solver::DpmSolver));
        assert!(
            sampler.contains("sampler dpm++2m does not go with"),
            "{sampler}"
        );
        let grid = error(plan(4).with_grid(Grid::new(Spacing::Karras)));
        assert!(grid.contains("levels of its own"), "{grid}");
    }
}
