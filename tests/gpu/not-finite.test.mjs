// A model whose activations pass 65,504: in 16 bits its values are lost in the middle of a run, which goes back and on in 32.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { difference, drawIn } from "./engines.mjs";
import { scaledBundle } from "./scaled-bundle.mjs";

const run = { classes: [0, 2], guidance: 1, steps: 10, sampler: "ddim", seed: 7 };
let plain;
let scaled;

before(async () => {
  plain = await scaledBundle(1);
  // Just so much that it happens in the middle of a run.
  scaled = await scaledBundle(21_600);
});
after(async () => {
  await plain?.remove();
  await scaled?.remove();
});

test("scaling changes nothing in 32 bits", async () => {
  const { drawn, errors } = await drawIn("node", { models: [plain.url, scaled.url], options: { device: "cpu" }, run });
  assert.equal(drawn.length, 2, errors);
  drawn[0].pictures.forEach((pixels, at) => assert.ok(difference(pixels, drawn[1].pictures[at]) <= 2));
});

for (const preview of ["denoised", "none"]) {
  test(`values beyond 16 bits: the run goes on in 32, with a note (preview ${preview})`, async () => {
    const told = { models: [scaled.url], run: { ...run, preview } };
    const onCpu = (await drawIn("node", { ...told, options: { device: "cpu" } })).drawn[0];
    const { drawn, errors } = await drawIn("node", { ...told, options: { device: "webgpu" }, gpu: true });
    assert.equal(drawn.length, 1, errors);
    const [{ error, device, pictures, shown }] = drawn;
    assert.equal(error, undefined, JSON.stringify(error));
    assert.deepEqual(shown, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "every step once");
    assert.deepEqual([device.kind, device.precision], ["webgpu", "f32"]);
    assert.deepEqual(device.refused.map(({ kind, precision }) => [kind, precision]), [["webgpu", "f16"]]);
    // Not at once: the first steps had been shown.
    assert.match(device.refused[0].reason, /left the range of 16 bits before step ([3-9]|1.)$/);
    pictures.forEach((pixels, at) => assert.ok(difference(pixels, onCpu.pictures[at]) <= 2, `picture ${at}`));
  });
}

test("the same model with its weights as they were stays in 16 bits", async () => {
  const { drawn, errors } = await drawIn("node", { models: [plain.url], run, options: { device: "webgpu" }, gpu: true });
  assert.equal(drawn.length, 1, errors);
  assert.deepEqual([drawn[0].device.precision, drawn[0].device.refused], ["f16", []]);
});
