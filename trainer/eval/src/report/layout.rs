//! How figures are put together: what is a line of a plot, a column of a table, a row of it.

use freeguide::sampler::Solver;

use crate::figures::{CellFigures, Figures, Metrics, NetworkFigures};

/// The labels and metrics of real images with noise, and of those with a blur.
pub fn worse_floors(network: &NetworkFigures) -> Vec<(String, &Metrics)> {
    let noise = network.noise.iter().map(|floor| {
        let label = format!("real with noise of {}/255", floor.deviation);
        (label, &floor.metrics)
    });
    let blur = network.blur.iter().map(|floor| {
        let label = format!("real with a blur of {} pixels", floor.deviation);
        (label, &floor.metrics)
    });
    noise.chain(blur).collect()
}

/// The Fréchet distance, with its standard deviation where that is known.
pub fn distance(metrics: &Metrics) -> String {
    let distance = figure(metrics.frechet_distance);
    match metrics.frechet_distance_deviation {
        Some(deviation) => format!("{distance} ± {}", figure(deviation)),
        None => distance,
    }
}

/// Evaluations of networks for an image, and of a classifier's gradient where there are any.
pub fn evaluations(cell: &CellFigures) -> String {
    match cell.gradient_evaluations {
        0 => cell.evaluations.to_string(),
        gradients => format!("{} + {gradients} gradients", cell.evaluations),
    }
}

/// Cells that differ only in w.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The index of the model.
    pub model: usize,
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
}

impl Group {
    /// The group of a cell.
    pub fn of(cell: &CellFigures) -> Self {
        Self {
            model: cell.model,
            sampler: cell.sampler,
            steps: cell.steps,
        }
    }

    /// All groups, in the order of the sweep.
    pub fn all(network: &NetworkFigures) -> Vec<Self> {
        let mut groups = Vec::new();
        for group in network.cells.iter().map(Self::of) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// Its cells with their indices, in ascending order of w.
    pub fn cells(self, network: &NetworkFigures) -> Vec<(usize, &CellFigures)> {
        let cells = network.cells.iter().enumerate();
        let mut cells: Vec<_> = cells.filter(|(_, cell)| Self::of(cell) == self).collect();
        cells.sort_by(|a, b| a.1.guidance.total_cmp(&b.1.guidance));
        cells
    }

    /// Its label in a legend: the model and, if there are several samplings, the sampling.
    pub fn label(self, figures: &Figures, network: &NetworkFigures) -> String {
        let model = model_label(figures, self.model);
        let several = Self::all(network)
            .iter()
            .any(|g| (g.sampler, g.steps) != (self.sampler, self.steps));
        match several {
            true => format!("{model}, {}", sampling(self.sampler, self.steps)),
            false => model,
        }
    }
}

/// `emoji16 (p_uncond 0.15)`.
pub fn model_label(figures: &Figures, model: usize) -> String {
    let info = &figures.models[model];
    format!("{} (p_uncond {})", info.label, info.p_uncond)
}

/// `ddim, 32 steps`.
pub fn sampling(sampler: Solver, steps: usize) -> String {
    format!("{}, {steps} steps", sampler.name())
}

/// A table laid out as in the paper: one row per w, one column per model, FD / IS in each field.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperTable {
    /// The solver.
    pub sampler: Solver,
    /// T.
    pub steps: usize,
    /// The models of its columns.
    pub models: Vec<usize>,
    /// The w of each row, with its fields.
    pub rows: Vec<(f64, Vec<Option<Field>>)>,
}

/// A field of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// The Fréchet distance, and whether it is the best of its column.
    pub distance: (f64, bool),
    /// The Inception Score, and whether it is the best of its column.
    pub score: (f64, bool),
}

impl PaperTable {
    /// One table per sampling. Empty if each table would have a single row.
    pub fn all(network: &NetworkFigures) -> Vec<Self> {
        let groups = Group::all(network);
        if groups.len() > 1 && strengths(network).len() == 1 {
            return Vec::new();
        }
        let mut ways: Vec<(Solver, usize)> = Vec::new();
        for way in groups.iter().map(|g| (g.sampler, g.steps)) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        let table = |(sampler, steps)| Self::new(network, &groups, sampler, steps);
        ways.into_iter().map(table).collect()
    }

    fn new(network: &NetworkFigures, groups: &[Group], sampler: Solver, steps: usize) -> Self {
        let columns: Vec<Group> = groups
            .iter()
            .copied()
            .filter(|g| (g.sampler, g.steps) == (sampler, steps))
            .collect();
        let mut strengths: Vec<f64> = columns
            .iter()
            .flat_map(|g| g.cells(network))
            .map(|(_, cell)| cell.guidance)
            .collect();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        let field = |group: &Group, w: f64| {
            let cells = group.cells(network);
            let metrics = cells.iter().map(|(_, cell)| &cell.metrics);
            let best = metrics
                .clone()
                .map(|m| m.frechet_distance)
                .fold(f64::INFINITY, f64::min);
            let highest = metrics
                .map(|m| m.inception_score)
                .fold(f64::NEG_INFINITY, f64::max);
            let (_, cell) = cells.iter().find(|(_, cell)| cell.guidance == w)?;
            let (distance, score) = (cell.metrics.frechet_distance, cell.metrics.inception_score);
            Some(Field {
                distance: (distance, distance == best),
                score: (score, score == highest),
            })
        };
        Self {
            sampler,
            steps,
            models: columns.iter().map(|g| g.model).collect(),
            rows: strengths
                .iter()
                .map(|&w| (w, columns.iter().map(|g| field(g, w)).collect()))
                .collect(),
        }
    }
}

/// All w of the sweep, in ascending order.
pub fn strengths(network: &NetworkFigures) -> Vec<f64> {
    let mut strengths: Vec<f64> = network.cells.iter().map(|c| c.guidance).collect();
    strengths.sort_by(f64::total_cmp);
    strengths.dedup();
    strengths
}

/// At most `count` of `items`, evenly spaced, including the first and the last.
pub fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count || count < 2 {
        return items.iter().take(count.max(1)).cloned().collect();
    }
    let last = items.len() - 1;
    (0..count)
        .map(|k| items[(k * last + (count - 1) / 2) / (count - 1)].clone())
        .collect()
}

/// A figure with a suitable number of digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        v if v >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading_keeps_the_ends() {
        assert_eq!(spread(&[1, 2, 3], 5), [1, 2, 3]);
        assert_eq!(spread(&(0..11).collect::<Vec<_>>(), 3), [0, 5, 10]);
        assert_eq!(spread(&(0..10).collect::<Vec<_>>(), 4), [0, 3, 6, 9]);
    }
}
