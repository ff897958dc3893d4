// The sampler for a runtime that only answers for the network: DDIM with guidance, both passes as one batch.

/** λ of step t of T: equally spaced in u. */
function level({ min, max }, t, steps) {
  const b = Math.atan(Math.exp(-max / 2));
  const a = Math.atan(Math.exp(-min / 2)) - b;
  const u = 1 - t / Math.max(1, steps - 1);
  return Math.min(max, Math.max(min, -2 * Math.log(Math.tan(a * u + b))));
}

/** For a network that predicts v. */
export async function sample(config, predict, batch, steps) {
  const { size, channels } = config.image;
  const range = config.diffusion.log_snr;
  const absent = config.classes.length;
  let z = Float32Array.from({ length: batch * channels * size * size }, (_, at) => Math.sin(at * 12.9898) * 1.7);
  for (let t = 0; t < steps; t += 1) {
    const lambda = level(range, t, steps);
    const both = new Float32Array(2 * z.length);
    both.set(z);
    both.set(z, z.length);
    const classes = Array.from({ length: 2 * batch }, (_, row) => (row < batch ? row % absent : absent));
    const v = await predict(both, [2 * batch, channels, size, size], new Float32Array(2 * batch).fill(lambda), classes);
    const [alpha, sigma] = [lambda, -lambda].map((l) => Math.sqrt(1 / (1 + Math.exp(-l))));
    const to = t + 1 < steps ? level(range, t + 1, steps) : 60;
    const [alphaTo, sigmaTo] = [to, -to].map((l) => Math.sqrt(1 / (1 + Math.exp(-l))));
    z = Float32Array.from(z, (value, at) => {
      const mixed = v[at] + 2 * (v[at] - v[at + z.length]);
      const x = Math.min(1, Math.max(-1, alpha * value - sigma * mixed));
      return alphaTo * x + (sigmaTo * (value - alpha * x)) / sigma;
    });
  }
  return z;
}
