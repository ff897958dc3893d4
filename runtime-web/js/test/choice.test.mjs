// Which device computes a step: over clocks of their own, and with stand-ins for devices.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Choice, gpuRuledOut } from "../dist/choice.js";
import { bundle, eventually, fakeBuild, loadFake, serve } from "./helpers.mjs";

/** Makes `count` steps of so many rows, each as long as `costs` says; returns in which ways. */
function steps(choice, rows, count, costs) {
  return Array.from({ length: count }, () => {
    const { name } = choice.pick(rows);
    choice.took(rows, name, costs(name));
    return name;
  });
}
const [cpu, half, full] = ["cpu", "webgpu f16", "webgpu f32"];

test("each way has three steps, and the fastest goes on, for each number of rows by itself", () => {
  const decided = [];
  const choice = new Choice({ onDecided: (times) => decided.push(times) });
  choice.offer(cpu);
  assert.deepEqual(steps(choice, 2, 5, () => 10), Array(5).fill(cpu));
  choice.offer(half);
  assert.deepEqual(steps(choice, 2, 6, (name) => (name === cpu ? 10 : 4)), Array(6).fill(half));
  assert.deepEqual(decided, [{ 2: { cpu: 10, [half]: 4 } }]);
  assert.equal(choice.why(2), "a step of 2 rows took 4.0 ms on the GPU in 16 bits, 10 ms on the CPU");
  assert.equal(choice.why(32), undefined);
  assert.deepEqual(steps(choice, 32, 8, (name) => (name === cpu ? 5 : 21)), [cpu, cpu, cpu, half, half, cpu, cpu, cpu]);
});

test("a way that is hopeless has two steps, since the first may have compiled something", () => {
  const choice = new Choice();
  choice.offer(cpu);
  choice.offer(half);
  let first = true;
  const cold = (name) => (name === cpu ? 10 : first ? ((first = false), 900) : 3);
  assert.deepEqual(steps(choice, 2, 8, cold), [cpu, cpu, cpu, half, half, half, half, half]);
  assert.deepEqual(steps(choice, 4, 8, (name) => (name === cpu ? 1 : 100)), [cpu, cpu, cpu, half, half, cpu, cpu, cpu]);
});

test("the ways are compared again after a while, but for one that is hopeless", () => {
  const choice = new Choice();
  [cpu, half, full].forEach((name) => choice.offer(name));
  const usual = { [cpu]: 10, [half]: 4, [full]: 90 };
  steps(choice, 2, 300, (name) => usual[name]);
  const later = steps(choice, 2, 400, (name) => (name === half ? 30 : usual[name]));
  assert.equal(later.at(-1), cpu);
  assert.ok(!later.includes(full), "90 ms are not tried again");
});

test("what is remembered is not measured again, and rules a slower GPU out", () => {
  const choice = new Choice({ remembered: { 2: { cpu: 10, [half]: 4 } } });
  choice.offer(cpu);
  assert.deepEqual(steps(choice, 2, 2, () => 10), [cpu, cpu], "the CPU draws until the GPU is ready");
  choice.offer(half);
  assert.deepEqual(steps(choice, 2, 2, () => 5), [half, half]);
  assert.equal(gpuRuledOut({}), undefined);
  assert.equal(gpuRuledOut({ 2: { cpu: 3 } }), undefined);
  assert.equal(gpuRuledOut({ 2: { cpu: 3, [half]: 9 }, 32: { cpu: 30, [half]: 9 } }), undefined);
  assert.match(gpuRuledOut({ 2: { cpu: 3, [half]: 9 } }), /slower.*3\.0 ms on the CPU, 9\.0 ms on the GPU in 16 bits/);
});

