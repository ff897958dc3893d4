// Pictures as files, and steps as a stream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePng } from "../../../tests/browser/png.mjs";
import { pictureToPng, pngText } from "../dist/index.js";
import { bundle, loadFake, serve } from "./helpers.mjs";

test("a picture is a PNG file, with its settings in it, and with alpha only where it has some", async () => {
  const [width, height] = [5, 3];
  const data = Uint8ClampedArray.from({ length: width * height * 4 }, (_, at) => (at % 4 === 3 ? 255 : (at * 37) & 255));
  const settings = { class: "cat", seed: 7 };
  for (const alpha of [255, 9]) {
    data[3] = alpha;
    const blob = await pictureToPng({ data, width, height }, settings);
    assert.equal(blob.type, "image/png");
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const decoded = decodePng(bytes);
    assert.deepEqual([decoded.width, decoded.height, [...decoded.pixels]], [width, height, [...data]]);
    assert.deepEqual(pngText(bytes), [settings]);
    assert.equal(bytes[25], alpha === 255 ? 2 : 6, "the colour type of the header");
  }
  assert.equal(pngText(new Uint8Array(await (await pictureToPng({ data, width, height })).arrayBuffer())), undefined);
});

test("a run as a stream: its steps in order, and cancelling it stops the run", async (t) => {
  const { url } = await serve(t, bundle);
  const model = await loadFake(`${url}/m`, { device: "cpu" });
  const request = { classes: [0, 1], steps: 5, seed: 3 };
  const steps = [];
  for await (const { step, images } of model.stream(request)) steps.push([step, images.length]);
  assert.deepEqual(steps, [[1, 2], [2, 2], [3, 2], [4, 2], [5, 2]]);

  const reader = model.stream({ ...request, steps: 100 }).getReader();
  assert.equal((await reader.read()).value.step, 1);
  await reader.cancel();
  assert.equal((await model.generate({ classes: [2] })).length, 1, "the next run has its turn");
  await assert.rejects(model.stream({ classes: ["unicorn"] }).getReader().read(), { code: "input" });
  model.dispose();
});
