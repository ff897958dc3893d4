// Every model that ships, on a GPU's driver, in Node and in Deno, in 16 and in 32 bits: the pictures of the CPU, with no more
// work than limits.json says. Whether one step or another draws makes no difference to what may be wrong: two are enough.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { difference, drawIn, folderUrl, isHere, shipped } from "./engines.mjs";

/** The largest difference of a channel, of 255: in 32 bits devices add in another order, 16 round every value. */
const TOLERANCE = { f32: 2, f16: 8 };

const run = { classes: [0], guidance: 2, steps: 2, sampler: "ddim", seed: 7 };
const models = shipped.map((name) => folderUrl(`models/${name}`));
const limits = JSON.parse(await readFile(new URL("limits.json", import.meta.url), "utf8"));
let wanted;

before(async () => {
  const { drawn, errors } = await drawIn("node", { models, options: { device: "cpu" }, run });
  assert.equal(drawn.length, models.length, errors);
  wanted = drawn.map(({ pictures }) => pictures);
});

for (const engine of ["node", "deno"]) {
  for (const precision of ["f16", "f32"]) {
    test(`${engine} draws every model in ${precision}`, { skip: !isHere(engine) && `${engine} is not installed` }, async (t) => {
      const options = { device: "webgpu", precision: precision === "f32" ? "f32" : "auto" };
      const { drawn, code, errors } = await drawIn(engine, { models, options, run, gpu: true });
      assert.equal(drawn.length, models.length, errors);
      assert.equal(code, 0, errors);
      for (const [at, name] of shipped.entries()) {
        const { error, device, pictures, loading, drawing, steps } = drawn[at];
        assert.equal(error, undefined, `${name}: ${JSON.stringify(error)}`);
        assert.deepEqual([device.kind, device.precision, device.refused], ["webgpu", precision, []], name);
        const most = difference(pictures[0], wanted[at][0]);
        const kernels = Math.ceil(drawing.kernels / steps);
        const submissions = Math.ceil(drawing.submissions / steps);
        t.diagnostic(`${name}: ${kernels} kernels, ${submissions} submissions a step, ${loading.pipelines} pipelines, ${most} of 255 off`);
        assert.ok(most <= TOLERANCE[precision], `${name} differs by ${most}`);
        const allowed = limits[precision];
        assert.ok(kernels <= allowed.kernels, `${name} starts ${kernels} kernels a step`);
        assert.ok(submissions <= allowed.submissions, `${name} has ${submissions} submissions a step`);
        // All models of a program have the pipelines of the first.
        if (at === 0) assert.ok(loading.pipelines <= allowed.pipelines, `${name} makes ${loading.pipelines} pipelines`);
      }
    });
  }
}
