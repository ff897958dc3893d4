//! 8-bit weights. A tensor `NAME` of integers q from −127 to 127 comes with a tensor `NAME.scale` of 32-bit floats s. The
//! scale has the same rank, and each of its dimensions is the tensor's or 1. A weight is q · s, with s broadcast along the
//! dimensions of 1. Networks compute in floats.

use std::collections::BTreeMap;

use super::BundleError;

/// The suffix of the name of an 8-bit tensor's scale.
pub const SCALE_SUFFIX: &str = ".scale";

/// The scales whose tensors have not been read yet. Scales come first, because safetensors files are ordered by the size
/// of the type.
#[derive(Debug, Default)]
pub(super) struct Scales {
    waiting: BTreeMap<String, Scale>,
}

#[derive(Debug)]
struct Scale {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Scales {
    /// Checks the shape of the scale of `tensor`, which has the shape `wanted`. Returns whether it is the tensor's first.
    pub(super) fn check(
        &self,
        tensor: &str,
        wanted: &[usize],
        shape: &[usize],
    ) -> Result<bool, BundleError> {
        let fits = shape.len() == wanted.len()
            && shape.iter().zip(wanted).all(|(&s, &w)| s == w || s == 1);
        if !fits {
            let reason = format!("its scale has shape {shape:?}, which does not fit {wanted:?}");
            return Err(error(tensor, reason));
        }
        Ok(!self.waiting.contains_key(tensor))
    }

    /// Keeps the scale of `tensor`.
    pub(super) fn add(&mut self, tensor: &str, shape: Vec<usize>, values: Vec<f32>) {
        let scale = Scale { shape, values };
        self.waiting.insert(tensor.to_owned(), scale);
    }

    /// The weights of the integers of `tensor`.
    pub(super) fn apply(
        &mut self,
        tensor: &str,
        shape: &[usize],
        integers: &[u8],
    ) -> Result<Vec<f32>, BundleError> {
        let Some(scale) = self.waiting.remove(tensor) else {
            let reason = format!("{tensor}{SCALE_SUFFIX} is not in the file before it");
            return Err(error(tensor, reason));
        };
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for (axis, &size) in scale.shape.iter().enumerate().rev() {
            if size > 1 {
                strides[axis] = stride;
            }
            stride *= size;
        }
        let scale_index = |mut index: usize| {
            let mut scale_index = 0;
            for (axis, &size) in shape.iter().enumerate().rev() {
                scale_index += index % size * strides[axis];
                index /= size;
            }
            scale_index
        };
        let weight = |(index, byte): (usize, &u8)| {
            f32::from(i8::from_le_bytes([*byte])) * scale.values[scale_index(index)]
        };
        let values: Vec<f32> = integers.iter().enumerate().map(weight).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(BundleError::NotFinite {
                tensor: tensor.to_owned(),
            }),
        }
    }

    /// Checks that every scale had a tensor of integers.
    pub(super) fn all_applied(&self) -> Result<(), BundleError> {
        match self.waiting.keys().next() {
            Some(tensor) => Err(error(
                tensor,
                "it has a scale but no 8-bit integers".to_owned(),
            )),
            None => Ok(()),
        }
    }
}

fn error(tensor: &str, reason: String) -> BundleError {
    BundleError::Scale {
        tensor: tensor.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(shape: &[usize], scale: &[usize], values: &[f32], integers: &[i8]) -> Vec<f32> {
        let mut scales = Scales::default();
        assert_eq!(scales.check("a", shape, scale), Ok(true));
        scales.add("a", scale.to_vec(), values.to_vec());
        assert_eq!(scales.check("a", shape, scale), Ok(false));
        let bytes: Vec<u8> = integers.iter().flat_map(|v| v.to_le_bytes()).collect();
        let weights = scales.apply("a", shape, &bytes).unwrap();
        assert_eq!(scales.all_applied(), Ok(()));
        weights
    }

    #[test]
    fn scales_repeat_along_dimensions_of_one() {
        let integers = [1, -2, 3, 4, -127, 127];
        let rows = applied(&[2, 3], &[2, 1], &[0.5, 2.0], &integers);
        assert_eq!(rows, [0.5, -1.0, 1.5, 8.0, -254.0, 254.0]);
        let columns = applied(&[2, 3], &[1, 3], &[1.0, 10.0, 100.0], &integers);
        assert_eq!(columns, [1.0, -20.0, 300.0, 4.0, -1270.0, 12700.0]);
        let conv = applied(&[2, 1, 1, 3], &[2, 1, 1, 1], &[0.5, 2.0], &integers);
        assert_eq!(conv, rows);
        assert_eq!(applied(&[2], &[1], &[3.0], &[1, 2]), [3.0, 6.0]);
        let each = applied(&[2, 2], &[2, 2], &[1.0, 2.0, 3.0, 4.0], &[1, 1, 1, 1]);
        assert_eq!(each, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_scale_that_does_not_fit_is_named() {
        let mut scales = Scales::default();
        let misfit = scales.check("a.weight", &[2, 3], &[3]);
        let message = misfit.unwrap_err().to_string();
        assert!(
            message.contains("a.weight")
                && message.contains("shape [3], which does not fit [2, 3]"),
            "{message}"
        );
        let missing = scales
            .apply("a.weight", &[1], &[1])
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("a.weight.scale is not in the file before it"),
            "{missing}"
        );
        scales.add("b", vec![1], vec![f32::MAX]);
        assert!(
            scales
                .all_applied()
                .unwrap_err()
                .to_string()
                .contains("no 8-bit integers")
        );
        let kind = scales.apply("b", &[1], &[127]).unwrap_err();
        assert_eq!(kind.kind(), "not-finite");
    }
}
