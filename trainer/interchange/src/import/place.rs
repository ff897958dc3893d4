//! Converts another program's tensors to ours.

use anyhow::{Context, Result, bail};

use freeguide_readers::weights::{Values, Weights};

/// The source of one of our tensors.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name in a bundle.
    pub ours: String,
    /// The parts that are concatenated. Each part has one or more possible names, of which the first existing one is
    /// used. An empty list is a tensor that the other program does not have.
    pub theirs: Vec<Vec<String>>,
    /// The changes, in order.
    pub steps: Vec<Step>,
}

/// One change of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Drops dimensions of size one after the second: a 1×1 convolution is a linear layer.
    Flatten,
    /// Transposes: linear layers are `[in, out]` here.
    Transpose,
    /// Keeps this number of first rows.
    Rows(usize),
    /// Reorders rows from (head, part, channel) to (part, head, channel) for this number of heads, where the parts are
    /// query, key and value.
    PartsFirst(usize),
    /// Reorders rows from (head, channel, part) to (part, head, channel), where the three parts are query, key and value.
    EveryThird,
    /// Swaps the halves of the columns, so that sines come before cosines.
    SwapColumns,
    /// Moves the row of this class to the end, where ∅ is.
    RowToEnd(usize),
    /// Appends a row of zeros, where ∅ would be.
    ZeroRow,
    /// Makes a row of this number of zeros for a tensor that does not exist.
    Zeros(usize),
}

impl Place {
    /// Reads the tensor.
    ///
    /// # Errors
    ///
    /// If a part is missing or damaged.
    pub fn read(&self, weights: &mut Weights) -> Result<Values> {
        let mut whole = Values {
            shape: vec![0],
            values: Vec::new(),
        };
        for (i, names) in self.theirs.iter().enumerate() {
            let found = names.iter().find(|name| weights.contains(name));
            let name = found.or(names.first()).map_or("", String::as_str);
            let part = weights.values(name)?;
            if i == 0 {
                whole = part;
                continue;
            }
            if whole.shape.is_empty() || part.shape.get(1..) != whole.shape.get(1..) {
                bail!("{name} has shape {:?} beside {:?}", part.shape, whole.shape);
            }
            whole.shape[0] += part.shape[0];
            whole.values.extend(part.values);
        }
        let names = || {
            let names = self.theirs.iter().filter_map(|names| names.first());
            names.cloned().collect::<Vec<_>>().join(", ")
        };
        for &step in &self.steps {
            whole = step
                .apply(whole)
                .with_context(|| format!("the tensor {} does not fit", names()))?;
        }
        Ok(whole)
    }

    /// The names that are used, of those that a file has.
    pub fn used<'a>(&'a self, weights: &'a Weights) -> impl Iterator<Item = &'a str> {
        self.theirs.iter().filter_map(|names| {
            let found = names.iter().find(|name| weights.contains(name));
            found.map(String::as_str)
        })
    }
}

/// Rows of `width` values each.
fn rows(values: &[f32], width: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact(width.max(1))
}

impl Step {
    fn apply(self, tensor: Values) -> Result<Values> {
        let Values {
            mut shape,
            mut values,
        } = tensor;
        if let Self::Zeros(width) = self {
            return Ok(Values {
                shape: vec![1, width],
                values: vec![0.0; width],
            });
        }
        let Some(&height) = shape.first() else {
            bail!("it is a single number");
        };
        let width = values.len() / height.max(1);
        match self {
            Self::Flatten => {
                if shape.iter().skip(2).any(|&d| d != 1) {
                    bail!("it has shape {shape:?} instead of a single pixel");
                }
                shape.truncate(2);
            }
            Self::Transpose => {
                if shape.len() != 2 {
                    bail!("it has shape {shape:?} instead of two dimensions");
                }
                let mut turned = Vec::with_capacity(values.len());
                for column in 0..width {
                    turned.extend(values.iter().skip(column).step_by(width.max(1)));
                }
                (shape, values) = (vec![width, height], turned);
            }
            Self::Rows(count) => {
                if count > height {
                    bail!("it has {height} rows instead of {count}");
                }
                values.truncate(count * width);
                shape[0] = count;
            }
            Self::PartsFirst(heads) => {
                if heads == 0 || height % (3 * heads) != 0 {
                    bail!("its {height} rows cannot be divided among {heads} heads");
                }
                let depth = height / (3 * heads) * width;
                let block = |part: usize, head: usize| {
                    let start = (head * 3 + part) * depth;
                    &values[start..start + depth]
                };
                values = (0..3)
                    .flat_map(|part| (0..heads).flat_map(move |head| block(part, head)))
                    .copied()
                    .collect();
            }
            Self::EveryThird => {
                if height % 3 != 0 {
                    bail!("its {height} rows cannot be divided into query, key and value");
                }
                let of_part = |part: usize| rows(&values, width).skip(part).step_by(3);
                values = (0..3).flat_map(of_part).flatten().copied().collect();
            }
            Self::SwapColumns => {
                let swapped = rows(&values, width).flat_map(|row| {
                    let (first, second) = row.split_at(width / 2);
                    second.iter().chain(first)
                });
                values = swapped.copied().collect();
            }
            Self::RowToEnd(row) => {
                if row >= height {
                    bail!("the null class is {row}, but there are {height} classes");
                }
                values[row * width..].rotate_left(width);
            }
            Self::ZeroRow => {
                values.resize(values.len() + width, 0.0);
                shape[0] += 1;
            }
            Self::Zeros(_) => {}
        }
        Ok(Values { shape, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(step: Step, shape: &[usize], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
        let tensor = Values {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let Values { shape, values } = step.apply(tensor).unwrap();
        (shape, values)
    }

    #[test]
    fn every_step_does_what_it_says() {
        let six = [0., 1., 2., 3., 4., 5.];
        let turned = vec![0., 3., 1., 4., 2., 5.];
        assert_eq!(apply(Step::Transpose, &[2, 3], &six), (vec![3, 2], turned));
        assert_eq!(apply(Step::Flatten, &[2, 3, 1], &six).0, [2, 3]);
        assert_eq!(
            apply(Step::Rows(1), &[2, 3], &six),
            (vec![1, 3], vec![0., 1., 2.])
        );
        let parts = [0., 10., 20., 1., 11., 21.];
        let sorted = vec![0., 1., 10., 11., 20., 21.];
        assert_eq!(apply(Step::PartsFirst(2), &[6], &parts), (vec![6], sorted));
        let every_third = vec![0., 3., 1., 4., 2., 5.];
        assert_eq!(apply(Step::EveryThird, &[6], &six), (vec![6], every_third));
        let swapped = vec![2., 3., 0., 1.];
        assert_eq!(
            apply(Step::SwapColumns, &[1, 4], &six[..4]),
            (vec![1, 4], swapped)
        );
        let last = vec![0., 1., 4., 5., 2., 3.];
        assert_eq!(apply(Step::RowToEnd(1), &[3, 2], &six), (vec![3, 2], last));
        let padded = vec![0., 1., 0.];
        assert_eq!(
            apply(Step::ZeroRow, &[2, 1], &six[..2]),
            (vec![3, 1], padded)
        );
        assert_eq!(apply(Step::Zeros(2), &[0], &[]), (vec![1, 2], vec![0., 0.]));
    }
}
