//! Plans for runs that start from a picture.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RequestError;
use crate::pixels::from_interleaved;
use crate::sampler::{DEFAULT_STRENGTH, Plan, SourceImage};

/// The most repetitions of a step.
pub const MAX_RESAMPLING: usize = 20;

/// A picture as a request carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePixels {
    /// Interleaved bytes of the model's size, grey or RGB as its images are.
    pub image: Vec<u8>,
    /// One byte for each pixel, from 0 where the picture is kept to 255 where it is drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Vec<u8>>,
}

impl Plan {
    /// The plan, for images that start from `source`, if it is given. `dims` is `[channels, height, width]` of the model's
    /// images.
    ///
    /// # Errors
    ///
    /// [`RequestError::Source`] if the picture or its mask has another size, if the mask covers nothing or everything, if
    /// the picture would have no effect, if there are a mask and a symmetry, and if settings of pictures are given without one.
    pub fn from_source(
        self,
        source: Option<&SourcePixels>,
        dims: [usize; 3],
    ) -> Result<Self, RequestError> {
        let refuse = |text: &str| Err(RequestError::Source(text.to_owned()));
        let Some(source) = source else {
            return match (self.strength, self.resampling) {
                (None, 1) => Ok(self),
                (Some(_), _) => refuse("strength needs a picture to start from"),
                (None, _) => refuse("resampling needs a picture to start from, and its mask"),
            };
        };
        let [channels, height, width] = dims;
        let pixels = height * width;
        if source.image.len() != channels * pixels {
            return refuse(&format!(
                "the picture has {} bytes; this model's images have {channels} channels of {width}×{height} pixels",
                source.image.len()
            ));
        }
        let strength = match &source.mask {
            None if self.resampling > 1 => {
                return refuse(
                    "resampling needs a mask: without one no part of the picture is kept",
                );
            }
            None => self.strength.unwrap_or(DEFAULT_STRENGTH),
            Some(_) if self.symmetry.is_some() => {
                return refuse(
                    "symmetry does not go with a mask: what the mask leaves out is kept as it is; leave one of them out",
                );
            }
            Some(mask) if mask.len() != pixels => {
                return refuse(&format!(
                    "the mask has {} pixels; this model's images have {width}×{height}",
                    mask.len()
                ));
            }
            Some(mask) if mask.iter().all(|&covered| covered == 0) => {
                return refuse(
                    "the mask covers nothing: it is white (255) where the picture is drawn anew",
                );
            }
            Some(mask) if mask.iter().all(|&covered| covered == 255) => {
                return refuse(
                    "the mask covers the whole picture: draw without the picture, or without the mask",
                );
            }
            Some(_) => self.strength.unwrap_or(1.0),
        };
        let plan = Self {
            strength: Some(strength),
            source: Some(Arc::new(source.values(dims))),
            ..self
        };
        if source.mask.is_none() && plan.steps_taken() == plan.steps {
            return refuse(
                "with this strength all steps are taken, from noise alone, and the picture has no effect: lower strength",
            );
        }
        Ok(plan)
    }
}

impl SourcePixels {
    fn values(&self, dims: [usize; 3]) -> SourceImage {
        let covered = |&byte: &u8| f32::from(byte) / 255.0;
        SourceImage {
            values: from_interleaved(&self.image, dims),
            mask: self
                .mask
                .as_ref()
                .map(|mask| mask.iter().map(covered).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Symmetry;

    fn picture(mask: Option<Vec<u8>>) -> Option<SourcePixels> {
        let image = vec![200; 12];
        Some(SourcePixels { image, mask })
    }

    fn plan(source: Option<SourcePixels>, change: impl Fn(&mut Plan)) -> Result<Plan, String> {
        let mut plan = Plan::new(vec![Some(0)], 10);
        change(&mut plan);
        plan.from_source(source.as_ref(), [3, 2, 2])
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_picture_is_refused_where_it_would_have_no_effect() {
        let hole = Some(vec![0, 255, 0, 0]);
        let started = plan(picture(None), |_| {}).unwrap();
        assert_eq!((started.strength, started.steps_taken()), (Some(0.6), 6));
        let filled = plan(picture(hole.clone()), |_| {}).unwrap();
        assert_eq!((filled.strength, filled.steps_taken()), (Some(1.0), 10));
        let says = |source, change: fn(&mut Plan), words: &str| {
            let refused = plan(source, change).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        };
        says(None, |plan| plan.strength = Some(0.5), "needs a picture");
        says(None, |plan| plan.resampling = 2, "needs a picture");
        says(picture(None), |plan| plan.resampling = 2, "needs a mask");
        says(picture(None), |plan| plan.strength = Some(1.0), "no effect");
        says(
            picture(None),
            |plan| plan.strength = Some(0.96),
            "no effect",
        );
        let mirrored: fn(&mut Plan) = |plan| plan.symmetry = Some(Symmetry::LeftRight);
        says(
            picture(hole.clone()),
            mirrored,
            "symmetry does not go with a mask",
        );
        assert!(plan(picture(None), mirrored).is_ok());
        says(picture(Some(vec![0; 4])), |_| {}, "covers nothing");
        says(
            picture(Some(vec![255; 4])),
            |_| {},
            "covers the whole picture",
        );
        says(picture(Some(vec![255; 5])), |_| {}, "the mask has 5 pixels");
        let small = Some(SourcePixels {
            image: vec![0; 3],
            mask: hole,
        });
        says(small, |_| {}, "3 channels of 2×2 pixels");
    }
}
