//! The teacher of a distillation, and the trajectories that it has drawn.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::Device;
use freeguide::network::UNet;
use freeguide::training::{Draw, Objective, Order, Part, Trajectories, Ways};

/// A teacher, and what it has drawn for its student.
pub struct Teacher {
    /// Without gradients.
    pub network: UNet,
    /// Whether it is a student itself, which takes w.
    takes_guidance: bool,
    /// How often each class is drawn.
    class_counts: Vec<usize>,
    /// The order in which the student sees the rounds, each of a batch.
    order: Order,
    /// What has been drawn, by the round and the images of the batch. They are drawn when they are first seen, so that a
    /// training that is resumed draws those again that it needs, and each process those of its own images.
    drawn: HashMap<(usize, Range<usize>), Trajectories>,
}

impl Teacher {
    /// A teacher that draws `trajectories` pictures in batches of `batch`.
    pub fn new(
        (network, takes_guidance): (UNet, bool),
        class_counts: Vec<usize>,
        (seed, trajectories, batch): (u64, usize, usize),
    ) -> Self {
        Self {
            network,
            takes_guidance,
            class_counts,
            order: Order::new(seed, trajectories.div_ceil(batch).max(1)),
            drawn: HashMap::new(),
        }
    }

    /// The jumps of a draw for a part of a batch, along trajectories. `shape`: `[channels, height, width]`; `device`: without
    /// gradients.
    pub fn ways(
        &mut self,
        objective: &Objective,
        part: &Part,
        draw: &Draw,
        shape: [usize; 3],
        device: &Device,
    ) -> Ways {
        let round = self.order.batch(u64::from(part.step), 1)[0];
        let (network, counts) = (&self.network, &self.class_counts);
        let teacher = (network, self.takes_guidance);
        let drawn = self.drawn.entry((round, part.images.clone()));
        let trajectories = drawn.or_insert_with(|| {
            let part = Part {
                step: round as u32,
                ..part.clone()
            };
            objective.trajectories(teacher, &part, counts, shape, device)
        });
        trajectories.ways(draw)
    }
}