let adapters = 0;
/** A page with a real GPU that is like no other, and a clock that steps of each device move on. */
function page(t, costs, options = {}) {
  const requestDevice = async () => ({ lost: new Promise(() => {}), limits: {}, features: new Set(["shader-f16"]) });
  const info = { vendor: `real ${(adapters += 1)}`, ...options.info };
  const gpu = { requestAdapter: async () => ({ info, limits: {}, features: new Set(["timestamp-query"]), requestDevice }) };
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, "navigator", before) : delete globalThis.navigator));
  let clock = 0;
  t.mock.method(performance, "now", () => clock);
  const ways = [];
  const onStep = (device) => (precision, rows) => {
    const way = device === "cpu" ? "cpu" : `webgpu ${precision}`;
    clock += costs[way];
    ways.push(`${way}${rows === 2 ? "" : ` ${rows}`}`);
  };
  const builds = () => ({
    cpu: fakeBuild("cpu", { name: "the processor", onStep: onStep("cpu") }),
    webgpu: fakeBuild("webgpu", { name: "the card", gpu: true, half: true, onStep: onStep("webgpu"), ...options.webgpu }),
  });
  return { ways, builds, info };
}

test("the CPU draws while the GPU is prepared, which takes over in the middle of a run where it is faster", async (t) => {
  const { ways, builds } = page(t, { cpu: 10, "webgpu f16": 2, "webgpu f32": 3 });
  const { url } = await serve(t, bundle);
  const told = [];
  const phases = [];
  const both = builds();
  const options = { onDevice: ({ kind, preparing }) => told.push(`${kind}${preparing ? " preparing" : ""}`), onProgress: ({ phase }) => phases.push(phase) };
  const model = await loadFake(`${url}/m`, options, both);
  t.after(() => model.dispose());
  const { kind, preparing, why, precision } = model.device;
  assert.deepEqual([kind, preparing, precision], ["cpu", true, "f32"]);
  assert.match(why, /while the GPU is prepared/);
  assert.ok(!phases.includes("gpu"), "of the load itself");
  const seen = [];
  let images;
  const run = { classes: [0], guidance: 2, steps: 60, seed: 4 };
  for await (const step of model.sample(run)) {
    seen.push(step.step);
    images = step.images;
    if (step.step === 4) await eventually(() => !model.device.preparing, "a GPU that is ready");
  }
  assert.deepEqual(seen, Array.from({ length: 60 }, (_, at) => at + 1));
  assert.equal(model.device.kind, "webgpu");
  assert.equal(model.device.name, "the card");
  assert.match(model.device.why, /a step of 2 rows took 2\.0 ms on the GPU in 16 bits.*10 ms on the CPU/);
  assert.deepEqual(both.webgpu.ledger.resumed[0][0], "f16");
  assert.ok(phases.includes("gpu"));
  assert.deepEqual([told.at(-2), told.at(-1)].includes("webgpu"), true, String(told));
  assert.equal(ways.filter((way) => way === "cpu").length <= 8, true, String(ways));
  const alone = await loadFake(`${url}/m`, { device: "cpu" }, { cpu: fakeBuild("cpu") });
  assert.deepEqual(images, await alone.generate(run), "the same picture");
});

test("a GPU that is slower hands the run back, is remembered as such, and is not prepared again until there are more rows", async (t) => {
  const { ways, builds } = page(t, { cpu: 2, "webgpu f16": 5, "webgpu f32": 5 });
  const { url } = await serve(t, bundle);
  const model = await loadFake(`${url}/m`, {}, builds());
  await eventually(() => !model.device.preparing, "a GPU that is ready");
  await model.generate({ classes: [0], guidance: 2, steps: 20 });
  assert.equal(model.device.kind, "cpu");
  assert.match(model.device.why, /2\.0 ms on the CPU, 5\.0 ms on the GPU/);
  assert.deepEqual(ways.slice(-10), Array(10).fill("cpu"));
  model.dispose();

  const later = builds();
  const again = await loadFake(`${url}/m`, {}, later);
  t.after(() => again.dispose());
  assert.equal(again.device.preparing, false);
  assert.deepEqual(again.device.refused.map(({ code }) => code), ["slower"]);
  await again.generate({ classes: [0], guidance: 2, steps: 20 });
  assert.equal(later.webgpu.starts, 0, "its runtime is not even fetched");
  await again.generate({ classes: [0, 1, 2], guidance: 2, steps: 4 });
  await eventually(() => later.webgpu.starts === 1, "the GPU for six rows");
});

