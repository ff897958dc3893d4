//! The guidance of one run.

use burn::tensor::Tensor;

use super::{Branches, GuideModel, GuidedRows, Policy, plus_plus, projected, rescale};
use crate::clip::Clip;
use crate::condition::Condition;
use crate::denoiser::Class;
use crate::noise_level::{LogSnr, LogSnrRange};
use crate::prediction::{Estimate, Target};

/// What a solver follows from one level.
#[derive(Debug, Clone)]
pub struct Guided {
    /// x̃ and ε̃ of every image.
    pub estimate: Estimate,
    /// The latents that they belong to, z = α x̃ + σ ε̃: those that the network saw, but for CFG++.
    pub z: Tensor<4>,
}

/// Plans the rows of every level of a run and mixes what the network answers.
#[derive(Debug, Clone)]
pub struct Guide {
    policy: Policy,
    interval: Option<LogSnrRange>,
    inside: GuidedRows,
    outside: GuidedRows,
    /// The memory of [`projected`].
    average: Option<Tensor<4>>,
}

impl Guide {
    /// For images of these conditions with these strengths w, one of each an image; `null` is the id
    /// of ∅. Guidance leads away from the class `negative`, or from ∅ where that is `None`.
    ///
    /// With an `interval` only levels within it (both ends included) are guided (Kynkäänniemi et
    /// al. 2024, "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality
    /// in Diffusion Models", section 3); outside it every image that has a class is drawn by the
    /// plain conditional model, in one pass.
    pub fn new(
        classes: &[Condition],
        guidance: &[f64],
        policy: Policy,
        interval: Option<LogSnrRange>,
        null: u32,
        negative: Class,
    ) -> Self {
        let plain = vec![0.0; guidance.len()];
        Self {
            inside: GuidedRows::new(classes, guidance, null, negative, |w| policy.needs_both(w)),
            outside: GuidedRows::new(classes, &plain, null, None, |_| false),
            policy,
            interval,
            average: None,
        }
    }

    /// As [`new`](Self::new), with the estimate of another model in the place of the unconditional one. The guide is asked
    /// of the class of each image, or of the class `negative`; levels that it was not trained on are not guided.
    pub fn of_model(
        classes: &[Condition],
        guidance: &[f64],
        policy: Policy,
        interval: Option<LogSnrRange>,
        null: u32,
        negative: Class,
        guide: &GuideModel,
    ) -> Self {
        let plain = vec![0.0; guidance.len()];
        let asked = |image: usize| guide.condition(&classes[image], negative);
        Self {
            inside: GuidedRows::of_model(classes, guidance, null, (&asked, guide.null()), |w| {
                policy.needs_both(w)
            }),
            outside: GuidedRows::new(classes, &plain, null, None, |_| false),
            policy,
            interval: Some(guide.interval(interval)),
            average: None,
        }
    }

    /// For a network that takes w as an input, and answers with the guided prediction itself.
    pub fn of_input(classes: &[Condition], guidance: &[f64], null: u32) -> Self {
        let rows = GuidedRows::of_input(classes, guidance, null);
        Self {
            inside: rows.clone(),
            outside: rows,
            policy: Policy::default(),
            interval: None,
            average: None,
        }
    }

    /// The rows of an evaluation at this level.
    pub fn rows(&self, level: LogSnr) -> &GuidedRows {
        match self.interval {
            Some(range) if level.0 < range.min || level.0 > range.max => &self.outside,
            _ => &self.inside,
        }
    }

    /// The memory of [`projected`], where there is one.
    pub(crate) fn average(&self) -> Option<&Tensor<4>> {
        self.average.as_ref()
    }

    /// How many images are guided, where guidance has an effect.
    pub(crate) fn guided(&self) -> usize {
        self.inside.guided()
    }

    /// Replaces the memory, to continue another run.
    pub(crate) fn set_average(&mut self, average: Option<Tensor<4>>) {
        self.average = average;
    }

