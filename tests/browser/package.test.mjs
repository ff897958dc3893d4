// The JavaScript package as it is published, without a bundler: in a real browser on the CPU runtime, and in Node.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, packageFolder, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let config;
let weights;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
  config = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
  weights = await readFile(`${tiny.folder}/${config.weights[0].file}`);
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

/** An empty page that can import the package from `/js/`, with `/tiny/` as a bundle. */
async function open(t, routes = {}) {
  const blank = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, { "/": blank, ...routes });
  const profile = await browser.newContext();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  const page = await profile.newPage();
  await page.goto(server.url);
  return page;
}

const requests = [
  { classes: [0, 1, 0], guidance: 2, steps: 5, seed: 7 },
  { classes: [1], guidance: 0, steps: 4, seed: 8 },
  { classes: [null, null], guidance: 1, steps: 4, seed: 9 },
  { classes: [0, 1], guidance: 1.5, steps: 6, seed: 2 ** 53 - 1, sampler: "ancestral" },
];

async function nativePixels({ classes, ...request }) {
  const pictures = await drawNatively({ model: tiny.folder, classes, count: classes.length, ...request });
  return pictures.map(({ pixels }) => pixels);
}

function assertAlike(drawn, native, what) {
  assert.equal(drawn.length, native.length, what);
  drawn.forEach((pixels, at) => {
    const most = difference(pixels, native[at]);
    assert.ok(most <= TOLERANCE, `${what}: picture ${at} differs by ${most}`);
  });
}

test("in a worker, the pictures are the native ones", async (t) => {
  const page = await open(t);
  const { thread, kind, drawn } = await page.evaluate(async (all) => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const drawn = [];
    for (const request of all) drawn.push((await model.generate(request)).map(({ data }) => [...data]));
    return { ...model.device, drawn };
  }, requests);
  assert.deepEqual([thread, kind], ["worker", "cpu"]);
  for (const [at, request] of requests.entries()) {
    assertAlike(drawn[at], await nativePixels(request), JSON.stringify(request));
  }
  assert.ok(difference(drawn[0][0], drawn[0][2]) > TOLERANCE, "pictures of one class differ");
});

test("on the calling thread too, where no worker can be started", async (t) => {
  const page = await open(t);
  const { thread, drawn } = await page.evaluate(async (request) => {
    globalThis.Worker = class {
      constructor() {
        throw new DOMException("refused", "SecurityError");
      }
    };
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const drawn = (await model.generate(request)).map(({ data }) => [...data]);
    model.dispose();
    const again = await loadModel("/tiny/", { device: "cpu" });
    await again.generate(request);
    return { ...again.device, drawn };
  }, requests[0]);
  assert.equal(thread, "caller");
  assertAlike(drawn, await nativePixels(requests[0]), "on the calling thread");
});

test("in Node too", async () => {
  const { loadModel } = await import(pathToFileURL(`${packageFolder}/dist/index.js`));
  const model = await loadModel(pathToFileURL(tiny.folder), { device: "auto" });
  assert.equal(model.device.kind, "cpu");
  assert.match(model.device.refused[0].reason, /no WebGPU/);
  const images = await model.generate(requests[0]);
  assertAlike(images.map(({ data }) => data), await nativePixels(requests[0]), "in Node");
  model.dispose();
});

test("a picture does not depend on its batch", async (t) => {
  const page = await open(t);
  const [batch, alone] = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const all = await model.generate({ classes: [0, 1, 0, 1], seed: 3, steps: 4, guidance: 1 });
    const one = await model.generate({ classes: [1], firstImage: 3, seed: 3, steps: 4, guidance: 1 });
    return [[...all[3].data], [...one[0].data]];
  });
  assert.ok(difference(batch, alone) <= TOLERANCE);
});

test("a load and a run are aborted, and the worker goes away", async (t) => {
  const page = await open(t, {
    "/slow/config.json": (_, response) => response.end(JSON.stringify(config)),
    [`/slow/${config.weights[0].file}`]: (_, response) => {
      response.writeHead(200, { "Content-Length": weights.length });
      response.write(weights.subarray(0, 1000));
    },
  });
  const outcome = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const say = (error) => [error.name, error.code];
    const loading = new AbortController();
    const load = await loadModel("/slow/", {
      device: "cpu",
      signal: loading.signal,
      onProgress: ({ phase, loaded }) => phase === "weights" && loaded > 0 && loading.abort(),
    }).catch(say);

    const model = await loadModel("/tiny/", { device: "cpu" });
    const control = new AbortController();
    let steps = 0;
    let run;
    try {
      for await (const { step } of model.sample({ classes: [0], steps: 1000, signal: control.signal })) {
        steps = step;
        if (step === 3) control.abort();
      }
    } catch (error) {
      run = say(error);
    }
    for await (const { step } of model.sample({ classes: [0], steps: 1000 })) if (step === 2) break;
    const after = (await model.generate({ classes: [0], steps: 2 })).length;
    model.dispose();
    model.dispose();
    const late = await model.generate({ classes: [0] }).catch(say);
    return { load, run, steps, after, late };
  });
  assert.deepEqual(outcome, {
    load: ["AbortError", "aborted"],
    run: ["AbortError", "aborted"],
    steps: 3,
    after: 1,
    late: ["DisposedError", "disposed"],
  });
  await page.waitForTimeout(100);
  assert.equal(page.workers().length, 0);
});

