//! Distillation to few steps: a student learns where the guided probability flow of its teacher leads from one level to
//! the next, as the prediction with which one DDIM step lands there.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::distillation::strengths;
use super::{Draw, Noisy, Objective, Part, column, stream};
use crate::denoiser::Denoiser;
use crate::network::FlowMap;
use crate::noise_level::LogSnr;

/// Where the landing of a jump comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The teacher goes all the way in short steps.
    #[default]
    Rollout,
    /// Of the most steps, the teacher goes all the way; of fewer, the student's own two jumps of half the length are one of
    /// this length. It is progressive distillation (Salimans & Ho 2022) of all numbers of steps at once, as shortcut
    /// models have it (Frans et al. 2024).
    Bootstrap,
    /// The teacher goes one short step, and the student jumps the rest of the way from there: multistep consistency
    /// distillation (Heek et al. 2024; Song et al. 2023).
    Consistency,
    /// The teacher draws a number of pictures first, and the student learns the jumps of their trajectories again and again.
    Trajectories,
}

/// How a flow map is learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jumps {
    /// The numbers of steps.
    pub map: FlowMap,
    /// Where landings come from.
    pub method: Method,
    /// The teacher's short steps from noise to clean; a power of two above `map.max_steps`.
    pub teacher_steps: usize,
}

/// A jump of the student, in u.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// Where it starts.
    pub from: f64,
    /// Where it lands.
    pub to: f64,
    /// Of how many steps it is one.
    pub steps: usize,
}

/// A part of the way of a jump.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Leg {
    from: f64,
    to: f64,
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Teacher,
    Student,
}

impl Jumps {
    /// The jump of each image of a part of a batch: one of the steps of a run, whose number of steps is drawn first.
    pub(super) fn draw(&self, part: &Part) -> Vec<Jump> {
        let numbers: Vec<usize> = self.map.steps().collect();
        let mut stream = part.stream(stream::JUMPS);
        stream.skip(4 * part.images.start as u64);
        let mut below = |bound: usize| (stream.uniform() * bound as f64) as usize;
        part.images
            .clone()
            .map(|_| {
                let steps = numbers[below(numbers.len())];
                // In short steps of the teacher.
                let length = self.teacher_steps / steps;
                let start = below(self.teacher_steps);
                let end = (start / length + 1) * length;
                let start = match self.method {
                    // The student is asked in the middle of its jumps too.
                    Method::Consistency => start,
                    Method::Rollout | Method::Bootstrap | Method::Trajectories => end - length,
                };
                let u = |place: usize| 1.0 - place as f64 / self.teacher_steps as f64;
                Jump {
                    from: u(start),
                    to: u(end),
                    steps,
                }
            })
            .collect()
    }

    /// The way of a jump.
    fn legs(&self, jump: &Jump) -> Vec<Leg> {
        let short = 1.0 / self.teacher_steps as f64;
        let count = ((jump.from - jump.to) / short).round() as usize;
        let place = |k: usize| jump.from + (jump.to - jump.from) * k as f64 / count as f64;
        let leg = |first: usize, last: usize, by: By| Leg {
            from: place(first),
            to: place(last),
            by,
        };
        match self.method {
            Method::Bootstrap if jump.steps < self.map.max_steps => {
                let middle = count / 2;
                vec![leg(0, middle, By::Student), leg(middle, count, By::Student)]
            }
            Method::Consistency if count > 1 => {
                vec![leg(0, 1, By::Teacher), leg(1, count, By::Student)]
            }
            _ => (0..count).map(|k| leg(k, k + 1, By::Teacher)).collect(),
        }
    }
}

impl Objective {
    /// What the student is to predict for images `x`, `[images, channels, height, width]` in [−1, 1]: the prediction with
    /// which a DDIM step from the jump's start lands where the teacher, or the student as it is now, says. `x` and both
    /// networks are on a device without gradients.
    ///
    /// # Panics
    ///
    /// If the objective is not of a flow map.
    pub fn landing_lesson<T: Denoiser + ?Sized, S: Denoiser + ?Sized>(
        &self,
        (teacher, student): (&T, &S),
        x: Tensor<4>,
        draw: &Draw,
    ) -> Tensor<4> {
        let noisy = Noisy::new(x, draw);
        let jumps = self.jumps.as_ref().expect("an objective of a flow map");
        let legs: Vec<Vec<Leg>> = draw.jumps.iter().map(|jump| jumps.legs(jump)).collect();
        let longest = legs.iter().map(Vec::len).max().unwrap_or(0);
        let w = strengths(draw, &noisy.z);
        let mut z = noisy.z.clone();
        for k in 0..longest {
            for by in [By::Teacher, By::Student] {
                let rows = legs.iter().enumerate();
                let at = |(row, legs): (usize, &Vec<Leg>)| Some((row, *legs.get(k)?));
                let rows: Vec<_> = rows
                    .filter_map(at)
                    .filter(|(_, leg)| leg.by == by)
                    .collect();
                if rows.is_empty() {
                    continue;
                }
                let (places, legs): (Vec<usize>, Vec<Leg>) = rows.into_iter().unzip();
                let rows = Rows {
                    places: indices(&places, &z),
                    from: legs
                        .iter()
                        .map(|leg| self.log_snr.log_snr(leg.from))
                        .collect(),
                    to: legs
                        .iter()
                        .map(|leg| self.log_snr.log_snr(leg.to))
                        .collect(),
                };
                let pick = |of: &Tensor<1>| of.clone().select(0, rows.places.clone());
                let classes = noisy.classes.clone().select(0, rows.places.clone());
                let start = z.clone().select(0, rows.places.clone());
                let levels = rows.levels(&z);
                let prediction = match by {
                    By::Teacher => {
                        let [level, _] = levels;
                        teacher.predict_guided(start.clone(), level, classes, pick(&w))
                    }
                    By::Student => student.predict_jump(start.clone(), levels, classes, pick(&w)),
                };
                let moved = self.ddim(prediction.cast(start.dtype()), &start, &rows) - start;
                z = z.select_assign(0, rows.places, moved, IndexingUpdateOp::Add);
            }
        }
        self.prediction_to(noisy.z, z, draw)
    }

