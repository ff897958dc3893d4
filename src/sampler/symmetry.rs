//! Symmetric pictures: mirrored, or the same after a quarter turn.
//!
//! The noise is the same at the places that the symmetry exchanges, and the network's answer is averaged over them. Latents then
//! stay symmetric at every step, and so the answers for all mirrored latents would be the mirrored answers: the average over
//! them needs no evaluation but the one.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// The symmetry of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// The right half is the mirror image of the left one.
    LeftRight,
    /// The lower half is the mirror image of the upper one.
    TopBottom,
    /// Both: each quarter is a mirror image of its neighbours.
    Both,
    /// Every quarter turn gives the same picture.
    QuarterTurn,
}

/// Where the pixel at `[row, column]` of a square of a size comes from.
type Move = fn([usize; 2], usize) -> [usize; 2];

impl Symmetry {
    /// Every symmetry, in the order in which they are offered.
    pub const ALL: [Self; 4] = [
        Self::LeftRight,
        Self::TopBottom,
        Self::Both,
        Self::QuarterTurn,
    ];

    /// The name in settings, commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeftRight => "left-right",
            Self::TopBottom => "top-bottom",
            Self::Both => "both",
            Self::QuarterTurn => "quarter-turn",
        }
    }

    /// Where the pixel at `[row, column]` of a square of `size` comes from, by each of the moves whose averages, one after
    /// another, make a picture symmetric. Each is of order two on what the moves before it leave, so that one more pair is
    /// added at a time and the sums of exchanged pixels have the same bits.
    fn moves(self) -> &'static [Move] {
        match self {
            Self::LeftRight => &[mirrored],
            Self::TopBottom => &[overturned],
            Self::Both => &[overturned, mirrored],
            Self::QuarterTurn => &[turned_twice, turned],
        }
    }
}

fn mirrored([row, column]: [usize; 2], size: usize) -> [usize; 2] {
    [row, size - 1 - column]
}

fn overturned([row, column]: [usize; 2], size: usize) -> [usize; 2] {
    [size - 1 - row, column]
}

fn turned([row, column]: [usize; 2], size: usize) -> [usize; 2] {
    [size - 1 - column, row]
}

fn turned_twice(place: [usize; 2], size: usize) -> [usize; 2] {
    turned(turned(place, size), size)
}

/// A [`Symmetry`] of the images of a run, on its device.
#[derive(Debug, Clone)]
pub(super) struct Symmetric {
    /// The pixel that each pixel is a copy of: the first, row by row, of those that are the same.
    first: Tensor<1, Int>,
    /// Where each pixel comes from by each of the moves.
    moves: Vec<Tensor<1, Int>>,
}

impl Symmetric {
    /// For square images with sides of `size` pixels.
    pub(super) fn new(symmetry: Symmetry, size: usize, device: &Device) -> Self {
        let places = (0..size * size).map(|at| [at / size, at % size]);
        let tables: Vec<Vec<usize>> = symmetry
            .moves()
            .iter()
            .map(|from| {
                let moved = places.clone().map(|place| from(place, size));
                moved.map(|[row, column]| row * size + column).collect()
            })
            .collect();
        // The least of a pixel and what each move brings to it, which has the least of those before.
        let all: Vec<usize> = (0..size * size).collect();
        let first = tables.iter().fold(all, |known, from| least(&known, from));
        let tensor = |table: &Vec<usize>| {
            let indices: Vec<i32> = table.iter().map(|&at| at as i32).collect();
            Tensor::from_data(TensorData::new(indices, [size * size]), device)
        };
        Self {
            first: tensor(&first),
            moves: tables.iter().map(tensor).collect(),
        }
    }

    /// Pictures that are symmetric because the pixels of one part are copied to the others: noise stays Gaussian, with
    /// the same deviation everywhere.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, size, size]`, also the result.
    pub(super) fn copied(&self, images: Tensor<4>) -> Tensor<4> {
        moved(images, &self.first)
    }

    /// Pictures that are symmetric because the pixels that belong together are averaged, to the last bit.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, size, size]`, also the result.
    pub(super) fn averaged(&self, images: Tensor<4>) -> Tensor<4> {
        self.moves.iter().fold(images, |images, from| {
            (images.clone() + moved(images, from)) * 0.5
        })
    }
}

fn least(known: &[usize], from: &[usize]) -> Vec<usize> {
    let both = from.iter().enumerate();
    both.map(|(at, &from)| known[at].min(known[from])).collect()
}

fn moved(images: Tensor<4>, from: &Tensor<1, Int>) -> Tensor<4> {
    let dims = images.dims();
    let [batch, channels, height, width] = dims;
    let pixels = images.reshape([batch, channels, height * width]);
    pixels.select(2, from.clone()).reshape(dims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(images: Tensor<4>) -> Vec<f32> {
        images.into_data().iter::<f32>().collect()
    }

    fn picture(size: usize) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * size * size)
            .map(|at| ((at * at) % 101) as f32 * 0.37)
            .collect();
        let data = TensorData::new(values, [1, 2, size, size]);
        Tensor::from_data(data, &Device::flex())
    }

    #[test]
    fn one_part_is_copied_to_the_others() {
        let data = TensorData::from([[[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]);
        let images = Tensor::<4>::from_data(data, &Device::flex());
        let copied = |symmetry| {
            let symmetric = Symmetric::new(symmetry, 3, &Device::flex());
            read(symmetric.copied(images.clone()))
        };
        let expected = [
            [1.0, 2.0, 1.0, 4.0, 5.0, 4.0, 7.0, 8.0, 7.0],
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0],
            [1.0, 2.0, 1.0, 4.0, 5.0, 4.0, 1.0, 2.0, 1.0],
            [1.0, 2.0, 1.0, 2.0, 5.0, 2.0, 1.0, 2.0, 1.0],
        ];
        assert_eq!(Symmetry::ALL.map(copied).as_slice(), &expected);
    }

    #[test]
    fn copies_and_averages_are_symmetric_to_the_last_bit() {
        for symmetry in Symmetry::ALL {
            for size in 1..6 {
                let symmetric = Symmetric::new(symmetry, size, &Device::flex());
                for made in [
                    symmetric.copied(picture(size)),
                    symmetric.averaged(picture(size)),
                ] {
                    for from in &symmetric.moves {
                        assert_eq!(read(moved(made.clone(), from)), read(made.clone()));
                    }
                    assert_eq!(read(symmetric.copied(made.clone())), read(made));
                }
            }
        }
    }

    #[test]
    fn an_average_is_that_of_burns_mirrored_and_turned_pictures() {
        let images = picture(4);
        let turn = |images: Tensor<4>| images.swap_dims(2, 3).flip([3]);
        let all: [Vec<Tensor<4>>; 4] = [
            vec![images.clone(), images.clone().flip([3])],
            vec![images.clone(), images.clone().flip([2])],
            vec![
                images.clone(),
                images.clone().flip([3]),
                images.clone().flip([2]),
                images.clone().flip([2, 3]),
            ],
            vec![
                images.clone(),
                turn(images.clone()),
                turn(turn(images.clone())),
                turn(turn(turn(images.clone()))),
            ],
        ];
        for (symmetry, parts) in Symmetry::ALL.into_iter().zip(all) {
            let count = parts.len() as f32;
            let expected = parts.into_iter().reduce(|a, b| a + b).unwrap() / count;
            let found = Symmetric::new(symmetry, 4, &Device::flex()).averaged(images.clone());
            for (found, expected) in read(found).into_iter().zip(read(expected)) {
                assert!((found - expected).abs() < 1e-5, "{symmetry:?}");
            }
        }
    }
}
