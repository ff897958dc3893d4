//! FID's Inception-v3: the network of the "2015-12-05" TensorFlow graph (Szegedy et al. 2015), as pytorch-fid ported
//! it.
//!
//! It differs from the Inception-v3 of other libraries: average pools leave the padding out of their mean, the pool of
//! the very last block takes the maximum, there are 1008 classes, and its weights are its own. Any of these changes
//! FID.

use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};

use freeguide::classifier::layers::{Conv, ConvShape, Linear, Padding, global_average};
use freeguide::classifier::{LayerError, Tensors};

/// ε of batch normalisation in this network.
const EPSILON: f32 = 1e-3;
/// The length of a feature vector.
pub const FEATURES: usize = 2048;
/// The classes of the 2015 graph.
pub const CLASSES: usize = 1008;
/// The size to which images are resized, bilinearly and without antialiasing.
pub const INPUT: usize = 299;
/// The file that pytorch-fid publishes.
pub const FILE: &str = "pt_inception-2015-12-05-6726825d.pth";
/// Its SHA-256.
pub const SHA256: &str = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

/// One convolution of a branch: (name, output channels, kernel, stride, padding).
type Step = (&'static str, usize, [usize; 2], usize, [usize; 2]);

/// The branch of a block that is not convolutional.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pool {
    /// 3×3 mean, excluding the padding.
    Average,
    /// 3×3 maximum.
    Max,
    /// 3×3 maximum with stride 2, which halves the image.
    Reduce,
}

/// A chain of convolutions.
#[derive(Debug)]
struct Chain(Vec<Conv>);

/// Branches whose outputs are concatenated.
#[derive(Debug)]
struct Block {
    branches: Vec<Branch>,
    pool: Pool,
    /// The convolution after the pool; a reducing block has none.
    after_pool: Option<Conv>,
}

/// A chain, and the convolutions into which its end may branch.
#[derive(Debug)]
struct Branch {
    chain: Chain,
    split: Vec<Conv>,
}

/// The network.
#[derive(Debug)]
pub struct Inception {
    stem: [Conv; 5],
    blocks: Vec<Block>,
    linear: Linear,
}

/// Builds layers by name and keeps track of the channels.
struct Builder<'a, T> {
    weights: &'a T,
    device: &'a Device,
}

impl<T: Tensors> Builder<'_, T> {
    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv, LayerError> {
        let (conv, norm) = (format!("{name}.conv"), format!("{name}.bn"));
        Conv::load(self.weights, &conv, &norm, EPSILON, shape, self.device)
    }

    fn step(&self, block: &str, input: usize, step: Step) -> Result<Conv, LayerError> {
        let (name, output, kernel, stride, padding) = step;
        let shape = ConvShape::new(input, output, kernel)
            .stride(stride)
            .padding(Padding::Explicit(padding));
        self.conv(&format!("{block}.{name}"), shape)
    }

    fn branch(
        &self,
        block: &str,
        mut input: usize,
        chain: &[Step],
        split: &[Step],
    ) -> Result<(Branch, usize), LayerError> {
        let mut convs = Vec::new();
        for &step in chain {
            convs.push(self.step(block, input, step)?);
            input = step.1;
        }
        let ends = split
            .iter()
            .map(|&step| self.step(block, input, step))
            .collect::<Result<Vec<_>, _>>()?;
        let output = match split {
            [] => input,
            split => split.iter().map(|step| step.1).sum(),
        };
        let branch = Branch {
            chain: Chain(convs),
            split: ends,
        };
        Ok((branch, output))
    }

    /// A block and its number of output channels.
    fn block(
        &self,
        block: &str,
        input: usize,
        branches: &[(&[Step], &[Step])],
        pool: Pool,
        pooled: usize,
    ) -> Result<(Block, usize), LayerError> {
        let (mut built, mut output) = (Vec::new(), 0);
        for (chain, split) in branches {
            let (branch, channels) = self.branch(block, input, chain, split)?;
            built.push(branch);
            output += channels;
        }
        let after_pool = match pool {
            Pool::Reduce => None,
            _ => Some(self.step(block, input, ("branch_pool", pooled, [1, 1], 1, [0, 0]))?),
        };
        output += if pool == Pool::Reduce { input } else { pooled };
        let block = Block {
            branches: built,
            pool,
            after_pool,
        };
        Ok((block, output))
    }
}

