// Every model that ships, on a GPU's driver, in Node and in Deno, in 16 and in 32 bits: the pictures of the CPU, with no more
// work than limits.json says. Whether one step or another draws makes no difference to what may be wrong: two are enough.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { difference, drawIn, folderUrl, isHere, shipped } from "./engines.mjs";

/** The largest difference of a channel, of 255: in 32 bits devices add in another order, 16 round every value. */
const TOLERANCE = { f32: 2, f16: 8 };

// Without previews: what a step costs by itself, and the picture at the end.
const run = { classes: [0], guidance: 2, steps: 2, sampler: "ddim", seed: 7, preview: "none" };
const addresses = (names) => names.map((name) => folderUrl(`models/${name}`));
// One of several of the same network is enough for a second engine.
const networks = new Map();
for (const name of [...shipped].reverse()) {
  const { network, image } = JSON.parse(await readFile(new URL(`../../models/${name}/config.json`, import.meta.url), "utf8"));
  networks.set(JSON.stringify([network, image]), name);
}
const drawnBy = { node: shipped, deno: [...networks.values()] };
const limits = JSON.parse(await readFile(new URL("limits.json", import.meta.url), "utf8"));
const wanted = new Map();

before(async () => {
  const { drawn, errors } = await drawIn("node", { models: addresses(shipped), options: { device: "cpu" }, run });
  assert.equal(drawn.length, shipped.length, errors);
  shipped.forEach((name, at) => wanted.set(name, drawn[at].pictures[0]));
});

for (const engine of ["node", "deno"]) {
  for (const precision of ["f16", "f32"]) {
    test(`${engine} draws every model in ${precision}`, { skip: !isHere(engine) && `${engine} is not installed` }, async (t) => {
      const options = { device: "webgpu", precision: precision === "f32" ? "f32" : "auto" };
      const names = drawnBy[engine];
      const { drawn, code, errors } = await drawIn(engine, { models: addresses(names), options, run, gpu: true }, 1200);
      assert.equal(drawn.length, names.length, errors);
      assert.equal(code, 0, errors);
      for (const [at, name] of names.entries()) {
        const { error, device, pictures, loading, drawing } = drawn[at];
        assert.equal(error, undefined, `${name}: ${JSON.stringify(error)}`);
        assert.deepEqual([device.kind, device.precision, device.refused], ["webgpu", precision, []], name);
        const most = difference(pictures[0], wanted.get(name));
        const kernels = Math.ceil(drawing.kernels / run.steps);
        const submissions = Math.ceil(drawing.submissions / run.steps);
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
