// What the runtime does beyond drawing, in a real browser on the CPU: solvers and policies against the native command,
// two workers, dropped connections, a cache that is full, memory.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch } from "./browser.mjs";
import { decodePng } from "./png.mjs";
import { serve } from "./server.mjs";
import { difference, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let config;
let weights;
let glue;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
  config = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
  weights = await readFile(`${tiny.folder}/${config.weights[0].file}`);
  glue = await readFile(`${packageFolder}/wasm/cpu/freeguide_cpu.js`, "utf8");
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

/** An empty page that can import the package; `patch` is JavaScript that runs beside the runtime, in its worker. */
async function open(t, { routes = {}, patch } = {}) {
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  const patched = (_, response) => response.writeHead(200, { "Content-Type": "text/javascript" }).end(glue + patch);
  const server = await serve(
    { "/js/": packageFolder, "/tiny/": tiny.folder },
    { "/": blank, ...(patch && { "/js/wasm/cpu/freeguide_cpu.js": patched }), ...routes },
  );
  const profile = await browser.newContext();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  const page = await profile.newPage();
  await page.goto(server.url);
  return page;
}

/** What the native command draws with these arguments. */
async function drawNatively(...args) {
  const folder = await mkdtemp(join(tmpdir(), "freeguide-"));
  try {
    const all = ["sample", "--model", tiny.folder, "--device", "cpu", "--count", "1", ...args, "--out", `${folder}/`];
    await promisify(execFile)(freeguide, all);
    return decodePng(await readFile(join(folder, "00000.png"))).pixels;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("solvers, grids and policies draw what the native command draws", async (t) => {
  const page = await open(t);
  const cases = [
    [{ sampler: "dpm++2m" }, ["--sampler", "dpm++2m"]],
    [{ sampler: "heun" }, ["--sampler", "heun"]],
    [
      { sampler: "heun", grid: { spacing: "uniform-lambda", logSnr: { min: -6, max: 6 }, lowerOrderLast: false } },
      ["--sampler", "heun", "--grid", "uniform-lambda", "--grid-range", "-6,6", "--full-order-last"],
    ],
    [{ guidanceInterval: { min: -4, max: 4 } }, ["--guidance-interval", "-4,4"]],
    [{ guidancePolicy: { kind: "cfg", rescale: 0.7 } }, ["--guidance-rescale", "0.7"]],
    [
      { guidancePolicy: { kind: "apg", eta: 0.2, normThreshold: 2 } },
      ["--guidance-policy", "apg", "--apg-eta", "0.2", "--apg-norm", "2"],
    ],
    [{ guidance: -0.4, guidancePolicy: "cfg++" }, ["--guidance-policy", "cfg++", "--guidance", "-0.4"]],
  ];
  const drawn = await page.evaluate(async (all) => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const drawn = [];
    for (const [options] of all) {
      const [image] = await model.generate({ classes: [1], guidance: 3, steps: 6, seed: 7, ...options });
      drawn.push([...image.data]);
    }
    return drawn;
  }, cases);
  for (const [at, [options, args]] of cases.entries()) {
    const common = ["--class", "1", "--steps", "6", "--seed", "7"];
    const strength = args.includes("--guidance") ? [] : ["--guidance", "3"];
    const most = difference(drawn[at], await drawNatively(...common, ...strength, ...args));
    assert.ok(most <= TOLERANCE, `${JSON.stringify(options)} differs by ${most}`);
  }
  for (const [at, pixels] of drawn.entries()) {
    assert.ok(drawn.slice(0, at).every((other) => difference(pixels, other) > TOLERANCE), `case ${at} is one of its own`);
  }
});

test("branches are the estimates that guidance mixes", async (t) => {
  const page = await open(t);
  const { sides, alone } = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const options = { classes: [0, null], guidance: [2, 0], steps: 4, seed: 3 };
    const run = model.sample({ ...options, preview: "branches" });
    const { value } = await run.next();
    await run.return();
    // Of the first step the latents are the noise, so that each estimate is the first one of a run of its own.
    const alone = [];
    for (const [classes, guidance] of [[[0], 0], [[null], 0], [[0], 2]]) {
      const own = model.sample({ ...options, classes, guidance });
      alone.push([...(await own.next()).value.images[0].data]);
      await own.return();
    }
    const [{ conditional, unconditional, guided }, other] = value.branches;
    const sides = [conditional, unconditional, guided].map(({ data }) => [...data]);
    return { sides: { first: sides, other: [other.conditional, typeof other.unconditional] }, alone };
  });
  sides.first.forEach((pixels, at) => assert.ok(difference(pixels, alone[at]) <= TOLERANCE, `side ${at}`));
  assert.deepEqual(sides.other, [null, "object"]);
});

