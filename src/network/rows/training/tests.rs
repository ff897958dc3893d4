//! Gradients by rows against the same network layer by layer in burn's 64-bit floats.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

use crate::denoiser::Denoiser;
use crate::network::rows::tests::{Randomize, config, numbers};
use crate::network::{
    LowResolution, MiddleKind, Modulation, OtherInputs, UNet, UNetConfig, Upsample,
};

/// Makes every parameter a leaf of 64-bit floats.
struct Widen;

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|t| t.cast(DType::F64).detach().require_grad())
    }
}

/// Makes every parameter a leaf.
struct Leaves;

impl ModuleMapper for Leaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|t| t.detach().require_grad())
    }
}

struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<Option<Vec<f64>>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        let values = |t: Tensor<D>| t.into_data().iter::<f64>().collect();
        self.found.push(gradient.map(values));
    }
}

const ROWS: usize = 11;

struct Answer {
    output: Vec<f64>,
    of_z: Option<Vec<f64>>,
    gradients: Vec<Option<Vec<f64>>>,
}

fn network(config: &UNetConfig, size: usize) -> UNet {
    let network = config.init(size, 3, 4, &Device::flex().autodiff());
    network.map(&mut Randomize(1)).map(&mut Leaves)
}

/// What a network answers, and the gradients of a sum of it with fixed weights.
fn answer(network: &UNet, size: usize, dtype: DType, of_z: bool) -> Answer {
    let device = Device::flex().autodiff();
    let mut z = numbers([ROWS, 3, size, size], 9, &device).cast(dtype);
    if of_z {
        z = z.detach().require_grad();
    }
    let log_snr = numbers([ROWS], 10, &device) * 5.0;
    let class: Vec<i32> = (0..ROWS as i32).map(|i| i % 5).collect();
    let class = Tensor::<1, Int>::from_data(TensorData::new(class, [ROWS]), &device);
    let others = OtherInputs {
        low_resolution: Some(LowResolution {
            picture: numbers([ROWS, 3, size, size], 12, &device),
            level: (numbers([ROWS], 13, &device) + 1.0) * 0.5,
        }),
        ..OtherInputs::default()
    };
    let output = network
        .with_dropout(3, 7, 2)
        .predict_with(z.clone(), log_snr, class, others);
    let weights = numbers([ROWS, 3, size, size], 11, &device).cast(dtype);
    let gradients = (output.clone() * weights).sum().backward();
    let mut collect = Collect {
        gradients: &gradients,
        found: Vec::new(),
    };
    network.visit(&mut collect);
    let values = |t: Tensor<4>| t.into_data().iter::<f64>().collect();
    Answer {
        output: values(output),
        gradients: collect.found,
        of_z: of_z.then(|| values(z.grad(&gradients).expect("a gradient of z"))),
    }
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f64, |worst, e| worst.max(e.abs()));
    for (f, e) in found.iter().zip(expected) {
        let error = (f - e).abs() / largest;
        assert!(error <= 5e-5, "{what}: {f}, should be {e} (of {largest})");
    }
}

fn by_rows(network: &UNet, size: usize) -> bool {
    let device = Device::flex().autodiff();
    let z = numbers([2, 3, size, size], 9, &device);
    let z = network.joined(z, &OtherInputs::default());
    let embedding = network.conditioning.forward(
        numbers([2], 10, &device),
        Tensor::<1, Int>::from_data(TensorData::new(vec![0, 1], [2]), &device),
        Default::default(),
    );
    network.train_rows(&z, &embedding, None).is_some()
}

#[test]
fn gradients_are_burns_in_64_bits() {
    let odd = UNetConfig {
        base_channels: 20,
        head_channels: 20,
        norm_groups: 5,
        ..config()
    };
    let cases = [
        (config(), 16, false),
        (
            UNetConfig {
                patch: 2,
                input_skip: true,
                dropout: 0.2,
                ..config()
            },
            32,
            true,
        ),
        (
            UNetConfig {
                modulation: Modulation::Add,
                channel_multipliers: vec![1, 2, 2],
                ..config()
            },
            16,
            true,
        ),
        (
            UNetConfig {
                upsample: Upsample::Convolution,
                dropout: 0.1,
                ..config()
            },
            32,
            false,
        ),
        (
            UNetConfig {
                middle: MiddleKind::None,
                ..config()
            },
            16,
            false,
        ),
        (odd, 20, false),
        (
            UNetConfig {
                low_resolution: Some(4),
                dropout: 0.1,
                ..config()
            },
            16,
            false,
        ),
        (
            UNetConfig {
                low_resolution: Some(8),
                patch: 2,
                input_skip: true,
                ..config()
            },
            32,
            true,
        ),
    ];
    for (i, (config, size, of_z)) in cases.into_iter().enumerate() {
        let network = network(&config, size);
        assert!(by_rows(&network, size), "case {i}");
        let wide = network.clone().map(&mut Widen);
        assert!(!by_rows(&wide, size), "case {i}");
        let found = answer(&network, size, DType::F32, of_z);
        let expected = answer(&wide, size, DType::F64, of_z);
        assert_near(
            &found.output,
            &expected.output,
            &format!("case {i}, output"),
        );
        if let (Some(found), Some(expected)) = (&found.of_z, &expected.of_z) {
            assert_near(found, expected, &format!("case {i}, gradient of z"));
        }
        assert_eq!(found.gradients.len(), expected.gradients.len());
        for (p, (found, expected)) in found.gradients.iter().zip(&expected.gradients).enumerate() {
            let what = format!("case {i}, parameter {p}");
            match (found, expected) {
                (Some(found), Some(expected)) => assert_near(found, expected, &what),
                (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{what}"),
            }
        }
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let network = network(&config(), 16);
    let gradients = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("a pool of threads");
        pool.install(|| answer(&network, 16, DType::F32, false))
            .gradients
    };
    let expected = gradients(1);
    for threads in [2, 3, 8] {
        assert_eq!(gradients(threads), expected, "{threads} threads");
    }
}
