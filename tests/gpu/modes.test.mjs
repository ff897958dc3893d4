// The ways to draw that take more than guidance and a solver's step, on a GPU's driver: the CPU's pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { difference, drawIn } from "./engines.mjs";
import { scaledBundle } from "./scaled-bundle.mjs";

/** The largest difference of a channel, of 255: in 32 bits devices add in another order, 16 round every value. */
const TOLERANCE = { f32: 2, f16: 8 };
/** Side of the model's images. */
const SIZE = 8;

/** An image with a gradient in each channel. */
const image = picture((x, y) => [32 * x, 32 * y, 128]);
/** A mask whose right half is drawn anew. */
const mask = picture((x) => (x < SIZE / 2 ? [0, 0, 0] : [255, 255, 255]));

function picture(color) {
  const pixels = Array.from({ length: SIZE * SIZE }, (_, at) => [...color(at % SIZE, Math.floor(at / SIZE)), 255]);
  return { data: pixels.flat(), width: SIZE, height: SIZE };
}

const usual = { classes: [0, 2], guidance: 2, steps: 6, sampler: "ddim", seed: 7, preview: "none" };
const modes = {
  "without anything else": {},
  "classes mixed": { classes: [{ disc: 0.7, square: 0.3 }, { square: 0.25, triangle: 0.75 }] },
  "a mix beside a class": { classes: [{ disc: 0.5, triangle: 0.5 }, 1] },
  "away from a class": { negative: "square" },
  tileable: { tileable: true },
  "dynamic thresholds": { guidance: 6, dynamicThreshold: 0.9 },
  // Coarse enough for images to come to rest before the last of so few steps.
  "until nothing changes": { steps: 24, tolerance: 40 },
  "from an image": { image, strength: 0.6 },
  "under a mask": { image, mask },
  "under a mask, with every step repeated": { image, mask, resampling: 2, sampler: "ancestral" },
  "rescaled guidance": { guidance: 4, guidancePolicy: { kind: "cfg", rescale: 0.7 } },
  "projected guidance": { guidance: 4, guidancePolicy: "apg" },
  "with noise at every step": { sampler: "ancestral" },
  "in second order": { sampler: "dpm++2m" },
  "all of it with two evaluations a step": { sampler: "heun", guidance: [1, 3], tileable: true, dynamicThreshold: 0.95 },
};
const names = Object.keys(modes);
const runs = names.map((name) => ({ ...usual, ...modes[name] }));
const bundle = await scaledBundle(1);
after(() => bundle.remove());

/** What an engine draws, by mode. */
async function drawAll(told) {
  const { drawn, code, errors } = await drawIn("node", { models: [bundle.url], runs, ...told });
  assert.equal(code, 0, errors);
  const failed = drawn.find(({ error }) => error);
  assert.equal(drawn.length, runs.length, failed ? JSON.stringify(failed) : errors);
  return Object.fromEntries(names.map((name, at) => [name, drawn[at]]));
}

let onCpu;
before(async () => {
  onCpu = await drawAll({ options: { device: "cpu" } });
});

test("each of them draws other pictures, and one ends early", () => {
  const pictures = new Set(names.map((name) => JSON.stringify(onCpu[name].pictures)));
  assert.equal(pictures.size, names.length);
  assert.ok(onCpu["until nothing changes"].shown.length < 24, "the tolerance is too small to test anything");
});

for (const precision of ["f16", "f32"]) {
  test(`on a GPU in ${precision}`, async (t) => {
    const options = { device: "webgpu", precision: precision === "f32" ? "f32" : "auto" };
    const onGpu = await drawAll({ options, gpu: true });
    for (const name of names) {
      await t.test(name, (t) => {
        const { device, pictures, shown } = onGpu[name];
        const wanted = onCpu[name];
        assert.deepEqual([device.kind, device.precision, device.refused], ["webgpu", precision, []]);
        assert.equal(pictures.length, wanted.pictures.length);
        const most = Math.max(...pictures.map((pixels, at) => difference(pixels, wanted.pictures[at])));
        t.diagnostic(`${most} of 255 off`);
        assert.ok(most <= TOLERANCE[precision], `differs by ${most}`);
        assert.deepEqual(shown, wanted.shown);
      });
    }
  });
}
