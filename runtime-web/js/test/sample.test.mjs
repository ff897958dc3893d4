import assert from "node:assert/strict";
import { test } from "node:test";
import { DeviceError, DisposedError, InputError, PoisonedError } from "../dist/index.js";
import { bundle, eventually, fakeBuild, loadFake, serve } from "./helpers.mjs";

async function fakeModel(t, options) {
  const { url } = await serve(t, bundle);
  const cpu = fakeBuild("cpu", options);
  const engines = [];
  const model = await loadFake(`${url}/m`, { device: "cpu" }, { cpu, engines });
  t.after(() => model.dispose());
  return { model, ledger: cpu.ledger, cpu, engine: engines[0], url };
}

test("steps come in order and the last one is what generate gives", async (t) => {
  const { model, ledger } = await fakeModel(t);
  const options = { classes: ["cat", 1, null], guidance: 2, steps: 5, seed: 7 };
  const steps = [];
  for await (const step of model.sample(options)) steps.push(step);
  assert.deepEqual(steps.map(({ step }) => step), [1, 2, 3, 4, 5]);
  assert.ok(steps.every(({ images, nfe, steps: all }) => images.length === 3 && nfe === 10 && all === 5));
  assert.ok(steps.every(({ milliseconds }) => milliseconds >= 0));
  const [first] = steps[4].images;
  assert.deepEqual([first.width, first.height, first.data.length], [4, 4, 64]);
  assert.ok(first.data instanceof Uint8ClampedArray);
  assert.equal(first.data.buffer.byteLength, 64, "an image has memory of its own");

  const images = await model.generate(options);
  assert.deepEqual(images, steps[4].images);
  await eventually(() => ledger.runs === 0, "freeing the runs");
});

test("previews: none shows only the result", async (t) => {
  const { model } = await fakeModel(t);
  const counts = [];
  for await (const { images } of model.sample({ classes: [0], steps: 4, preview: "none" })) counts.push(images.length);
  assert.deepEqual(counts, [0, 0, 0, 1]);
  const last = async (preview) => {
    let images;
    for await (const step of model.sample({ classes: [0], steps: 4, preview })) images = step.images;
    return images;
  };
  assert.deepEqual(await last("latent"), await last("denoised"));
});

test("branches: the estimates beside what guidance made of them, where they were made", async (t) => {
  const { model } = await fakeModel(t);
  const seen = [];
  const options = { classes: [0, null], guidance: 2, steps: 3, preview: "branches" };
  for await (const { images, branches } of model.sample(options)) seen.push({ images, branches });
  assert.equal(seen.length, 3, "at every step, the last included");
  for (const { images, branches } of seen) {
    assert.equal(branches.length, 2);
    assert.ok(branches.every(({ guided }, at) => guided === images[at]));
    assert.equal(branches[0].conditional.width, 4);
    assert.equal(branches[0].unconditional.data.length, 64);
    assert.equal(branches[1].conditional, null);
    assert.ok(branches[1].unconditional);
  }
  for await (const { branches } of model.sample({ ...options, guidance: 0 })) assert.equal(branches[0].unconditional, null);
  for await (const { branches } of model.sample({ classes: [0], steps: 2 })) assert.equal(branches, undefined);
});

