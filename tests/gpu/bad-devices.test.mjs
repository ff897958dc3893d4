// GPUs that are not as they should be: each leads to the next choice, with the reason said, and to the CPU's picture.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { difference, drawIn } from "./engines.mjs";
import { scaledBundle } from "./scaled-bundle.mjs";

const bundle = await scaledBundle(1);
after(() => bundle.remove());
const models = [bundle.url];
const run = { classes: [0], guidance: 2, steps: 2, sampler: "ddim", seed: 7 };
const onCpu = (await drawIn("node", { models, options: { device: "cpu" }, run })).drawn[0];

async function drawWith(fault, options = {}) {
  const { drawn, code, signal, errors } = await drawIn("node", { models, run, options, gpu: true, fault, settle: true });
  assert.deepEqual([code, signal], [0, null], errors);
  assert.equal(drawn.length, 1, errors);
  return drawn[0];
}

test("without timestamp-query the CPU is taken, and WebGPU alone is an error in words", async () => {
  const { device, pictures, loading } = await drawWith("no-timestamps");
  assert.equal(device.kind, "cpu");
  assert.deepEqual(device.refused.map(({ kind, code }) => [kind, code]), [["webgpu", "device"]]);
  assert.match(device.refused[0].reason, /timestamp-query/);
  assert.equal(loading.pipelines, 0);
  assert.deepEqual(pictures, onCpu.pictures);
  const { error } = await drawWith("no-timestamps", { device: "webgpu" });
  assert.equal(error.code, "device");
  assert.match(error.message, /timestamp-query/);
});

test("with the lowest limits that WebGPU allows the GPU draws, or says why not", async () => {
  const { device, pictures, error } = await drawWith("lowest-limits", { device: "webgpu" });
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(device.kind, "webgpu");
  assert.ok(difference(pictures[0], onCpu.pictures[0]) <= 8);
});

test("a device that is lost while its pipelines are compiled: the CPU draws on", async () => {
  const { device, pictures } = await drawWith("lost-while-compiling");
  assert.equal(device.kind, "cpu");
  assert.deepEqual(device.refused.map(({ kind, code }) => [kind, code]), [["webgpu", "device"]]);
  assert.match(device.refused[0].reason, /the GPU was lost/);
  assert.deepEqual(pictures, onCpu.pictures);
  const { error } = await drawWith("lost-while-compiling", { device: "webgpu" });
  assert.deepEqual([error.code, error.detail], ["device", "lost"]);
});

test("a GPU whose 16 bits come out wrong computes in 32, and says so", async () => {
  const { device, pictures, error } = await drawWith("wrong-f16", { device: "webgpu" });
  assert.equal(error, undefined, JSON.stringify(error));
  assert.deepEqual([device.kind, device.precision], ["webgpu", "f32"]);
  assert.deepEqual(device.refused.map(({ kind, precision, code }) => [kind, precision, code]), [["webgpu", "f16", "self-test"]]);
  assert.match(device.refused[0].reason, /computes wrongly/);
  assert.ok(difference(pictures[0], onCpu.pictures[0]) <= 2);
});

test("beside the CPU, a step of both shows that 16 bits come out wrong, and the GPU goes on in 32", async () => {
  const { device, pictures, error } = await drawWith("wrong-f16");
  assert.equal(error, undefined, JSON.stringify(error));
  const [{ kind, precision, code, reason }] = device.refused;
  assert.deepEqual([kind, precision, code], ["webgpu", "f16", "self-test"]);
  assert.match(reason, /a step is off from the CPU's by/);
  assert.ok(!device.refused.some((other) => other.precision === undefined && other.code === "self-test"));
  assert.ok(difference(pictures[0], onCpu.pictures[0]) <= 2);
});

test("a GPU that computes wrongly in both is left alone, and WebGPU alone is an error in words", async () => {
  const { device, pictures } = await drawWith("wrong");
  assert.equal(device.kind, "cpu");
  const refused = device.refused.map(({ kind, precision, code }) => [kind, precision, code]);
  assert.deepEqual(refused, [["webgpu", "f16", "self-test"], ["webgpu", undefined, "self-test"]]);
  assert.deepEqual(pictures, onCpu.pictures);
  const { error } = await drawWith("wrong", { device: "webgpu" });
  assert.equal(error.code, "self-test");
  assert.match(error.message, /computes wrongly/);
});

test("without shader-f16 it computes in 32 bits, which is no refusal", async () => {
  const { device, pictures } = await drawWith("no-f16", { device: "webgpu" });
  assert.deepEqual([device.kind, device.precision, device.refused], ["webgpu", "f32", []]);
  assert.ok(difference(pictures[0], onCpu.pictures[0]) <= 2);
});
