// The GPU that each engine has, or is given: `device: "auto"` as in a browser, nothing global left behind, no process that
// dies or does not end.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { difference, drawIn, isHere } from "./engines.mjs";
import { scaledBundle } from "./scaled-bundle.mjs";

const bundle = await scaledBundle(1);
after(() => bundle.remove());
const models = [bundle.url];
const run = { classes: [0], guidance: 2, steps: 12, sampler: "ddim", seed: 7 };
const onCpu = (await drawIn("node", { models, options: { device: "cpu" }, run })).drawn[0];

/** One model, drawn as it is told. */
async function drawOne(engine, told, seconds) {
  const { drawn, code, signal, errors } = await drawIn(engine, { models, run, ...told }, seconds);
  assert.deepEqual([code, signal], [0, null], errors);
  assert.equal(drawn.length, 1, errors);
  return drawn[0];
}

for (const engine of ["node", "deno", "bun"]) {
  const here = { skip: !isHere(engine) && `${engine} is not installed` };

  test(`${engine}: auto prepares a GPU beside the CPU, and draws the CPU's picture`, here, async () => {
    const { device, pictures, globals, phases } = await drawOne(engine, { gpu: true, fault: "real", settle: true });
    assert.deepEqual(device.refused.filter(({ kind }) => kind === "cpu"), []);
    assert.ok(phases.includes("gpu"), String(phases));
    assert.match(device.why, /a step of 2 rows took .* on the CPU/);
    assert.ok(/ on the GPU/.test(device.why), device.why);
    assert.ok(difference(pictures[0], onCpu.pictures[0]) <= 8);
    assert.ok(!globals.includes("Window") || engine === "deno", String(globals));
  });

  test(`${engine}: a software renderer is left alone, and a process ends without dispose`, here, async () => {
    const { device, pictures } = await drawOne(engine, { keep: true }, 120);
    assert.equal(device.kind, "cpu");
    assert.equal(device.refused.length, 1);
    assert.match(device.refused[0].reason, engine === "deno" ? /software/ : /has no WebGPU of its own/);
    assert.deepEqual(pictures, onCpu.pictures);
  });
}

test("a process with a model on a GPU ends without dispose", { skip: !isHere("node") }, async () => {
  const { device } = await drawOne("node", { gpu: true, keep: true, options: { device: "webgpu" } }, 300);
  assert.equal(device.kind, "webgpu");
});