test("a runtime that does not arrive whole is an error like any other", async (t) => {
  const path = "/js/wasm/cpu/freeguide_cpu_bg.wasm";
  const wasm = await readFile(`${packageFolder}/wasm/cpu/freeguide_cpu_bg.wasm`);
  let answer;
  const page = await open(t, { [path]: (_, response) => answer(response) });
  const load = (abort) =>
    page.evaluate(async (abort) => {
      const { loadModel } = await import("/js/dist/index.js");
      const control = new AbortController();
      const onProgress = ({ phase, loaded }) => abort && phase === "runtime" && loaded > 0 && control.abort();
      return await loadModel("/tiny/", { device: "cpu", onProgress, signal: control.signal }).then(
        () => "loaded",
        ({ code }) => code,
      );
    }, abort);
  answer = (response) => response.writeHead(404).end();
  assert.equal(await load(false), "network");
  answer = (response) => {
    response.writeHead(200, { "Content-Length": wasm.length });
    response.write(wasm.subarray(0, 10_000), () => response.destroy());
  };
  assert.equal(await load(false), "network");
  answer = (response) => response.end(wasm.subarray(0, 10_000));
  assert.equal(await load(false), "device");
  answer = (response) => {
    response.writeHead(200, { "Content-Length": wasm.length });
    response.write(wasm.subarray(0, 10_000));
  };
  assert.equal(await load(true), "aborted");
  answer = (response) => response.end(wasm);
  assert.equal(await load(false), "loaded");
});

test("every kind of damage is refused with its name", async (t) => {
  const text = JSON.stringify(config);
  const name = config.weights[0].file;
  const damage = {
    missing: [text, undefined],
    html: ["<!doctype html><p>not found", weights],
    newer: [JSON.stringify({ ...config, format_version: 9, written_by: "freeguide 9.0" }), weights],
    unknown: [JSON.stringify({ ...config, surprise: 1 }), weights],
    short: [text, weights.subarray(0, weights.length - 10)],
    flipped: [text, Buffer.from(weights).fill(0x55, weights.length - 8)],
  };
  const routes = {};
  for (const [kind, [json, file]] of Object.entries(damage)) {
    routes[`/${kind}/config.json`] = (_, response) => response.end(json);
    if (file) routes[`/${kind}/${name}`] = (_, response) => response.end(file);
  }
  const page = await open(t, routes);
  const found = await page.evaluate(async (kinds) => {
    const { loadModel, FreeguideError } = await import("/js/dist/index.js");
    const out = {};
    for (const kind of kinds) {
      out[kind] = await loadModel(`/${kind}/`, { device: "cpu" }).then(
        () => "loaded",
        (error) => (error instanceof FreeguideError ? `${error.code} ${error.detail}: ${error.message}` : String(error)),
      );
    }
    return out;
  }, Object.keys(damage));
  assert.match(found.missing, /^network 404/);
  assert.match(found.html, /^bundle bad-json/);
  assert.match(found.newer, /^bundle newer-version.*freeguide 9\.0/);
  assert.match(found.unknown, /^bundle bad-config.*surprise/);
  assert.match(found.short, /^bundle length/);
  assert.match(found.flipped, /^bundle hash/);
});

test("verified weights are cached by their hash, damaged ones never", async (t) => {
  let asked = 0;
  let good = false;
  const page = await open(t, {
    "/m/config.json": (_, response) => response.end(JSON.stringify(config)),
    [`/m/${config.weights[0].file}`]: (_, response) => {
      asked += 1;
      response.end(good ? weights : Buffer.alloc(weights.length));
    },
  });
  const load = () =>
    page.evaluate(async () => {
      const { loadModel, cache } = await import("/js/dist/index.js");
      const seen = [];
      const onProgress = ({ phase, cached }) => phase === "weights" && seen.push(cached);
      let model;
      let code;
      try {
        model = await loadModel("/m/", { device: "cpu", onProgress });
      } catch (error) {
        code = error.code;
      }
      // The cache is written beside the load, by a worker that has to live that long.
      let files = [];
      for (let turn = 0; turn < 50 && files.length === 0; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        files = await cache.list();
      }
      model?.dispose();
      return { code, cached: seen.at(-1), files };
    });
  assert.deepEqual(await load(), { code: "bundle", cached: false, files: [] });
  good = true;
  const files = [{ sha256: config.weights[0].sha256, bytes: weights.length, where: "disk" }];
  assert.deepEqual(await load(), { cached: false, files, code: undefined });
  assert.deepEqual(await load(), { cached: true, files, code: undefined });
  assert.equal(asked, 2);

  // A damaged entry is thrown out and the file fetched again.
  await page.evaluate(async () => {
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const key of await cache.keys()) await cache.put(key, new Response(new Uint8Array(10)));
    }
  });
  assert.equal((await load()).code, undefined);
  assert.equal(asked, 3);

  await page.evaluate(async () => (await import("/js/dist/index.js")).cache.delete());
  await page.evaluate(() => {
    Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  });
  assert.equal((await load()).code, undefined, "a full cache is no error");
});