test("options reach the runtime under its names", async (t) => {
  const { model, ledger } = await fakeModel(t);
  await model.generate({
    classes: [null, 2],
    guidance: 1.5,
    steps: 3,
    sampler: "ancestral",
    seed: 2 ** 53 - 1,
    firstImage: 4,
    clip: false,
    varianceInterpolation: 0.2,
  });
  const { ids, ...request } = ledger.requests[0];
  assert.deepEqual(request, {
    classes: [null, 2],
    guidance: 1.5,
    steps: 3,
    sampler: "ancestral",
    seed: 9007199254740991,
    first_image: 4,
    clip: false,
    variance_interpolation: 0.2,
  });
  await model.generate({ classes: [0, 1], guidance: [0, 3] });
  assert.deepEqual(ledger.requests[1].guidance, [0, 3]);

  await model.generate({
    classes: [0],
    guidancePolicy: { kind: "apg", eta: 0.1, normThreshold: 3 },
    guidanceInterval: { min: -2, max: 4 },
    sampler: "dpm++2m",
    grid: { spacing: "karras", logSnr: { min: -6, max: 6 }, lowerOrderLast: false },
  });
  const { guidance_policy, guidance_interval, sampler, grid } = ledger.requests[2];
  assert.deepEqual(guidance_policy, { kind: "apg", eta: 0.1, norm_threshold: 3 });
  assert.deepEqual(guidance_interval, { min: -2, max: 4 });
  assert.equal(sampler, "dpm++2m");
  assert.deepEqual(grid, { spacing: "karras", log_snr: { min: -6, max: 6 }, lower_order_last: false });
  await model.generate({ classes: [0], guidancePolicy: "cfg++", grid: "uniform-lambda", toward: { seed: 3, t: 0.5 } });
  assert.deepEqual(ledger.requests[3].toward, { seed: 3, t: 0.5 });
  assert.deepEqual(ledger.requests[3].guidance_policy, { kind: "cfg++" });
  assert.deepEqual(ledger.requests[3].grid, { spacing: "uniform-lambda" });
});

const flat = (side, [red, green, blue, alpha]) => ({
  width: side,
  height: side,
  data: Uint8ClampedArray.from({ length: side * side * 4 }, (_, at) => [red, green, blue, alpha][at % 4]),
});

test("a picture to start from reaches the runtime as the model's own bytes", async (t) => {
  const { model, ledger } = await fakeModel(t);
  const last = () => ledger.requests.at(-1);
  await model.generate({ classes: [0], image: flat(4, [10, 20, 30, 255]), strength: 0.5 });
  assert.deepEqual(last().source.image, Array.from({ length: 48 }, (_, at) => [10, 20, 30][at % 3]));
  assert.equal(last().source.mask, undefined);
  assert.equal(last().strength, 0.5);
  // Transparent parts are white, and of a mask black.
  await model.generate({ classes: [0], image: flat(4, [9, 9, 9, 0]), mask: flat(4, [255, 255, 255, 128]), negative: "dog" });
  assert.deepEqual(last().source.image, Array(48).fill(255));
  assert.deepEqual(last().source.mask, Array(16).fill(128));
  assert.equal(last().negative, "dog");
});

