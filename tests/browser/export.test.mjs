// Weights in fewer bits, exported by the native command and drawn in a browser, on the CPU and on WebGPU.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";

const tiny = fileURLToPath(new URL("../fixtures/tiny-model", import.meta.url));
const request = { classes: [0, 1, 2], guidance: 1.5, steps: 6, seed: 7 };

let browser;
let place;
let server;
let whole;

before(async () => {
  place = await mkdtemp(join(tmpdir(), "freeguide-export-"));
  browser = await launch({ webgpu: true });
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  server = await serve({ "/js/": packageFolder, "/models/": place }, { "/": blank });
  whole = await drawNatively({ ...request, model: tiny, count: request.classes.length });
});
after(async () => {
  await browser?.close();
  await server?.close();
  if (place !== undefined) await rm(place, { recursive: true });
});

/** What a bundle draws in the page, its configuration, and where. */
async function drawIn(page, folder, device) {
  await page.goto(server.url);
  return page.evaluate(
    async ([folder, device, request]) => {
      const { loadModel } = await import("/js/dist/index.js");
      const model = await loadModel(folder, { device });
      const drawn = (await model.generate(request)).map(({ data }) => [...data]);
      return { drawn, config: model.config, kind: model.device.kind };
    },
    [folder, device, request],
  );
}

for (const [dtype, version] of [["f16", 1], ["int8", 2]]) {
  test(`weights in ${dtype} draw what they draw natively`, async () => {
    const model = join(place, dtype);
    await promisify(execFile)(freeguide, ["export", "--model", tiny, "--dtype", dtype, "--out", model]);
    const native = await drawNatively({ ...request, model, count: request.classes.length });
    const change = Math.max(...native.map(({ pixels }, at) => difference(pixels, whole[at].pixels)));
    assert.ok(dtype === "f16" || change > 0, "rounding to 8 bits has changed nothing");
    for (const device of ["cpu", "webgpu"]) {
      const page = await browser.newPage();
      const { drawn, config, kind } = await drawIn(page, `/models/${dtype}/`, device);
      await page.close();
      assert.equal(kind, device);
      assert.equal(config.format_version, version);
      assert.equal(drawn.length, native.length);
      drawn.forEach((pixels, at) => {
        const most = difference(pixels, native[at].pixels);
        assert.ok(most <= TOLERANCE, `${dtype} on ${device}: picture ${at} differs by ${most}`);
      });
    }
  });
}