test("two workers share every guided step and draw the same", async (t) => {
  const page = await open(t, {
    patch: `
      const rows = new BroadcastChannel("rows");
      const predict = Model.prototype.predict;
      Model.prototype.predict = function (z, level, classes) {
        rows.postMessage(classes.length);
        return predict.call(this, z, level, classes);
      };`,
  });
  const { one, two, three, shared } = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const shared = [];
    new BroadcastChannel("rows").onmessage = ({ data }) => shared.push(data);
    const draw = async (threads) => {
      const model = await loadModel("/tiny/", { device: "cpu", threads });
      // The helper is ready a moment after the model.
      const together = () => shared.slice(-2 * (threads - 1)).length >= 2 * (threads - 1) && shared.slice(-2 * (threads - 1)).every((rows) => rows === 1);
      for (let turn = 0; turn < 200 && threads > 1 && !together(); turn += 1) {
        await model.generate({ classes: Array(threads).fill(0), guidance: 0, steps: 2 });
      }
      shared.length = 0;
      const drawn = [];
      for (const options of [
        { classes: [0, 1, null], guidance: [2, 0, 1], steps: 5, seed: 7 },
        { classes: [1], guidance: 2, steps: 4, sampler: "heun", guidanceInterval: { min: -3, max: 3 } },
        { classes: [1], guidance: 0, steps: 3 },
      ]) {
        drawn.push(...(await model.generate(options)).map(({ data }) => [...data]));
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      model.dispose();
      return { drawn, shared: [...shared] };
    };
    const one = await draw(1);
    const two = await draw(2);
    const three = await draw(3);
    return { one: one.drawn, two: two.drawn, three: three.drawn, shared: [one.shared, two.shared, three.shared] };
  });
  assert.deepEqual(shared[0], []);
  // Of four rows two each, of two one each; a single row is not divided.
  assert.deepEqual(shared[1].slice(0, 5), [2, 2, 2, 2, 2]);
  assert.ok(shared[1].length > 5 && shared[1].slice(5).every((rows) => rows === 1), String(shared[1]));
  assert.deepEqual(two, one, "to the bit");
  // Of four rows two here, and one for each of two others.
  assert.deepEqual(shared[2].slice(0, 10), Array(10).fill(1));
  assert.deepEqual(three, one, "to the bit");
});

test("a long run starts the second worker by itself, from the cache, and draws the same", async (t) => {
  const page = await open(t, {
    // Everything takes ten thousand times as long, so that a run of a small model is a long one.
    patch: `
      const now = performance.now.bind(performance);
      performance.now = () => 1e4 * now();
      const rows = new BroadcastChannel("rows");
      const { predict } = Model.prototype;
      Model.prototype.predict = function (z, level, classes) {
        rows.postMessage([self.name, classes.length]);
        return predict.call(this, z, level, classes);
      };`,
  });
  const { uncached, alone, auto } = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    let shared = [];
    new BroadcastChannel("rows").onmessage = ({ data }) => shared.push(data);
    /** Runs until the helper has had its turns, or so many. */
    const draw = async (options, runs) => {
      shared = [];
      const model = await loadModel("/tiny/", { device: "cpu", ...options });
      let images;
      for (let run = 0; run < runs && shared.length < 3; run += 1) {
        images = await model.generate({ classes: [0, 1], guidance: 2, steps: 8, seed: 5 });
      }
      model.dispose();
      return { pictures: images.map(({ data }) => [...data]), shared };
    };
    const uncached = await draw({ cache: false }, 4);
    const alone = await draw({ threads: 1 }, 4);
    const auto = await draw({}, 100);
    return { uncached, alone, auto };
  });
  assert.deepEqual([uncached.shared, alone.shared], [[], []]);
  assert.deepEqual(auto.shared.slice(0, 3), Array(3).fill(["freeguide-helper", 2]));
  assert.deepEqual(auto.pictures, alone.pictures, "to the bit: which way is faster must not show");
});

test("a helper that goes away is done without", async (t) => {
  const page = await open(t, {
    patch: `
      Model.prototype.predict = function () {
        if (self.name === "freeguide-helper") throw new Error("gone");
        return predict.call(this, ...arguments);
      };`.replace("Model.prototype.predict =", "const { predict } = Model.prototype;\n      Model.prototype.predict ="),
  });
  const [two, one] = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const draw = async (threads) => {
      const model = await loadModel("/tiny/", { device: "cpu", threads });
      let images;
      for (let turn = 0; turn < 20; turn += 1) images = await model.generate({ classes: [0], guidance: 2, steps: 3 });
      model.dispose();
      return [...images[0].data];
    };
    return [await draw(2), await draw(1)];
  });
  assert.ok(difference(two, one) <= TOLERANCE);
});