    /// A DDIM step of every row.
    fn ddim(&self, prediction: Tensor<4>, z: &Tensor<4>, rows: &Rows) -> Tensor<4> {
        let of = |levels: &[LogSnr], value: fn(LogSnr) -> f64| column(levels, value, &z.device());
        let (alpha, sigma) = (of(&rows.from, LogSnr::alpha), of(&rows.from, LogSnr::sigma));
        let x = self
            .target
            .clean(prediction, z.clone(), alpha.clone(), sigma.clone())
            .clamp(-1.0, 1.0);
        let epsilon = (z.clone() - x.clone() * alpha) / sigma;
        x * of(&rows.to, LogSnr::alpha) + epsilon * of(&rows.to, LogSnr::sigma)
    }

    /// The prediction at the start `z` of each jump with which a DDIM step lands on `landing` (Salimans & Ho 2022,
    /// appendix G): x̃ = (z_t − (σ_t/σ_s) z_s)/(α_t − (σ_t/σ_s) α_s).
    pub(super) fn prediction_to(&self, z: Tensor<4>, landing: Tensor<4>, draw: &Draw) -> Tensor<4> {
        let device = landing.device();
        let of = |levels: &[LogSnr], value: fn(LogSnr) -> f64| column(levels, value, &device);
        let to = self.landings(draw);
        let (alpha, sigma) = (
            of(&draw.log_snr, LogSnr::alpha),
            of(&draw.log_snr, LogSnr::sigma),
        );
        let ratio = of(&to, LogSnr::sigma) / sigma.clone();
        let signal = of(&to, LogSnr::alpha) - ratio.clone() * alpha.clone();
        let x = (landing - z.clone() * ratio) / signal;
        let epsilon = (z - x.clone() * alpha.clone()) / sigma.clone();
        self.target.of(x, epsilon, alpha, sigma)
    }

    /// λ where each jump lands.
    fn landings(&self, draw: &Draw) -> Vec<LogSnr> {
        let jumps = draw.jumps.iter();
        jumps.map(|jump| self.log_snr.log_snr(jump.to)).collect()
    }

    /// λ where each jump starts and where it lands, `[images]` each, on the device of `like`.
    pub(super) fn jump_levels(&self, draw: &Draw, like: &Tensor<4>) -> [Tensor<1>; 2] {
        [draw.log_snr.clone(), self.landings(draw)].map(|levels| levels_of(&levels, like))
    }

    /// The weighted mean squared error of the student against a [`landing_lesson`](Self::landing_lesson) for the same images
    /// and draw; a scalar, `[1]`.
    pub fn flow_map_loss<D: Denoiser + ?Sized>(
        &self,
        student: &D,
        x: Tensor<4>,
        draw: &Draw,
        lesson: Tensor<4>,
    ) -> Tensor<1> {
        let noisy = Noisy::new(x, draw);
        let w = strengths(draw, &noisy.z);
        let levels = self.jump_levels(draw, &noisy.z);
        let prediction = student.predict_jump(noisy.z, levels, noisy.classes, w);
        self.error(prediction, lesson, draw)
    }
}

/// Some rows of a batch and the levels of their legs.
struct Rows {
    places: Tensor<1, Int>,
    from: Vec<LogSnr>,
    to: Vec<LogSnr>,
}

impl Rows {
    fn levels(&self, like: &Tensor<4>) -> [Tensor<1>; 2] {
        [&self.from, &self.to].map(|levels| levels_of(levels, like))
    }
}

/// λ of each row, `[rows]`.
fn levels_of(levels: &[LogSnr], like: &Tensor<4>) -> Tensor<1> {
    let values: Vec<f32> = levels.iter().map(|level| level.0 as f32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &like.device())
}

fn indices(places: &[usize], like: &Tensor<4>) -> Tensor<1, Int> {
    let values: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &like.device())
}

#[cfg(test)]
mod tests;