test("a trap inside the runtime poisons the model and a new load works", async (t) => {
  // What a panic in an asynchronous call does: it traps in a task of its own, and the call never settles.
  const trap = `
    Run.prototype.advance = Run.prototype.evaluate = function () {
      setTimeout(() => { throw new WebAssembly.RuntimeError("unreachable"); });
      return new Promise(() => {});
    };`;
  const glue = await readFile(`${packageFolder}/wasm/cpu/freeguide_cpu.js`, "utf8");
  let trapping = true;
  const page = await open(t, {
    "/js/wasm/cpu/freeguide_cpu.js": (_, response) => {
      response.writeHead(200, { "Content-Type": "text/javascript", "Cache-Control": "no-store" });
      response.end(trapping ? glue + trap : glue);
    },
  });
  const crash = () =>
    page.evaluate(async () => {
      const { loadModel } = await import("/js/dist/index.js");
      globalThis.model = await loadModel("/tiny/", { device: "cpu" });
      const pending = globalThis.model.generate({ classes: [0], steps: 2 });
      const queued = globalThis.model.generate({ classes: [0], steps: 2 });
      const codes = [];
      for (const call of [pending, queued]) codes.push(await call.catch(({ code }) => code));
      codes.push(await globalThis.model.plan({ classes: [0] }).catch(({ code }) => code));
      globalThis.model.dispose();
      return codes;
    });
  assert.deepEqual(await crash(), ["poisoned", "poisoned", "poisoned"]);
  trapping = false;
  const again = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    return (await (await loadModel("/tiny/", { device: "cpu" })).generate({ classes: [0], steps: 2 })).length;
  });
  assert.equal(again, 1);
});

test("bad options are refused, by this side and by the runtime", async (t) => {
  const page = await open(t);
  const codes = await page.evaluate(async () => {
    const { loadModel } = await import("/js/dist/index.js");
    const model = await loadModel("/tiny/", { device: "cpu" });
    const all = [{ classes: [99] }, { classes: ["unicorn"] }, { classes: [0], seed: -1 }, { classes: [0], sampler: "magic" }];
    const codes = [];
    for (const options of all) codes.push(await model.generate(options).catch(({ code }) => code));
    codes.push((await model.plan({ classes: [0], steps: 8, guidance: 2 })).nfe);
    return codes;
  });
  assert.deepEqual(codes, ["input", "input", "input", "input", 16]);
});

test("the runtime is compiled while it arrives, whatever type its server says, and also where browsers cannot stream", async (t) => {
  const path = "/js/wasm/cpu/freeguide_cpu_bg.wasm";
  const wasm = await readFile(`${packageFolder}/wasm/cpu/freeguide_cpu_bg.wasm`);
  let rest;
  const page = await open(t, {
    [path]: (_, response) => {
      response.writeHead(200, { "Content-Type": "text/plain", "Content-Length": wasm.length });
      response.write(wasm.subarray(0, 10_000));
      rest = () => response.end(wasm.subarray(10_000));
    },
  });
  await page.exposeFunction("sendTheRest", () => rest());
  const load = (streams) =>
    page.evaluate(async (streams) => {
      const calls = [];
      const of = (bytes) => (bytes instanceof Response ? "stream" : "bytes");
      // What the compiler is given, and whether the server had sent all of it by then.
      let arrived = false;
      const compilers = streams ? ["compile", "compileStreaming", "instantiateStreaming"] : ["compile"];
      for (const name of compilers) {
        const original = WebAssembly[name];
        WebAssembly[name] = async (source, ...rest) => {
          calls.push([name, of(await source), arrived]);
          return original.call(WebAssembly, source, ...rest);
        };
      }
      if (!streams) WebAssembly.compileStreaming = WebAssembly.instantiateStreaming = undefined;
      const { loadModel } = await import("/js/dist/index.js");
      const onProgress = ({ phase, loaded }) => {
        if (phase !== "runtime" || loaded === 0 || arrived) return;
        // Only once the compiler has what there is, or waits for the whole file.
        setTimeout(() => {
          arrived = true;
          globalThis.sendTheRest();
        });
      };
      const model = await loadModel("/tiny/", { device: "cpu", worker: false, onProgress });
      const images = await model.generate({ classes: [0], steps: 2 });
      model.dispose();
      return { calls, images: images.length };
    }, streams);
  assert.deepEqual(await load(true), { calls: [["compileStreaming", "stream", false]], images: 1 });
  await page.reload();
  assert.deepEqual(await load(false), { calls: [["compile", "bytes", true]], images: 1 });
});