    /// Reads the network's answer to [`rows`](Self::rows), [`merged`](GuidedRows::merged), for the latents `z`. With a model
    /// as the guide, its answers follow those of the network.
    ///
    /// # Shapes
    ///
    /// `output`: `[images + guided images, channels, height, width]`; `z`: `[images, channels, height, width]`.
    pub fn mix(
        &mut self,
        output: &Tensor<4>,
        z: &Tensor<4>,
        level: LogSnr,
        target: Target,
        clip: Clip,
    ) -> Guided {
        let rows = self.rows(level);
        let own = rows.first(output);
        let plain = |own| target.read(own, z, level, clip);
        if rows.guided() == 0 {
            return Guided {
                estimate: plain(own),
                z: z.clone(),
            };
        }
        // Copied, because the memory changes while the rows are in use.
        let rows = rows.clone();
        let w = rows.strength();
        let branches = Branches {
            conditional: rows.pick(own.clone()),
            unconditional: rows.second(output),
            z: rows.pick(z.clone()),
            level,
            target,
            clip,
        };
        let mixed = match self.policy {
            Policy::Cfg { rescale: 0.0 } => branches.read(branches.mix(w)),
            Policy::Cfg { rescale: phi } => {
                let conditional = branches.conditional.clone();
                branches.read(rescale(branches.mix(w), conditional, phi))
            }
            Policy::Apg(settings) => projected(&branches, w, &settings, &mut self.average),
            Policy::CfgPlusPlus => plus_plus(&branches, w),
        };
        let estimate = if mixed.x.dims() == z.dims() {
            mixed
        } else {
            let own = plain(own);
            Estimate {
                x: rows.replace(own.x, mixed.x),
                epsilon: rows.replace(own.epsilon, mixed.epsilon),
            }
        };
        let z = match self.policy {
            Policy::CfgPlusPlus => {
                estimate.x.clone() * level.alpha() + estimate.epsilon.clone() * level.sigma()
            }
            Policy::Cfg { .. } | Policy::Apg(_) => z.clone(),
        };
        Guided { estimate, z }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Joint;
    use burn::tensor::{Device, TensorData};

    fn conditions(classes: &[Class]) -> Vec<Condition> {
        classes.iter().map(|&class| class.into()).collect()
    }

    const LEVEL: LogSnr = LogSnr(0.0);

    /// What the network of these tests answers: a row is its class id.
    fn answers(guide: &Guide, images: usize, level: LogSnr) -> (Vec<u32>, Tensor<4>, Tensor<4>) {
        let classes = guide.rows(level).classes().to_vec();
        let device = Device::flex();
        let values: Vec<f32> = classes.iter().map(|&c| c as f32).collect();
        let output = Tensor::from_data(TensorData::new(values, [classes.len(), 1, 1, 1]), &device);
        (classes, output, Tensor::zeros([images, 1, 1, 1], &device))
    }

    /// The mix of ids, read back from ε̃ of an estimate that is not clipped.
    fn predict(classes: &[Class], w: &[f64]) -> (Vec<f32>, Vec<u32>) {
        predict_each(&conditions(classes), w)
    }

    fn predict_each(classes: &[Condition], w: &[f64]) -> (Vec<f32>, Vec<u32>) {
        let mut guide = Guide::new(classes, w, Policy::default(), None, 9, None);
        let (rows, output, z) = answers(&guide, classes.len(), LEVEL);
        let output = guide.rows(LEVEL).merged(output);
        let guided = guide.mix(&output, &z, LEVEL, Target::Epsilon, Clip::Off);
        let epsilon = guided.estimate.epsilon.into_data();
        (epsilon.as_slice::<f32>().unwrap().to_vec(), rows)
    }

    #[test]
    fn the_mix_is_the_papers() {
        // (1 + w) c − w ∅ with c = 2, ∅ = 9.
        let (out, rows) = predict(&[Some(2), Some(4)], &[3.0, 3.0]);
        assert_eq!(out, [4.0 * 2.0 - 3.0 * 9.0, 4.0 * 4.0 - 3.0 * 9.0]);
        assert_eq!(rows, [2, 4, 9, 9]);
    }

    #[test]
    fn rows_without_effect_are_not_run() {
        assert_eq!(
            predict(&[Some(2), Some(4)], &[0.0, 0.0]),
            (vec![2.0, 4.0], vec![2, 4])
        );
        assert_eq!(predict(&[Some(2)], &[-1.0]), (vec![9.0], vec![9]));
        assert_eq!(predict(&[None], &[5.0]), (vec![9.0], vec![9]));
    }

    #[test]
    fn with_w_as_an_input_every_image_has_one_row() {
        let classes = conditions(&[Some(2), None, Some(4)]);
        let mut guide = Guide::of_input(&classes, &[3.0, 1.0, -1.0], 9);
        let (rows, output, z) = answers(&guide, 3, LEVEL);
        assert_eq!(rows, [2, 9, 4]);
        assert_eq!(guide.rows(LEVEL).input(), Some(&[3.0, 1.0, -1.0][..]));
        assert_eq!(guide.rows(LEVEL).evaluations(0), 1);
        let guided = guide.mix(&output, &z, LEVEL, Target::Epsilon, Clip::Off);
        let epsilon = guided.estimate.epsilon.into_data();
        assert_eq!(epsilon.as_slice::<f32>().unwrap(), [2.0, 9.0, 4.0]);
    }

    #[test]
    fn every_image_may_have_its_own_class_and_strength() {
        let (out, rows) = predict(&[Some(1), None, Some(3), Some(5)], &[0.0, 2.0, 1.0, 2.0]);
        assert_eq!(out, [1.0, 9.0, 2.0 * 3.0 - 9.0, 3.0 * 5.0 - 2.0 * 9.0]);
        assert_eq!(rows, [1, 9, 3, 5, 9, 9]);
    }

    #[test]
    fn a_mix_is_the_weighted_mean_of_its_classes_estimates() {
        let mix = |parts: &[(u32, f64)]| Condition::Mix(parts.to_vec());
        let three = mix(&[(2, 0.5), (4, 0.25), (6, 0.25)]);
        let two = mix(&[(8, 0.25), (4, 0.75)]);
        let classes = [three.clone(), Condition::Class(Some(1)), two, three];
        let (out, rows) = predict_each(&classes, &[1.0, 0.0, 3.0, -1.0]);
        assert_eq!(rows, [2, 1, 8, 9, 9, 9, 4, 6, 4]);
        assert_eq!(out, [2.0 * 3.5 - 9.0, 1.0, 4.0 * 5.0 - 3.0 * 9.0, 9.0]);
        let guide = Guide::new(&classes, &[1.0; 4], Policy::default(), None, 9, None);
        let rows = guide.rows(LEVEL);
        assert_eq!([0, 1, 2].map(|image| rows.evaluations(image)), [4, 2, 3]);
        assert_eq!(rows.images(), [0, 1, 2, 3, 0, 1, 2, 3, 0, 0, 2, 3, 3]);
        // With w as an input every row has that of its image.
        let guide = Guide::of_input(&classes, &[1.0, 0.0, 3.0, -1.0], 9);
        let (rows, output, _) = answers(&guide, 4, LEVEL);
        assert_eq!(rows, [2, 1, 8, 2, 4, 6, 4, 4, 6]);
        let w = guide.rows(LEVEL).input().unwrap();
        assert_eq!(w, [1.0, 0.0, 3.0, -1.0, 1.0, 1.0, 3.0, -1.0, -1.0]);
        let merged = guide.rows(LEVEL).merged(output).into_data();
        assert_eq!(merged.as_slice::<f32>().unwrap(), [3.5, 1.0, 5.0, 3.5]);
    }

    #[test]
    fn attributes_one_by_one_add_up_from_the_unconditional_estimate() {
        let each = |labels: &[u32]| {
            Condition::each(Joint {
                labels: labels.to_vec(),
                number: None,
            })
        };
        let classes = [
            each(&[2, 4]),
            Condition::Class(Some(1)),
            each(&[2, 4, 6]),
            each(&[2, 4]),
        ];
        let (out, rows) = predict_each(&classes, &[1.0, 1.0, 0.0, -1.0]);
        // Where an image is guided, its second row is the term of ∅ too.
        assert_eq!(rows, [2, 1, 2, 9, 9, 9, 4, 4, 6, 9]);
        let conditional = [2.0 + 4.0 - 9.0, 1.0, 2.0 + 4.0 + 6.0 - 2.0 * 9.0];
        let guided = conditional.map(|c| 2.0 * c - 9.0);
        assert_eq!(out, [guided[0], guided[1], conditional[2], 9.0]);
        let guide = Guide::new(&classes, &[1.0; 4], Policy::default(), None, 9, None);
        let rows = guide.rows(LEVEL);
        assert_eq!([0, 1, 2].map(|image| rows.evaluations(image)), [3, 2, 4]);
        // Away from another class, ∅ needs a row of its own.
        let guide = Guide::new(&classes[..1], &[1.0], Policy::default(), None, 9, Some(5));
        assert_eq!(guide.rows(LEVEL).classes(), [2, 5, 4, 9]);
    }

    #[test]
    fn rows_of_several_labels_say_all_of_them() {
        let joint = Joint {
            labels: vec![2, 4],
            number: Some(30.0),
        };
        let classes = [Condition::joint(joint.clone()), Condition::Class(Some(1))];
        let guide = Guide::new(&classes, &[1.0; 2], Policy::default(), None, 9, None);
        let rows = guide.rows(LEVEL);
        assert_eq!(rows.classes(), [2, 1, 9, 9]);
        let one = Joint::class(Some(1));
        let expected = [joint, one, Joint::default(), Joint::default()];
        assert_eq!(rows.joints(), Some(&expected[..]));
        let classes = conditions(&[Some(1), None]);
        let guide = Guide::new(&classes, &[1.0; 2], Policy::default(), None, 9, None);
        assert_eq!(guide.rows(LEVEL).joints(), None);
    }

    #[test]
    fn a_negative_class_takes_the_place_of_no_class() {
        let rows = |classes: &[Class], w: &[f64]| {
            let classes = conditions(classes);
            let guide = Guide::new(&classes, w, Policy::default(), None, 9, Some(5));
            guide.rows(LEVEL).classes().to_vec()
        };
        // An image without a class is led away from the negative one too.
        assert_eq!(rows(&[Some(2), None], &[3.0, 3.0]), [2, 9, 5, 5]);
        assert_eq!(rows(&[Some(2), None], &[0.0, -1.0]), [2, 5]);
    }

    #[test]
    fn another_model_is_asked_of_the_same_classes_under_its_own_ids() {
        let guide_model = |classes: Vec<u32>| GuideModel {
            name: "worse".to_owned(),
            classes,
            null_class: true,
            range: LogSnrRange {
                min: -1.0,
                max: 2.0,
            },
        };
        let mix = Condition::Mix(vec![(0, 0.25), (2, 0.75)]);
        let classes = [Condition::Class(Some(2)), Condition::Class(None), mix];
        let rows = |guide: &GuideModel, w: [f64; 3], negative, level| {
            let policy = Policy::default();
            let guide = Guide::of_model(&classes, &w, policy, None, 3, negative, guide);
            let rows = guide.rows(LogSnr(level)).clone();
            let of_guide = rows.of_guide().map(|rows| rows.classes().to_vec());
            (rows.classes().to_vec(), of_guide.unwrap_or_default(), rows)
        };
        let same = guide_model(vec![1, 0, 2]);
        let (own, other, counted) = rows(&same, [1.0, 1.0, 1.0], None, 0.0);
        assert_eq!((own, other), (vec![2, 3, 0, 2], vec![2, 3, 1, 2]));
        assert_eq!([0, 1, 2].map(|image| counted.evaluations(image)), [2, 2, 4]);
        // At w = −1 the estimate is the guide's; at w = 0 the guide is not asked.
        let (own, other, _) = rows(&same, [0.0, -1.0, 1.0], None, 0.0);
        assert_eq!((own, other), (vec![2, 3, 0, 2], vec![3, 1, 2]));
        assert_eq!(rows(&same, [1.0; 3], Some(0), 0.0).1, [1, 1, 1]);
        assert_eq!(
            rows(&guide_model(Vec::new()), [1.0; 3], None, 0.0).1,
            [0, 0, 0]
        );
        for outside in [-1.1, 2.1] {
            assert!(rows(&same, [1.0; 3], None, outside).1.is_empty());
        }
    }

    #[test]
    fn outside_the_interval_the_second_pass_is_skipped() {
        let interval = Some(LogSnrRange {
            min: -1.0,
            max: 2.0,
        });
        let guide = Guide::new(
            &conditions(&[Some(1), None]),
            &[3.0, 3.0],
            Policy::default(),
            interval,
            9,
            None,
        );
        let rows = |level| guide.rows(LogSnr(level)).classes().to_vec();
        assert_eq!(rows(-1.1), [1, 9]);
        assert_eq!(rows(-1.0), [1, 9, 9]);
        assert_eq!(rows(2.0), [1, 9, 9]);
        assert_eq!(rows(2.1), [1, 9]);
    }

    #[test]
    fn cfg_plus_plus_noises_with_the_unconditional_estimate() {
        let mut guide = Guide::new(
            &conditions(&[Some(2), None]),
            &[-0.4, 0.0],
            Policy::CfgPlusPlus,
            None,
            9,
            None,
        );
        let (rows, output, z) = answers(&guide, 2, LEVEL);
        assert_eq!(rows, [2, 9, 9]);
        let z = z + 5.0;
        let guided = guide.mix(&output, &z, LEVEL, Target::Epsilon, Clip::Off);
        let (alpha, sigma) = (LEVEL.alpha(), LEVEL.sigma());
        let x = [0.6 * 2.0 + 0.4 * 9.0, 9.0].map(|epsilon| (5.0 - sigma * epsilon) / alpha);
        let found = |tensor: Tensor<4>| -> Vec<f64> { tensor.into_data().iter().collect() };
        let close = |found: Vec<f64>, wanted: [f64; 2]| {
            let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(near, "{found:?} for {wanted:?}");
        };
        close(found(guided.estimate.x), x);
        close(found(guided.estimate.epsilon), [9.0, 9.0]);
        close(found(guided.z), x.map(|x| alpha * x + sigma * 9.0));
    }
}