impl Inception {
    /// Builds the network from its weights.
    ///
    /// # Errors
    ///
    /// [`LayerError`].
    pub fn load(weights: &impl Tensors, device: &Device) -> Result<Self, LayerError> {
        let build = Builder { weights, device };
        let plain = |input, output, kernel: usize| {
            ConvShape::new(input, output, [kernel; 2]).padding(Padding::Explicit([0, 0]))
        };
        let stem = [
            build.conv("Conv2d_1a_3x3", plain(3, 32, 3).stride(2))?,
            build.conv("Conv2d_2a_3x3", plain(32, 32, 3))?,
            build.conv("Conv2d_2b_3x3", ConvShape::new(32, 64, [3, 3]))?,
            build.conv("Conv2d_3b_1x1", plain(64, 80, 1))?,
            build.conv("Conv2d_4a_3x3", plain(80, 192, 3))?,
        ];
        let (mut blocks, mut channels) = (Vec::new(), 192);
        let mut add = |(block, output): (Block, usize)| {
            blocks.push(block);
            channels = output;
            output
        };

        // 35×35.
        let mut input = 192;
        for (name, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            input = add(build.block(name, input, &block_a(), Pool::Average, pooled)?);
        }
        input = add(build.block("Mixed_6a", input, &block_b(), Pool::Reduce, 0)?);
        // 17×17.
        for (name, inner) in [
            ("Mixed_6b", 128),
            ("Mixed_6c", 160),
            ("Mixed_6d", 160),
            ("Mixed_6e", 192),
        ] {
            let (seven, double) = block_c(inner);
            let branches: [(&[Step], &[Step]); 3] = [
                (&[("branch1x1", 192, [1, 1], 1, [0, 0])], &[]),
                (&seven, &[]),
                (&double, &[]),
            ];
            input = add(build.block(name, input, &branches, Pool::Average, 192)?);
        }
        input = add(build.block("Mixed_7a", input, &block_d(), Pool::Reduce, 0)?);
        // 8×8.
        input = add(build.block("Mixed_7b", input, &block_e(), Pool::Average, 192)?);
        add(build.block("Mixed_7c", input, &block_e(), Pool::Max, 192)?);

        Ok(Self {
            stem,
            blocks,
            // The original Inception Score uses the logits without their bias.
            linear: Linear::load(weights, "fc", [channels, CLASSES], false, device)?,
        })
    }

    /// Pooled features, and logits without their bias, of 299×299 images in [−1, 1].
    ///
    /// # Shapes
    ///
    /// `[batch, 3, 299, 299]` to `[batch, 2048]` and `[batch, 1008]`.
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let [a, b, c, d, e] = &self.stem;
        let x = c.relu(b.relu(a.relu(x)));
        let x = e.relu(d.relu(halve(x)));
        let x = self
            .blocks
            .iter()
            .fold(halve(x), |x, block| block.forward(x));
        let features = global_average(x);
        let logits = self.linear.forward(features.clone());
        (features, logits)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut outputs = Vec::new();
        for branch in &self.branches {
            let y = branch
                .chain
                .0
                .iter()
                .fold(x.clone(), |y, conv| conv.relu(y));
            match branch.split.as_slice() {
                [] => outputs.push(y),
                split => outputs.extend(split.iter().map(|conv| conv.relu(y.clone()))),
            }
        }
        let pooled = match self.pool {
            Pool::Average => avg_pool2d(
                x,
                AvgPoolOptions::new([3, 3])
                    .with_stride([1, 1])
                    .with_padding([1, 1])
                    .with_count_include_pad(false),
            ),
            Pool::Max => max_pool2d(
                x,
                MaxPoolOptions::new([3, 3])
                    .with_stride([1, 1])
                    .with_padding([1, 1]),
            ),
            Pool::Reduce => halve(x),
        };
        outputs.push(match &self.after_pool {
            Some(conv) => conv.relu(pooled),
            None => pooled,
        });
        Tensor::cat(outputs, 1)
    }
}

