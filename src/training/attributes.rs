//! Which attributes of an image a step of training shows.

use super::{Draw, Objective, Part, stream};
use crate::condition::Joint;

impl Objective {
    /// As [`draw`](Self::draw), for images with attributes and a number. `null` is the id of ∅, and so the number of attributes.
    ///
    /// With probability `p_uncond` an image is shown without any of them. Else each attribute and the number are left out on
    /// their own with probability `p_drop`, so that the network learns every subset of them. Where there is no `p_drop`, that
    /// probability is drawn anew for every image, uniformly from 0 to 1: then subsets of every size are equally frequent,
    /// however many attributes an image has.
    pub fn draw_joints(&self, part: &Part, joints: &[Joint], null: u32, values: usize) -> Draw {
        let labels: Vec<u32> = joints.iter().map(|joint| joint.first(null)).collect();
        let mut draw = self.draw(part, &labels, null, values);
        let first = part.images.start as u64;
        let mut drop = part.stream(stream::DROP);
        drop.skip(2 * first);
        draw.joints = (first..)
            .zip(joints)
            .map(|(image, joint)| match drop.uniform() < self.p_uncond {
                true => Joint::default(),
                false => self.some(part, image, joint, null),
            })
            .collect();
        draw.classes = draw.joints.iter().map(|joint| joint.first(null)).collect();
        draw
    }

    /// What stays of the labels of image `image` of a batch.
    fn some(&self, part: &Part, image: u64, joint: &Joint, null: u32) -> Joint {
        let mut stream = part.stream(stream::ATTRIBUTES);
        // Two words each for the probability, for every attribute and for the number.
        stream.skip(2 * image * (u64::from(null) + 2));
        let of_image = stream.uniform();
        let p = self.p_drop.unwrap_or(of_image);
        let mut stays = || stream.uniform() >= p;
        let labels = joint.labels.iter().copied().filter(|_| stays()).collect();
        let number = joint.number.filter(|_| stays());
        Joint { labels, number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise_level::LogSnrRange;
    use crate::prediction::Target;
    use crate::training::{Levels, LogNormal, Weighting};

    fn objective(p_drop: Option<f64>) -> Objective {
        Objective {
            target: Target::V,
            log_snr: LogSnrRange::PAPER,
            p_uncond: 0.1,
            p_drop,
            levels: Levels::Stratified,
            log_normal: LogNormal::default(),
            weighting: Weighting::Uniform,
            guidance: None,
            jumps: None,
        }
    }

    const IMAGES: usize = 20_000;

    fn joints() -> Vec<Joint> {
        let joint = Joint {
            labels: vec![1, 4],
            number: Some(7.0),
        };
        vec![joint; IMAGES]
    }

    /// The share of images for which this holds.
    fn share(draw: &Draw, holds: impl Fn(&Joint) -> bool) -> f64 {
        draw.joints.iter().filter(|joint| holds(joint)).count() as f64 / IMAGES as f64
    }

    fn near(found: f64, wanted: f64) {
        let deviation = (wanted * (1.0 - wanted) / IMAGES as f64).sqrt();
        assert!(
            (found - wanted).abs() < 5.0 * deviation,
            "{found} for {wanted}"
        );
    }

    #[test]
    fn each_is_left_out_on_its_own() {
        let part = Part::whole(1, 0, IMAGES);
        let draw = objective(Some(0.25)).draw_joints(&part, &joints(), 5, 1);
        let kept = 0.9 * 0.75;
        near(share(&draw, |joint| joint.labels.contains(&1)), kept);
        near(share(&draw, |joint| joint.labels.contains(&4)), kept);
        near(share(&draw, |joint| joint.number.is_some()), kept);
        let pair = |joint: &Joint| joint.labels == [1, 4] && joint.number.is_none();
        near(share(&draw, pair), 0.9 * 0.75 * 0.75 * 0.25);
        near(share(&draw, Joint::is_empty), 0.1 + 0.9 * 0.25f64.powi(3));
        let first = |(joint, class): (&Joint, &u32)| joint.first(5) == *class;
        assert!(draw.joints.iter().zip(&draw.classes).all(first));
    }

    #[test]
    fn subsets_of_every_size_are_equally_frequent() {
        let part = Part::whole(1, 0, IMAGES);
        let draw = objective(None).draw_joints(&part, &joints(), 5, 1);
        let size = |joint: &Joint| joint.labels.len() + usize::from(joint.number.is_some());
        for wanted in 1..=3 {
            near(share(&draw, |joint| size(joint) == wanted), 0.9 / 4.0);
        }
    }

    #[test]
    fn the_parts_of_a_batch_are_the_batch() {
        let joints = &joints()[..9];
        let whole = objective(None).draw_joints(&Part::whole(3, 2, 9), joints, 5, 3);
        let part = |images: std::ops::Range<usize>| {
            let joints = &joints[images.clone()];
            let part = Part {
                images,
                ..Part::whole(3, 2, 9)
            };
            objective(None).draw_joints(&part, joints, 5, 3)
        };
        let (one, other) = (part(0..4), part(4..9));
        assert_eq!([one.joints, other.joints].concat(), whole.joints);
        assert_eq!([one.classes, other.classes].concat(), whole.classes);
    }
}
