const { first, provider, threads, onnxFile } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const ort = await import(provider === "webgpu" ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs");
ort.env.wasm.wasmPaths = new URL("/ort/", location.href).href;
ort.env.wasm.numThreads = threads;
ort.env.logLevel = "error";

const config = await (await fetch("/model/config.json")).json();
const { size, channels } = config.image;
const { min, max } = config.diffusion.log_snr;
const null_ = BigInt(config.classes.length);
let session;

/** λ of step t of T: equally spaced in u. */
function level(t, steps) {
  const b = Math.atan(Math.exp(-max / 2));
  const a = Math.atan(Math.exp(-min / 2)) - b;
  const u = 1 - t / Math.max(1, steps - 1);
  return Math.min(max, Math.max(min, -2 * Math.log(Math.tan(a * u + b))));
}

/** DDIM with both passes as one batch, for a network that predicts v; calls `after` at the end of every step. */
async function sample(batch, steps, after) {
  const values = channels * size * size;
  let z = Float32Array.from({ length: batch * values }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  for (let t = 0; t < steps; t += 1) {
    const lambda = level(t, steps);
    const both = new Float32Array(2 * z.length);
    both.set(z);
    both.set(z, z.length);
    const classes = BigInt64Array.from({ length: 2 * batch }, (_, row) => (row < batch ? BigInt(row) % null_ : null_));
    const answer = await session.run({
      z: new ort.Tensor("float32", both, [2 * batch, channels, size, size]),
      log_snr: new ort.Tensor("float32", new Float32Array(2 * batch).fill(lambda), [2 * batch]),
      class: new ort.Tensor("int64", classes, [2 * batch]),
    });
    const [output] = Object.values(answer);
    const v = output.data;
    const [alpha, sigma] = [lambda, -lambda].map((l) => Math.sqrt(1 / (1 + Math.exp(-l))));
    const to = t + 1 < steps ? level(t + 1, steps) : 60;
    const [alphaTo, sigmaTo] = [to, -to].map((l) => Math.sqrt(1 / (1 + Math.exp(-l))));
    const next = new Float32Array(z.length);
    for (let at = 0; at < z.length; at += 1) {
      const mixed = v[at] + 2 * (v[at] - v[at + z.length]);
      const x = Math.min(1, Math.max(-1, alpha * z[at] - sigma * mixed));
      next[at] = alphaTo * x + (sigmaTo * (z[at] - alpha * x)) / sigma;
    }
    z = next;
    after(t);
  }
}

globalThis.firstImage = (async () => {
  session = await ort.InferenceSession.create(`/onnx/${onnxFile}`, { executionProviders: [provider], graphOptimizationLevel: "all" });
  await sample(1, first, () => {});
  return performance.now();
})();

/** Milliseconds a guided step of a batch, the first step left out. */
globalThis.guidedSteps = async (batch, steps) => {
  await globalThis.firstImage;
  let begun;
  await sample(batch, steps + 1, (t) => {
    if (t === 0) begun = performance.now();
  });
  return (performance.now() - begun) / steps;
};
