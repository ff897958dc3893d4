// Models that other programs saved, imported by the native command and drawn in a browser.
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

const fixtures = fileURLToPath(new URL("../fixtures/import/", import.meta.url));

let browser;
let place;
let server;

/** Imports a folder of diffusers; the bundle is served at `/models/NAME/`. */
async function imported(name, ...further) {
  const out = join(place, name);
  const from = ["import", "--from", "diffusers", join(fixtures, name), "--out", out];
  await promisify(execFile)(freeguide, [...from, ...further]);
  return out;
}

before(async () => {
  place = await mkdtemp(join(tmpdir(), "freeguide-import-"));
  browser = await launch();
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  server = await serve({ "/js/": packageFolder, "/models/": place }, { "/": blank });
});
after(async () => {
  await browser?.close();
  await server?.close();
  if (place !== undefined) await rm(place, { recursive: true });
});

/** What a model in the page draws or says of each request, and its configuration. */
async function draw(name, requests) {
  const page = await browser.newPage();
  await page.goto(server.url);
  const result = await page.evaluate(
    async ([folder, all]) => {
      const { loadModel } = await import("/js/dist/index.js");
      const model = await loadModel(folder, { device: "cpu" });
      const answers = [];
      for (const request of all) {
        try {
          answers.push({ drawn: (await model.generate(request)).map(({ data }) => [...data]) });
        } catch ({ code, message }) {
          answers.push({ code, message });
        }
      }
      return { answers, config: model.config };
    },
    [`/models/${name}/`, requests],
  );
  await page.close();
  return result;
}

async function assertNative(model, { classes, ...request }, drawn) {
  const native = await drawNatively({ model, classes, count: classes.length, ...request });
  assert.equal(drawn.length, native.length);
  drawn.forEach((pixels, at) => {
    const most = difference(pixels, native[at].pixels);
    assert.ok(most <= TOLERANCE, `picture ${at} differs by ${most}`);
  });
}

test("a class-conditional model of diffusers draws, and says that it cannot be guided", async () => {
  const model = await imported("diffusers_class");
  const plain = { classes: [3, 0], guidance: 0, steps: 4, seed: 7 };
  const { answers, config } = await draw("diffusers_class", [plain, { ...plain, guidance: 2 }, { ...plain, classes: [null] }]);
  assert.equal(config.null_class, false);
  assert.equal(config.format_version, 2);
  await assertNative(model, plain, answers[0].drawn);
  for (const refused of answers.slice(1)) {
    assert.equal(refused.code, "input");
    assert.match(refused.message, /no null class/);
  }
});

test("one that was trained with a null class is guided", async () => {
  const model = await imported("diffusers_resnet", "--null-class", "last");
  const guided = { classes: [1, 0], guidance: 2, steps: 4, seed: 7 };
  const { answers, config } = await draw("diffusers_resnet", [guided]);
  assert.deepEqual(config.classes, ["class 0", "class 1"]);
  await assertNative(model, guided, answers[0].drawn);
});

test("an unconditional one draws", async () => {
  const model = await imported("diffusers_ddpm");
  const request = { classes: [null, null], guidance: 0, steps: 4, seed: 3 };
  const { answers, config } = await draw("diffusers_ddpm", [request]);
  assert.deepEqual(config.classes, []);
  await assertNative(model, request, answers[0].drawn);
});