test("a dropped connection is taken up again, in the browser too", async (t) => {
  const asked = [];
  const page = await open(t, {
    routes: {
      "/m/config.json": (_, response) => response.end(JSON.stringify(config)),
      [`/m/${config.weights[0].file}`]: (request, response) => {
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
        asked.push(from);
        response.writeHead(from > 0 ? 206 : 200, {
          "Content-Length": weights.length - from,
          ...(from > 0 && { "Content-Range": `bytes ${from}-${weights.length - 1}/${weights.length}` }),
          ETag: '"a"',
        });
        if (asked.length > 2) response.end(weights.subarray(from));
        else response.write(weights.subarray(from, from + 20_000), () => setTimeout(() => response.destroy(), 100));
      },
    },
  });
  const count = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/m/", { device: "cpu" });
    return (await model.generate({ classes: [0], steps: 1 })).length;
  });
  assert.equal(count, 1);
  assert.deepEqual(asked, [0, 20_000, 40_000]);
});

test("what a full cache refuses the page keeps, until it is told to forget", async (t) => {
  let asked = 0;
  const page = await open(t, {
    patch: `Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));`,
    routes: {
      "/m/config.json": (_, response) => response.end(JSON.stringify(config)),
      [`/m/${config.weights[0].file}`]: (_, response) => {
        asked += 1;
        response.end(weights);
      },
    },
  });
  const { first, kept, second, forgotten } = await page.evaluate(async () => {
    const { loadModel, cache } = await import("/js/dist/index.js");
    const load = async () => {
      const seen = [];
      const onProgress = ({ phase, cached }) => phase === "weights" && seen.push(cached);
      const model = await loadModel("/m/", { device: "cpu", onProgress });
      const [image] = await model.generate({ classes: [0], steps: 2 });
      for (let turn = 0; turn < 100 && (await cache.list()).length === 0; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      model.dispose();
      return [seen.at(-1), image.data.length];
    };
    const first = await load();
    const kept = await cache.list();
    const second = await load();
    await cache.delete(kept[0].sha256);
    return { first, kept, second, forgotten: await cache.list() };
  });
  assert.deepEqual(kept, [{ sha256: config.weights[0].sha256, bytes: weights.length, where: "memory" }]);
  assert.deepEqual([first[0], second[0]], [false, true]);
  assert.deepEqual(forgotten, []);
  assert.equal(asked, 1);
});

test("the text of a panic reaches the error", async (t) => {
  const page = await open(t, {
    patch: `
      Run.prototype.advance = async function () {
        panicForTests();
      };`,
  });
  const { code, message, again } = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu", threads: 1 });
    const { code, message } = await model.generate({ classes: [0] }).catch((error) => error);
    const again = await loadModel("/tiny/", { device: "cpu", threads: 1 });
    return { code, message, again: (await again.plan({ classes: [0], steps: 3 })).steps };
  });
  assert.equal(code, "poisoned");
  assert.match(message, /^the runtime crashed: panicked at .*\.rs:\d+:\d+:\s+\S/);
  assert.equal(again, 3);
});

test("a load is aborted in any of its phases", async (t) => {
  const page = await open(t);
  const outcomes = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const outcomes = [];
    for (const worker of [true, false]) {
      for (const at of ["runtime", "self-test", "weights"]) {
        const control = new AbortController();
        const onProgress = ({ phase }) => phase === at && control.abort("enough");
        const options = { device: "cpu", worker, signal: control.signal, onProgress, cache: false };
        const error = await loadModel("/tiny/", options).catch((thrown) => thrown);
        outcomes.push([error.name, error.cause]);
      }
    }
    const model = await loadModel("/tiny/", { device: "cpu", worker: false });
    return { outcomes, after: (await model.generate({ classes: [0], steps: 1 })).length };
  });
  assert.equal(outcomes.after, 1);
  const expected = Array(6).fill(["AbortError", "enough"]);
  assert.deepEqual(outcomes.outcomes, expected);
  await page.waitForTimeout(100);
  assert.equal(page.workers().length, 0);
});

test("hundreds of rounds of load and dispose do not pile up memory", async (t) => {
  const page = await open(t);
  const sizes = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const glue = await import("/js/wasm/cpu/freeguide_cpu.js");
    const sizes = [];
    for (let round = 0; round < 300; round += 1) {
      const model = await loadModel("/tiny/", { device: "cpu", worker: false });
      await model.generate({ classes: [0], guidance: 2, steps: 1 });
      model.dispose();
      // It is freed in a task of its own.
      await new Promise((resolve) => setTimeout(resolve));
      sizes.push((await glue.default()).memory.buffer.byteLength);
    }
    return sizes;
  });
  assert.ok(sizes[0] > 0);
  // The pieces that a download comes in differ in length from round to round, and so do the holes
  // that they leave: now and then one more stretch of half a megabyte is taken, and then used again.
  // What leaked 2 KB a round would be past it.
  const grown = sizes.at(-1) - sizes[1];
  assert.ok(grown <= 2 ** 19, `${sizes[1]} to ${sizes.at(-1)}`);
});
