//! Plans whose levels are a model's timesteps.

use super::RequestError;
use crate::sampler::Plan;
use crate::timesteps::Timesteps;

impl Plan {
    /// The plan with the levels of these timesteps, if its grid needs them. `None` is a model in continuous time.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the grid needs timesteps and the model has none, or too few.
    pub fn on_timesteps(mut self, timesteps: Option<&Timesteps>) -> Result<Self, RequestError> {
        let spacing = self.grid.spacing;
        if !spacing.is_of_timesteps() {
            return Ok(self);
        }
        let Some(timesteps) = timesteps else {
            return Err(RequestError::Incompatible {
                one: format!("grid {}", spacing.name()),
                other: "this model".to_owned(),
                why: "it was trained on continuous time and has no timesteps; take another grid",
            });
        };
        if self.steps > timesteps.count {
            return Err(RequestError::OutOfRange {
                field: "steps",
                value: self.steps.to_string(),
                expected: format!(
                    "from 1 to the model's {} timesteps with the grid {}",
                    timesteps.count,
                    spacing.name()
                ),
            });
        }
        let levels = timesteps.levels();
        let visited = spacing.timesteps(timesteps.count, self.steps);
        let at = |visited: Vec<usize>| visited.into_iter().filter_map(|t| levels.get(t).copied());
        self.timestep_levels = visited.map(|visited| at(visited).collect());
        Ok(self)
    }
}
