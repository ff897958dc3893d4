//! The network that `freeguide classifier` trains: a CIFAR-10 ResNet (He et al. 2015, section 4.2) of any depth and
//! width, which [`freeguide::classifier`] then evaluates.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

/// A tensor to be written to a file.
pub struct NamedTensor {
    /// Its name, as in PyTorch's port of these networks.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// A ResNet with three stages.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Block>,
    linear: Linear,
    blocks_a_stage: usize,
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    stride: usize,
}

fn conv(input: usize, output: usize, stride: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([input, output], [3, 3])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: false,
        })
        .init(device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).init(device)
}

impl ResNet {
    /// `blocks_a_stage` residual blocks of `width`, 2 · `width` and 4 · `width` channels.
    pub fn new(blocks_a_stage: usize, width: usize, classes: usize, device: &Device) -> Self {
        let (mut blocks, mut input) = (Vec::new(), width);
        for stage in 0..3 {
            let output = width << stage;
            for k in 0..blocks_a_stage {
                let stride = if stage > 0 && k == 0 { 2 } else { 1 };
                blocks.push(Block {
                    conv1: conv(input, output, stride, device),
                    bn1: norm(output, device),
                    conv2: conv(output, output, 1, device),
                    bn2: norm(output, device),
                    stride,
                });
                input = output;
            }
        }
        Self {
            conv1: conv(3, width, 1, device),
            bn1: norm(width, device),
            blocks,
            linear: LinearConfig::new(input, classes).init(device),
            blocks_a_stage,
        }
    }

    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        self.linear.weight.dims()[0]
    }

    /// The logits of images in [−1, 1], whose features are multiplied by `mask` (dropout).
    ///
    /// # Shapes
    ///
    /// `x` `[batch, 3, height, width]` and `mask` `[batch, features]` to `[batch, classes]`.
    pub fn forward(&self, x: Tensor<4>, mask: Tensor<2>) -> Tensor<2> {
        let x = relu(self.bn1.forward(self.conv1.forward(x)));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let [batch, channels, height, width] = x.dims();
        let pooled = x.reshape([batch, channels, height * width]).mean_dim(2);
        self.linear
            .forward(pooled.reshape([batch, channels]) * mask)
    }

    /// All weights and running statistics by name.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let mut all = Vec::new();
        put(&mut all, "conv1.weight".to_owned(), self.conv1.weight.val());
        put_norm(&mut all, "bn1", &self.bn1);
        for (index, block) in self.blocks.iter().enumerate() {
            let (stage, k) = (index / self.blocks_a_stage, index % self.blocks_a_stage);
            let name = format!("layer{}.{k}", stage + 1);
            put(
                &mut all,
                format!("{name}.conv1.weight"),
                block.conv1.weight.val(),
            );
            put_norm(&mut all, &format!("{name}.bn1"), &block.bn1);
            put(
                &mut all,
                format!("{name}.conv2.weight"),
                block.conv2.weight.val(),
            );
            put_norm(&mut all, &format!("{name}.bn2"), &block.bn2);
        }
        // burn uses [input, output], PyTorch [output, input].
        let weight = self.linear.weight.val().transpose();
        put(&mut all, "linear.weight".to_owned(), weight);
        if let Some(bias) = &self.linear.bias {
            put(&mut all, "linear.bias".to_owned(), bias.val());
        }
        all
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let residual = self.bn2.forward(self.conv2.forward(inner));
        let output = residual.dims()[1];
        relu(residual + shortcut(x, output, self.stride))
    }
}

/// Option A: every second pixel, with zeros for the new channels, half of them before and half after the old ones.
fn shortcut(x: Tensor<4>, output: usize, stride: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    // 1×1 maximum pooling with stride 2: a strided slice that every backend supports, also with gradients.
    let options = MaxPoolOptions::new([1, 1]).with_stride([stride; 2]);
    let x = max_pool2d(x, options);
    let [batch, input, height, width] = x.dims();
    let zeros = Tensor::zeros([batch, (output - input) / 2, height, width], &x.device());
    Tensor::cat(vec![zeros.clone(), x, zeros], 1)
}

fn put<const D: usize>(all: &mut Vec<NamedTensor>, name: String, tensor: Tensor<D>) {
    all.push(NamedTensor {
        name,
        shape: tensor.dims().to_vec(),
        values: tensor.into_data().iter::<f32>().collect(),
    });
}

fn put_norm(all: &mut Vec<NamedTensor>, name: &str, norm: &BatchNorm) {
    put(all, format!("{name}.weight"), norm.gamma.val());
    put(all, format!("{name}.bias"), norm.beta.val());
    put(
        all,
        format!("{name}.running_mean"),
        norm.running_mean.value_sync(),
    );
    put(
        all,
        format!("{name}.running_var"),
        norm.running_var.value_sync(),
    );
}
