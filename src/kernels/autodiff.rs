//! The kernels' operations in burn's autodiff graph.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;

use super::backend::{KernelGradients, Kernels};
use super::cpu::WeightCache;
use super::options::GroupNormOptions;

impl<B: KernelGradients, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn fused_group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNormOptions,
    ) -> FloatTensor<Self> {
        let inputs = [&x, &scale, &shift].map(|tensor| tensor.node());
        let prepared = FusedGroupNorm.prepare::<C>(inputs).compute_bound();
        let states = match prepared.stateful() {
            OpsKind::Tracked(mut prepared) => {
                let states = [&x, &scale, &shift].map(|tensor| prepared.checkpoint(tensor));
                Ok((prepared, states))
            }
            OpsKind::UnTracked(prepared) => Err(prepared),
        };
        let output = B::fused_group_norm(
            x.into_primitive(),
            scale.into_primitive(),
            shift.into_primitive(),
            options,
        );
        match states {
            Ok((prepared, states)) => prepared.finish((states, options), output),
            Err(prepared) => prepared.finish(output),
        }
    }

    fn same_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        cache: Option<Arc<WeightCache>>,
    ) -> FloatTensor<Self> {
        if let Some(cache) = cache {
            cache.clear();
        }
        let inputs = [&x, &weight, &bias].map(|tensor| tensor.node());
        let prepared = SameConvolution.prepare::<C>(inputs).compute_bound();
        let states = match prepared.stateful() {
            OpsKind::Tracked(mut prepared) => {
                let states = [&x, &weight].map(|tensor| prepared.checkpoint(tensor));
                Ok((prepared, states))
            }
            OpsKind::UnTracked(prepared) => Err(prepared),
        };
        let output = B::same_convolution(
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
            None,
        );
        match states {
            Ok((prepared, states)) => prepared.finish(states, output),
            Err(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct FusedGroupNorm;

impl<B: KernelGradients> Backward<B, 3> for FusedGroupNorm {
    /// x, scale and shift.
    type State = ([NodeId; 3], GroupNormOptions);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let (states, options) = ops.state;
        let [x, scale, shift] =
            states.map(|state| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(state));
        let gradients = B::fused_group_norm_backward(x, scale, shift, grad, options);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct SameConvolution;

impl<B: KernelGradients> Backward<B, 3> for SameConvolution {
    /// x and weight.
    type State = [NodeId; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = ops
            .state
            .map(|state| checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(state));
        let [node_x, node_weight, node_bias] = ops.parents;
        if let Some(node) = node_bias {
            let gradient = B::same_convolution_bias_backward(grad.clone());
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = node_weight {
            let (x, weight) = (x.clone(), weight.clone());
            let gradient = B::same_convolution_weight_backward(x, weight, grad.clone());
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = node_x {
            grads.register::<B>(node.id, B::same_convolution_x_backward(x, weight, grad));
        }
    }
}
