// Pictures in and out of the package in a browser: as bitmaps, frames and files, of other sizes and formats, and steps as a stream.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { decodePng } from "./png.mjs";
import { serve } from "./server.mjs";
import { difference, freeguide, packageFolder } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

/** An empty page with the package as `freeguide` and a model as `model`. */
async function open(t) {
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, { "/": blank });
  const profile = await browser.newContext();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  const page = await profile.newPage();
  await page.goto(server.url);
  await page.evaluate(async () => {
    globalThis.freeguide = await import("/js/dist/index.js");
    globalThis.model = await freeguide.loadModel("/tiny/", { device: "cpu" });
  });
  return page;
}

test("a picture as a bitmap, as a frame of a video and as a file has the picture's pixels", async (t) => {
  const page = await open(t);
  const found = await page.evaluate(async () => {
    const options = { classes: [0], steps: 3, seed: 5 };
    const [picture] = await model.generate(options);
    const { width, height } = picture;
    const shown = (source) => {
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(source, 0, 0);
      return [...context.getImageData(0, 0, width, height).data];
    };
    const bitmap = await freeguide.pictureToBitmap(picture);
    const frame = freeguide.pictureToFrame(picture, 40_000);
    const { settings } = await model.plan(options);
    const file = await freeguide.pictureToPng(picture, settings[0]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const out = {
      pixels: [...picture.data],
      bitmap: shown(bitmap),
      frame: shown(frame),
      timestamp: frame.timestamp,
      decoded: shown(await createImageBitmap(file)),
      file: [...bytes],
      settings: freeguide.pngText(bytes)[0],
    };
    frame.close();
    return out;
  });
  for (const kind of ["bitmap", "frame", "decoded"]) assert.deepEqual(found[kind], found.pixels, kind);
  assert.equal(found.timestamp, 40_000);
  assert.deepEqual([...decodePng(Buffer.from(found.file)).pixels], found.pixels);
  assert.deepEqual([found.settings.seed, found.settings.steps], [5, 3]);
});

test("a run is read as a stream, and piped", async (t) => {
  const page = await open(t);
  const found = await page.evaluate(async () => {
    const options = { classes: [0, 1], steps: 4, seed: 6 };
    const steps = [];
    const counted = new TransformStream({ transform: ({ step, images }, out) => out.enqueue([step, images.length, [...images[1].data]]) });
    const reader = model.stream(options).pipeThrough(counted).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) steps.push(part.value);
    const images = await model.generate(options);
    return { steps, drawn: [...images[1].data] };
  });
  assert.deepEqual(found.steps.map(([step, images]) => [step, images]), [1, 2, 3, 4].map((step) => [step, 2]));
  assert.deepEqual(found.steps.at(-1)[2], found.drawn);
});

test("a picture of another size or format is cropped and resized, and what is none is refused", async (t) => {
  const page = await open(t);
  const found = await page.evaluate(async () => {
    const options = { classes: [0], steps: 10, seed: 5, strength: 0.5 };
    const draw = async (more) => [...(await model.generate({ ...options, ...more }))[0].data];
    // Three times as large, and wider: the middle is the left half red and the right half blue.
    const large = new OffscreenCanvas(48, 24);
    const context = large.getContext("2d");
    for (const [color, x, width] of [["lime", 0, 12], ["red", 12, 12], ["blue", 24, 12], ["lime", 36, 12]]) {
      context.fillStyle = color;
      context.fillRect(x, 0, width, 24);
    }
    const data = Uint8ClampedArray.from({ length: 256 }, (_, at) => [at % 32 < 16 ? 255 : 0, 0, at % 32 < 16 ? 0 : 255, 255][at % 4]);
    const exact = { data, width: 8, height: 8 };
    const forms = {
      exact,
      canvas: large,
      bitmap: await createImageBitmap(large),
      png: await large.convertToBlob(),
      jpeg: await large.convertToBlob({ type: "image/jpeg", quality: 1 }),
      pixels: context.getImageData(0, 0, 48, 24),
    };
    const drawn = {};
    for (const [name, image] of Object.entries(forms)) drawn[name] = await draw({ image });
    drawn.without = await draw({ strength: undefined });
    const failing = {};
    const mask = (value) => ({ data: new Uint8ClampedArray(256).fill(value), width: 8, height: 8 });
    const bad = {
      text: { image: new Blob(["no picture"], { type: "image/png" }) },
      nothing: { image: exact, mask: { ...mask(0), data: new Uint8ClampedArray(256) } },
      everything: { image: exact, mask: mask(255) },
      mix: { classes: [{ disc: 0.7, bar: 0.2 }] },
      both: { image: exact, mask: { ...mask(0), data: new Uint8ClampedArray(256).fill(255, 0, 64) }, symmetry: "left-right" },
      symmetry: { symmetry: "round" },
    };
    for (const [name, more] of Object.entries(bad)) {
      failing[name] = await draw({ strength: undefined, ...more }).then(() => "drawn", ({ code, message }) => `${code}: ${message}`);
    }
    return { drawn, failing };
  });
  const { exact, without, ...others } = found.drawn;
  assert.ok(difference(exact, without) > 30, "the picture counts");
  for (const [name, pixels] of Object.entries(others)) assert.ok(difference(pixels, exact) <= 8, `${name}: ${difference(pixels, exact)}`);
  const words = {
    text: /^input: image cannot be read as a picture/,
    nothing: /^input: .*the mask covers nothing/,
    everything: /^input: .*the mask covers the whole picture/,
    mix: /^input: .*add up to/,
    both: /^input: .*symmetry does not go with a mask/,
    symmetry: /^input: symmetry/,
  };
  for (const [name, pattern] of Object.entries(words)) assert.match(found.failing[name], pattern, name);
});

test("a symmetric picture is symmetric to the last bit", async (t) => {
  const page = await open(t);
  const drawn = await page.evaluate(async () => {
    const drawn = {};
    for (const symmetry of ["left-right", "top-bottom", "both", "quarter-turn"]) {
      const [{ data }] = await model.generate({ classes: [0], steps: 5, seed: 5, guidance: 2, symmetry });
      drawn[symmetry] = [...data];
    }
    return drawn;
  });
  const moves = {
    "left-right": [(x, y) => [7 - x, y]],
    "top-bottom": [(x, y) => [x, 7 - y]],
    both: [(x, y) => [7 - x, y], (x, y) => [x, 7 - y]],
    "quarter-turn": [(x, y) => [7 - y, x]],
  };
  for (const [symmetry, of] of Object.entries(moves)) {
    const at = (x, y) => drawn[symmetry].slice(4 * (8 * y + x), 4 * (8 * y + x) + 4).join();
    for (const move of of) for (let x = 0; x < 8; x += 1) for (let y = 0; y < 8; y += 1) assert.equal(at(...move(x, y)), at(x, y), symmetry);
    assert.ok(new Set(Array.from({ length: 16 }, (_, place) => at(place % 4, Math.floor(place / 4)))).size > 4, "it is not flat");
  }
});