/// 3×3 maximum pooling with stride 2.
fn halve(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]))
}

type Branches = Vec<(&'static [Step], &'static [Step])>;

fn block_a() -> Branches {
    vec![
        (&[("branch1x1", 64, [1, 1], 1, [0, 0])], &[]),
        (
            &[
                ("branch5x5_1", 48, [1, 1], 1, [0, 0]),
                ("branch5x5_2", 64, [5, 5], 1, [2, 2]),
            ],
            &[],
        ),
        (
            &[
                ("branch3x3dbl_1", 64, [1, 1], 1, [0, 0]),
                ("branch3x3dbl_2", 96, [3, 3], 1, [1, 1]),
                ("branch3x3dbl_3", 96, [3, 3], 1, [1, 1]),
            ],
            &[],
        ),
    ]
}

fn block_b() -> Branches {
    vec![
        (&[("branch3x3", 384, [3, 3], 2, [0, 0])], &[]),
        (
            &[
                ("branch3x3dbl_1", 64, [1, 1], 1, [0, 0]),
                ("branch3x3dbl_2", 96, [3, 3], 1, [1, 1]),
                ("branch3x3dbl_3", 96, [3, 3], 2, [0, 0]),
            ],
            &[],
        ),
    ]
}

/// The two factorised branches of a 17×17 block with `c` channels within.
fn block_c(c: usize) -> ([Step; 3], [Step; 5]) {
    (
        [
            ("branch7x7_1", c, [1, 1], 1, [0, 0]),
            ("branch7x7_2", c, [1, 7], 1, [0, 3]),
            ("branch7x7_3", 192, [7, 1], 1, [3, 0]),
        ],
        [
            ("branch7x7dbl_1", c, [1, 1], 1, [0, 0]),
            ("branch7x7dbl_2", c, [7, 1], 1, [3, 0]),
            ("branch7x7dbl_3", c, [1, 7], 1, [0, 3]),
            ("branch7x7dbl_4", c, [7, 1], 1, [3, 0]),
            ("branch7x7dbl_5", 192, [1, 7], 1, [0, 3]),
        ],
    )
}

fn block_d() -> Branches {
    vec![
        (
            &[
                ("branch3x3_1", 192, [1, 1], 1, [0, 0]),
                ("branch3x3_2", 320, [3, 3], 2, [0, 0]),
            ],
            &[],
        ),
        (
            &[
                ("branch7x7x3_1", 192, [1, 1], 1, [0, 0]),
                ("branch7x7x3_2", 192, [1, 7], 1, [0, 3]),
                ("branch7x7x3_3", 192, [7, 1], 1, [3, 0]),
                ("branch7x7x3_4", 192, [3, 3], 2, [0, 0]),
            ],
            &[],
        ),
    ]
}

fn block_e() -> Branches {
    vec![
        (&[("branch1x1", 320, [1, 1], 1, [0, 0])], &[]),
        (
            &[("branch3x3_1", 384, [1, 1], 1, [0, 0])],
            &[
                ("branch3x3_2a", 384, [1, 3], 1, [0, 1]),
                ("branch3x3_2b", 384, [3, 1], 1, [1, 0]),
            ],
        ),
        (
            &[
                ("branch3x3dbl_1", 448, [1, 1], 1, [0, 0]),
                ("branch3x3dbl_2", 384, [3, 3], 1, [1, 1]),
            ],
            &[
                ("branch3x3dbl_3a", 384, [1, 3], 1, [0, 1]),
                ("branch3x3dbl_3b", 384, [3, 1], 1, [1, 0]),
            ],
        ),
    ]
}
