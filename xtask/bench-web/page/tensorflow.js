import { readOnnx } from "./onnx-file.js";
import { measured, onnxFile, options } from "./sampling.js";

/** Loads a script that adds itself to `globalThis.tf`. */
function load(src) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src, onload: resolve, onerror: () => reject(new Error(`${src} did not load`)) });
    document.head.append(script);
  });
}

// A value is a tensor and whether it lies in memory as images do in TensorFlow.js, with its channels last.
const plain = (tensor) => ({ tensor, image: false });
const image = (tensor) => ({ tensor, image: true });
const asImage = (value) => (value.image || value.tensor.rank !== 4 ? value.tensor : tf.transpose(value.tensor, [0, 2, 3, 1]));
const asPlain = (value) => (value.image ? tf.transpose(value.tensor, [0, 3, 1, 2]) : value.tensor);

/** An operation on two operands that ONNX broadcasts. */
const binary = (operation) => (a, b) => {
  if (a.image || b.image) return image(operation(asImage(a), asImage(b)));
  return plain(operation(a.tensor, b.tensor));
};
const unary = (operation) => (a) => ({ tensor: operation(a.tensor), image: a.image });

function groupNorm(x, scale, shift, groups, epsilon) {
  const [batch, height, width, channels] = x.shape;
  const grouped = tf.reshape(x, [batch, height * width, groups, channels / groups]);
  const { mean, variance } = tf.moments(grouped, [1, 3], true);
  const normal = tf.mul(tf.sub(grouped, mean), tf.rsqrt(tf.add(variance, epsilon)));
  return tf.add(tf.mul(tf.reshape(normal, x.shape), scale), shift);
}

/** ONNX's operations (https://onnx.ai/onnx/operators), as far as freeguide's export uses them. */
const operations = {
  Identity: (_, a) => a,
  Add: (_, a, b) => binary(tf.add)(a, b),
  Sub: (_, a, b) => binary(tf.sub)(a, b),
  Mul: (_, a, b) => binary(tf.mul)(a, b),
  Cos: (_, a) => unary(tf.cos)(a),
  Sin: (_, a) => unary(tf.sin)(a),
  Sigmoid: (_, a) => unary(tf.sigmoid)(a),
  Softmax: (_, a) => plain(tf.softmax(a.tensor)),
  Gemm: (_, a, b, c) => plain(tf.add(tf.matMul(a.tensor, b.tensor), c.tensor)),
  MatMul: (_, a, b) => plain(tf.matMul(a.tensor, b.tensor.rank < a.tensor.rank ? tf.expandDims(b.tensor, 0) : b.tensor)),
  Gather: (_, table, ids) => plain(tf.gather(table.tensor, ids.tensor)),
  Conv: (_, x, weight, bias) => image(tf.add(tf.conv2d(asImage(x), weight.kernel, 1, "same"), bias.tensor)),
  GroupNormalization: ({ num_groups, epsilon }, x, scale, shift) =>
    image(groupNorm(asImage(x), scale.tensor, shift.tensor, num_groups, epsilon)),
  AveragePool: ({ kernel_shape, strides }, x) => image(tf.avgPool(asImage(x), kernel_shape, strides, "valid")),
  Resize: (_, x, __, scales) => {
    const [height, width] = [1, 2].map((axis) => asImage(x).shape[axis] * scales.values[axis + 1]);
    return image(tf.image.resizeNearestNeighbor(asImage(x), [height, width]));
  },
  Concat: ({ axis }, ...all) =>
    all.some((value) => value.image) ? image(tf.concat(all.map(asImage), [0, 3, 1, 2][axis])) : plain(tf.concat(all.map(asPlain), axis)),
  Reshape: (_, a, shape) => {
    const from = asPlain(a);
    return plain(tf.reshape(from, shape.values.map((length, axis) => length || from.shape[axis])));
  },
  Transpose: ({ perm }, a) => plain(tf.transpose(asPlain(a), perm)),
  Slice: (_, a, starts, ends, axes) => {
    const from = asPlain(a);
    const begin = from.shape.map(() => 0);
    const size = [...from.shape];
    axes.values.forEach((axis, at) => {
      const end = Math.min(ends.values[at], from.shape[axis]);
      begin[axis] = starts.values[at];
      size[axis] = end - begin[axis];
    });
    return plain(tf.slice(from, begin, size));
  },
};

/** What a node's constants are made into, once. */
function constant({ values, dims }) {
  if (values instanceof BigInt64Array) return { values: [...values].map(Number) };
  const tensor = tf.tensor(values, dims);
  const kernel = dims.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : undefined;
  return { tensor, kernel, values: [...values.slice(0, 8)], image: false };
}

measured(async () => {
  const { backend, threads } = options;
  await load("/tf/core/tf-core.min.js");
  await load(`/tf/${backend}/tf-backend-${backend}.min.js`);
  if (backend === "wasm") {
    tf.wasm.setWasmPaths("/tf/wasm/");
    tf.wasm.setThreadsCount(threads);
  }
  await tf.setBackend(backend);
  await tf.ready();
  const { nodes, initializers, output } = readOnnx(await (await fetch(`/onnx/${onnxFile}`)).arrayBuffer());
  const constants = new Map(initializers.map((tensor) => [tensor.name, constant(tensor)]));
  return async (z, shape, logSnr, classes) => {
    const answer = tf.tidy(() => {
      const values = new Map(constants);
      values.set("z", plain(tf.tensor(z, shape)));
      values.set("log_snr", plain(tf.tensor1d(logSnr)));
      values.set("class", plain(tf.tensor1d(classes, "int32")));
      for (const { operation, inputs, outputs, attributes } of nodes) {
        const made = operations[operation];
        if (!made) throw new Error(`no ${operation} here`);
        values.set(outputs[0], made(attributes, ...inputs.map((name) => values.get(name))));
      }
      return asPlain(values.get(output));
    });
    const data = await answer.data();
    answer.dispose();
    return data;
  };
});
