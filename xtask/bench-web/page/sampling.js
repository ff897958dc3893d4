// The sampler for runtimes that only answer for the network: DDIM with guidance, both passes as one batch.
export const { first, onnxFile, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

const config = await (await fetch("/model/config.json")).json();
const { size, channels } = config.image;
const { min, max } = config.diffusion.log_snr;
const absent = config.classes.length;

/** λ of step t of T: equally spaced in u. */
function level(t, steps) {
  const b = Math.atan(Math.exp(-max / 2));
  const a = Math.atan(Math.exp(-min / 2)) - b;
  const u = 1 - t / Math.max(1, steps - 1);
  return Math.min(max, Math.max(min, -2 * Math.log(Math.tan(a * u + b))));
}

/** For a network that predicts v; calls `after` at the end of every step. */
async function sample(predict, batch, steps, after) {
  const values = channels * size * size;
  let z = Float32Array.from({ length: batch * values }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  for (let t = 0; t < steps; t += 1) {
    const lambda = level(t, steps);
    const both = new Float32Array(2 * z.length);
    both.set(z);
    both.set(z, z.length);
    const classes = Array.from({ length: 2 * batch }, (_, row) => (row < batch ? row % absent : absent));
    const v = await predict(both, [2 * batch, channels, size, size], new Float32Array(2 * batch).fill(lambda), classes);
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

/** What the benchmark asks of a page, for a runtime that `open` starts and whose network `open` resolves to. */
export function measured(open) {
  const opened = open();
  globalThis.firstImage = opened.then(async (predict) => {
    await sample(predict, 1, first, () => {});
    return performance.now();
  });
  /** Milliseconds a guided step of a batch, the first step left out. */
  globalThis.guidedSteps = async (batch, steps) => {
    const predict = await opened;
    let begun;
    await sample(predict, batch, steps + 1, (t) => {
      if (t === 0) begun = performance.now();
    });
    return (performance.now() - begun) / steps;
  };
  /** The network's answer to a question that is always the same. */
  globalThis.probe = async () => {
    const predict = await opened;
    const z = Float32Array.from({ length: 2 * channels * size * size }, (_, at) => Math.sin(at));
    return [...(await predict(z, [2, channels, size, size], Float32Array.of(-1, 1), [0, absent]))];
  };
}