test("what was found is remembered for that adapter and model: the GPU takes over without being timed", async (t) => {
  const { ways, builds } = page(t, { cpu: 10, "webgpu f16": 2, "webgpu f32": 3 });
  const { url } = await serve(t, bundle);
  for (const round of [1, 2]) {
    ways.length = 0;
    const model = await loadFake(`${url}/m`, {}, builds());
    await eventually(() => !model.device.preparing, "a GPU that is ready");
    await model.generate({ classes: [0], guidance: 2, steps: 10 });
    assert.equal(ways.filter((way) => way === "cpu").length, round === 1 ? 3 : 0, String(ways));
    model.dispose();
  }
});

test("a long run in 16 bits tries 32 as well, and keeps what is faster", async (t) => {
  const { ways, builds } = page(t, { cpu: 900, "webgpu f16": 100, "webgpu f32": 40 });
  const { url } = await serve(t, bundle);
  const both = builds();
  const model = await loadFake(`${url}/m`, { device: "webgpu" }, both);
  t.after(() => model.dispose());
  assert.equal(model.device.precision, "f16");
  assert.deepEqual(both.webgpu.ledger.tested, ["f16"], "32 bits are tested only where they are used");
  await model.generate({ classes: [0], guidance: 2, steps: 6 }); // too short
  assert.ok(!ways.includes("webgpu f32"));
  for await (const _ of model.sample({ classes: [0], guidance: 2, steps: 60 }));
  assert.deepEqual(ways.slice(-3), Array(3).fill("webgpu f32"));
  assert.equal(model.device.precision, "f32");
  assert.deepEqual(both.webgpu.ledger.tested, ["f16", "f32"]);
  await eventually(() => both.webgpu.ledger.models === 1, "the other precision's memory");
});

test("values beyond 16 bits: the run goes back to its last good step and on in 32, once, with a note", async (t) => {
  for (const preview of ["denoised", "none"]) {
    const { ways, builds } = page(t, { "webgpu f16": 1, "webgpu f32": 1 }, { webgpu: { notFiniteAtStep: 7 } });
    const { url } = await serve(t, bundle);
    const both = builds();
    const told = [];
    const model = await loadFake(`${url}/m`, { device: "webgpu", onDevice: ({ precision }) => told.push(precision) }, both);
    ways.length = 0;
    const seen = [];
    let images;
    const run = { classes: [0], guidance: 2, steps: 9, seed: 9 };
    for await (const step of model.sample({ ...run, preview })) {
      seen.push(step.step);
      images = step.images;
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9], "every step is shown once");
    assert.deepEqual(both.webgpu.ledger.resumed, preview === "none" ? [] : [["f32", 4]]);
    assert.equal(model.device.precision, "f32");
    assert.ok(told.includes("f32"));
    const [refused] = model.device.refused;
    assert.deepEqual([refused.kind, refused.precision, refused.code], ["webgpu", "f16", "device"]);
    assert.match(refused.reason, /range of 16 bits before step/);
    const cpu = await loadFake(`${url}/m`, { device: "cpu" }, { cpu: fakeBuild("cpu") });
    assert.deepEqual(images, await cpu.generate(run));
    // Nobody looks before the end: it is found out there, and the run begins again.
    const wide = preview === "none" ? 9 : 5;
    assert.deepEqual(ways.filter((way) => way === "webgpu f32").length, wide);
    ways.length = 0;
    await model.generate(run);
    assert.ok(ways.every((way) => way === "webgpu f32"), "and so are later runs");
    model.dispose();
  }
});