test("a picture that cannot be used is refused by name", async (t) => {
  const { model } = await fakeModel(t);
  const picture = flat(4, [0, 0, 0, 255]);
  const bad = [
    [{ image: flat(5, [0, 0, 0, 255]) }, "image", /4×4 RGBA pixels here, not 5×5/],
    [{ image: { ...picture, width: 3 } }, "image", /64 bytes, which are no 3×4/],
    [{ image: "a.png" }, "image", /not something else/],
    [{ mask: picture }, "mask", /needs image/],
    [{ image: picture, mask: flat(2, [0, 0, 0, 255]) }, "mask", /not 2×2/],
    [{ image: picture, strength: 2 }, "strength", /from 0 to 1/],
    [{ negative: 3 }, "negative", /name of a class/],
  ];
  for (const [options, detail, message] of bad) {
    await assert.rejects(model.generate({ classes: [0], ...options }), (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.equal(error.detail, detail);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("plan counts network evaluations", async (t) => {
  const { model } = await fakeModel(t);
  const levels = [-1, 0];
  const { settings, ...cost } = await model.plan({ classes: [0], steps: 2, guidance: 2 });
  assert.deepEqual(cost, { steps: 2, nfe: 4, levels, rows: 2 });
  assert.deepEqual(settings.map(({ class: name, steps }) => [name, steps]), [["cat", 2]], "one an image");
  const { nfe, rows } = await model.plan({ classes: [0], steps: 2, guidance: 0 });
  assert.deepEqual([nfe, rows], [2, 1]);
});

test("bad options are refused by name", async (t) => {
  const { model } = await fakeModel(t);
  const bad = [
    [{}, "classes"],
    [{ classes: [] }, "classes"],
    [{ classes: [1.5] }, "classes[0]"],
    [{ classes: [0, {}] }, "classes[1]"],
    [{ classes: [{ cat: 0.7, dog: 0.2 }] }, "classes[0]"],
    [{ classes: [{ cat: 1.5, dog: -0.5 }] }, "classes[0]"],
    [{ classes: [{ cat: "1" }] }, "classes[0]"],
    [{ classes: [[0, 0.5]] }, "classes[0]"],
    [{ classes: [["cat", null]] }, "classes[0]"],
    [{ classes: [0], symmetry: "round" }, "symmetry"],
    [{ classes: [0], sampler: "eulr" }, "sampler"],
    [{ classes: [0], seed: -1 }, "seed"],
    [{ classes: [0], seed: 2 ** 53 }, "seed"],
    [{ classes: [0], seed: "7" }, "seed"],
    [{ classes: [0], seed: 0.5 }, "seed"],
    [{ classes: [0], guidance: NaN }, "guidance"],
    [{ classes: [0, 1], guidance: [1, Infinity] }, "guidance"],
    [{ classes: [0], steps: 0 }, "steps"],
    [{ classes: [0], firstImage: -1 }, "firstImage"],
    [{ classes: [0], clip: 1 }, "clip"],
    [{ classes: [0], varianceInterpolation: 2 }, "varianceInterpolation"],
    [{ classes: [0], preview: "yes" }, "preview"],
    [{ classes: [0], guidence: 2 }, "guidence"],
    [{ classes: [0], guidancePolicy: 3 }, "guidancePolicy"],
    [{ classes: [0], guidancePolicy: { kind: "apg", momentum: NaN } }, "guidancePolicy"],
    [{ classes: [0], guidancePolicy: { kind: "apg", mass: 1 } }, "guidancePolicy"],
    [{ classes: [0], guidanceInterval: [1, 2] }, "guidanceInterval"],
    [{ classes: [0], grid: { spacing: "karras", toString: 1 } }, "grid"],
    [{ classes: [0], toward: { seed: 1, way: 0.5 } }, "toward"],
    [{ classes: [0], grid: { logSnr: { low: 1 } } }, "grid.logSnr"],
    [{ classes: ["unicorn"] }, "classes"],
  ];
  for (const [options, detail] of bad) {
    await assert.rejects(model.sample(options).next(), (error) => {
      assert.ok(error instanceof InputError, `${error.name}: ${error.message}`);
      assert.equal(error.detail, detail);
      return true;
    });
  }
  assert.equal((await model.generate({ classes: [0] })).length, 1, "the model still works");
});

test("a run with a tolerance ends where nothing changes any more", async (t) => {
  const { model } = await fakeModel(t);
  const seen = [];
  // The stand-in comes to rest at the step that the tolerance says.
  for await (const { step, steps } of model.sample({ classes: [0], steps: 9, tolerance: 4 })) seen.push([step, steps]);
  assert.deepEqual(seen.slice(-2), [[3, 9], [4, 4]]);
  assert.equal((await model.generate({ classes: [0], steps: 9, tolerance: 4 })).length, 1);
});

test("leaving the loop stops the run", async (t) => {
  const { model, ledger } = await fakeModel(t, { stepMilliseconds: 1 });
  for await (const { step } of model.sample({ classes: [0], steps: 1000 })) if (step === 3) break;
  await eventually(() => ledger.runs === 0, "freeing the run");
  const { steps } = ledger;
  assert.ok(steps < 10, `${steps} steps were run`);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(ledger.steps, steps, "nothing runs on");
});

test("a signal stops a run before it starts, while it waits, and in the middle", async (t) => {
  const { model, ledger } = await fakeModel(t, { stepMilliseconds: 1 });
  const isAbort = (error) => error.code === "aborted" && error.name === "AbortError" && error.cause === "enough";
  await assert.rejects(model.generate({ classes: [0], signal: AbortSignal.abort("enough") }), isAbort);
  assert.equal(ledger.steps, 0);

  const control = new AbortController();
  const run = model.sample({ classes: [0], steps: 1000, signal: control.signal });
  await run.next();
  const pending = run.next().then(() => run.next()).then(() => run.next());
  control.abort("enough");
  await assert.rejects(pending, isAbort);
  assert.deepEqual(await run.next(), { done: true, value: undefined });
  await eventually(() => ledger.runs === 0, "freeing the run");
  const { steps } = ledger;

  const queued = new AbortController();
  const long = model.generate({ classes: [0], steps: 20 });
  const waiting = model.generate({ classes: [0], steps: 20, signal: queued.signal });
  queued.abort("enough");
  await assert.rejects(waiting, isAbort);
  await long;
  assert.equal(ledger.steps, steps + 20, "the queued run never ran");
});

test("runs take turns, never two steps at once, and a stalled one gives way", async (t) => {
  const { model, ledger } = await fakeModel(t);
  await Promise.all([1, 2, 3].map((seed) => model.generate({ classes: [0], steps: 6, seed })));
  assert.equal(ledger.overlap, false);

  const order = [];
  for await (const { step } of model.sample({ classes: [0], steps: 6 })) {
    order.push(`outer ${step}`);
    if (step === 2) order.push(`inner ${(await model.generate({ classes: [1], steps: 3 })).length}`);
  }
  assert.deepEqual(order, ["outer 1", "outer 2", "inner 1", "outer 3", "outer 4", "outer 5", "outer 6"]);
});

test("the engine stays a bounded number of steps ahead of its consumer", async (t) => {
  const { model, ledger } = await fakeModel(t);
  const run = model.sample({ classes: [0], steps: 100 });
  await run.next();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.ok(ledger.steps <= 3, `${ledger.steps} steps were run`);
  await run.return();
});

test("a crash poisons the model, and a new load works", async (t) => {
  const { model, cpu, url } = await fakeModel(t, { panicAtStep: 2 });
  const run = model.sample({ classes: [0], steps: 4 });
  await run.next();
  const also = model.generate({ classes: [0] });
  await assert.rejects(run.next(), (error) => {
    assert.ok(error instanceof PoisonedError);
    assert.match(error.message, /step\.rs:1:2: too much/, "what the panic said");
    return true;
  });
  await assert.rejects(also, PoisonedError);
  await assert.rejects(model.plan({ classes: [0] }), PoisonedError);
  await assert.rejects(model.generate({ classes: [0] }), { code: "poisoned" });
  assert.equal(cpu.abandoned, 1);
  model.dispose();
  const again = await loadFake(`${url}/m`, { device: "cpu" });
  assert.equal((await again.generate({ classes: [0] })).length, 1);
});

test("a trap in a task of its own rejects the call that would never settle", async (t) => {
  let hang;
  const hung = new Promise((resolve) => (hang = resolve));
  const { model, engine } = await fakeModel(t, { hangAtStep: 1, onHang: hang });
  const pending = model.generate({ classes: [0] });
  await hung;
  engine.crashed("unreachable");
  await assert.rejects(pending, PoisonedError);
  await assert.rejects(model.plan({ classes: [0] }), PoisonedError);
});

/** A stand-in for WebGPU whose devices are lost when they are told to. */
function fakeGpu(t) {
  const devices = [];
  const requestDevice = async () => {
    let lose;
    const lost = new Promise((resolve) => (lose = resolve));
    const device = { lost, limits: {}, features: new Set(["timestamp-query"]), lose: (message) => lose({ reason: "unknown", message }) };
    devices.push(device);
    return device;
  };
  const gpu = { requestAdapter: async () => ({ info: { vendor: "real" }, limits: {}, features: new Set(["timestamp-query"]), requestDevice }) };
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, "navigator", before) : delete globalThis.navigator));
  return { devices, gpu, requestDevice };
}

test("a lost GPU is replaced and its runs end in the same images", async (t) => {
  const { devices } = fakeGpu(t);
  const { url, asked } = await serve(t, bundle);
  const webgpu = fakeBuild("webgpu", { gpu: true });
  const lost = [];
  const model = await loadFake(`${url}/m`, { device: "webgpu", onDeviceLost: (reason) => lost.push(reason) }, { webgpu });
  t.after(() => model.dispose());
  const options = { classes: [0, 1], steps: 8, seed: 5 };
  const wanted = await model.generate(options);
  const seen = [];
  let images;
  for await (const step of model.sample(options)) {
    seen.push(step.step);
    images = step.images;
    if (step.step === 2) devices[0].lose("unplugged");
    // Asked while the device is being replaced: waits, and is answered.
    if (step.step === 4) assert.equal((await model.plan(options)).steps, 8);
    if (step.step === 6) devices[1].lose("unplugged again");
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8], "no step is shown twice");
  assert.deepEqual(images, wanted);
  assert.deepEqual(lost, ["the GPU was lost: unplugged", "the GPU was lost: unplugged again"]);
  assert.equal(devices.length, 3);
  assert.equal(asked.filter((path) => path.endsWith("safetensors")).length, 3);
  assert.equal(model.device.kind, "webgpu");
});

test("a GPU that is lost again and again is given up", async (t) => {
  const { devices } = fakeGpu(t);
  const { url } = await serve(t, bundle);
  const webgpu = fakeBuild("webgpu", { gpu: true, hangAtStep: 1, onHang: () => devices.at(-1).lose("gone") });
  const model = await loadFake(`${url}/m`, { device: "webgpu" }, { webgpu });
  await assert.rejects(model.generate({ classes: [0] }), (error) => error.code === "device" && error.detail === "lost");
  assert.equal(devices.length, 4);
  await assert.rejects(model.generate({ classes: [0] }), DeviceError);
});

test("the page's own device is used, and its loss ends the model", async (t) => {
  const { devices, gpu, requestDevice } = fakeGpu(t);
  const { requestAdapter } = gpu;
  const { url } = await serve(t, bundle);
  const gpuDevice = await requestDevice();
  const webgpu = fakeBuild("webgpu", { gpu: true });
  const model = await loadFake(`${url}/m`, { gpuDevice }, { webgpu });
  assert.equal(model.device.kind, "webgpu");
  assert.equal(devices.length, 1, "no other device was asked for");
  assert.equal(gpu.requestAdapter, requestAdapter, "nothing of ours is left on navigator.gpu");
  const run = model.sample({ classes: [0], steps: 100 });
  await run.next();
  gpuDevice.lose("by the page");
  await assert.rejects(async () => {
    for await (const _ of run);
  }, DeviceError);
  await assert.rejects(loadFake(`${url}/m`, { gpuDevice, device: "cpu" }), InputError);
  await assert.rejects(loadFake(`${url}/m`, { gpuDevice: { features: new Set() } }), /timestamp-query/);
});

test("an error of the device ends the run and not the model's promises", async (t) => {
  const { model } = await fakeModel(t, { lostAtStep: 2 });
  await assert.rejects(model.generate({ classes: [0] }), DeviceError);
  assert.equal((await model.plan({ classes: [0], steps: 2 })).steps, 2);
});

test("dispose is idempotent, rejects what is pending, and frees everything", async (t) => {
  const { model, ledger } = await fakeModel(t, { stepMilliseconds: 1 });
  const run = model.sample({ classes: [0], steps: 1000 });
  await run.next();
  const pending = model.generate({ classes: [0] });
  model.dispose();
  model.dispose();
  await assert.rejects(pending, DisposedError);
  await assert.rejects(run.next(), DisposedError);
  await assert.rejects(model.generate({ classes: [0] }), DisposedError);
  await eventually(() => ledger.runs === 0 && ledger.models === 0 && ledger.devices === 0, "freeing");
});

test("using", async (t) => {
  const { model, ledger } = await fakeModel(t);
  model[Symbol.dispose]();
  await model[Symbol.asyncDispose]();
  await eventually(() => ledger.models === 0, "freeing");
});

test("a batch that cannot fit is refused in words before anything is computed, and a smaller one drawn", async (t) => {
  const { model, ledger } = await fakeModel(t, { memory: { weights: 2 ** 30, largest: 2 ** 20, kept: 2 ** 10, row: 2 ** 28, activation: 2 ** 20 } });
  const options = { classes: Array(16).fill(0), steps: 1, guidance: 2 };
  await assert.rejects(model.generate(options), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.equal(error.detail, "memory");
    assert.match(error.message, /^a batch of 16 images does not fit here: it needs about 9\.0 GiB.*Draw fewer at a time, 4 for instance$/);
    return true;
  });
  assert.equal(ledger.requests.length, 0);
  assert.equal((await model.generate({ ...options, classes: Array(4).fill(0) })).length, 4);
  assert.equal((await model.generate({ ...options, classes: Array(8).fill(0), guidance: 0 })).length, 8);
});
