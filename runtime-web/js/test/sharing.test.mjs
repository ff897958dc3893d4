// Which way an evaluation is computed, alone or shared with a second worker, over clocks of their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../dist/engine.js";
import { Helper } from "../dist/helper.js";
import { engineLink } from "../dist/link.js";
import { loadModelOver } from "../dist/load.js";
import { Sharing } from "../dist/sharing.js";
import { config, eventually, fakeBuild, weights } from "./helpers.mjs";

/** A helper, as far as a choice between it and no helper goes. */
const helper = () => ({ ready: true, closed: 0, close() { this.closed += 1; } });

/** A sharing over a clock that each evaluation moves on by what `costs(rows, shared)` says. */
function timed(options, costs) {
  let clock = 0;
  const sharing = new Sharing({ always: false, ...options, now: () => clock });
  /** Makes evaluations; says of each whether it was shared. */
  return {
    sharing,
    async evaluate(rows, count = 1, stepsLeft = 1) {
      const ways = [];
      for (let at = 0; at < count; at += 1) {
        await sharing.evaluate(rows, stepsLeft, async (given) => {
          clock += costs(rows, given !== undefined);
          ways.push(given !== undefined);
          return true;
        });
      }
      return ways;
    },
  };
}
/** Says how many cores there are. */
function cores(t, hardwareConcurrency) {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { hardwareConcurrency }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, "navigator", before) : delete globalThis.navigator));
}
const inTurns = [false, true, false, true, false, true];

test("both ways are timed in turns, and the faster is kept, for each number of rows by itself", async () => {
  const { evaluate } = timed({ helper: helper() }, (rows, shared) => (shared ? 10 + rows : 2 * rows));
  assert.deepEqual(await evaluate(4, 10), [...inTurns, false, false, false, false]);
  assert.deepEqual(await evaluate(32, 10), [...inTurns, true, true, true, true]);
  assert.deepEqual(await evaluate(4), [false]);
});

test("the best time of a way counts, not a first one in which the engine still compiled", async () => {
  let first = true;
  const { evaluate } = timed({ helper: helper() }, (_, shared) => {
    const cold = shared && first;
    if (cold) first = false;
    return cold ? 500 : shared ? 6 : 10;
  });
  assert.deepEqual((await evaluate(2, 8)).slice(6), [true, true]);
});

test("the ways are compared again after a while", async () => {
  let busy = false;
  const { evaluate } = timed({ helper: helper() }, (_, shared) => (shared === busy ? 20 : 10));
  assert.equal((await evaluate(2, 200)).at(-1), true);
  busy = true;
  assert.equal((await evaluate(2, 100)).at(-1), false);
});

test("what cannot be shared is not, and what is told to be always is", async () => {
  const slow = (_, shared) => (shared ? 100 : 1);
  assert.deepEqual(await timed({ helper: helper() }, slow).evaluate(1, 3), [false, false, false]);
  assert.deepEqual(await timed({ helper: { ...helper(), ready: false } }, slow).evaluate(2, 3), [false, false, false]);
  assert.deepEqual(await timed({ helper: helper(), always: true }, slow).evaluate(2, 8), Array(8).fill(true));
});

test("a helper is started for a run that is long enough, once, and closed with the model", async () => {
  const started = [];
  const startHelper = async () => {
    const one = helper();
    started.push(one);
    return one;
  };
  const { evaluate, sharing } = timed({ startHelper }, () => 100);
  await evaluate(2, 5, 10); // a second
  assert.equal(started.length, 0);
  await evaluate(1, 5, 1000); // nothing to share
  assert.equal(started.length, 0);
  await evaluate(2, 5, 100);
  assert.equal(started.length, 1);
  sharing.close();
  assert.equal(started[0].closed, 1);
});

test("weights that are not at hand, or no worker, mean computing alone", async () => {
  for (const answer of [() => Promise.resolve(undefined), () => Promise.reject(new Error("no"))]) {
    let asked = 0;
    const startHelper = () => {
      asked += 1;
      return answer();
    };
    const ways = await timed({ startHelper }, () => 100).evaluate(2, 100, 100);
    assert.ok(ways.every((shared) => !shared));
    assert.ok(asked > 1 && asked < 20, `${asked} attempts`);
  }
});

test("a model that is at hand gets its helper in the middle of a run, and draws the same", async (t) => {
  cores(t, 2);
  let clock = 0;
  t.mock.method(performance, "now", () => clock);
  const rows = [];
  const costs = { engine: 100, half: 50, helper: 0 };
  const onRows = (who, count) => {
    clock += costs[who];
    rows.push(`${who} ${count}`);
  };
  const workers = [];
  const openHelper = () => {
    const worker = { terminated: false, onmessage: null, onerror: null };
    const build = { ...fakeBuild("cpu", { onRows }), startFrom: (module) => (assert.equal(module, "compiled"), build.start(null, () => {})) };
    const far = new Helper(build, (data) => queueMicrotask(() => worker.onmessage?.({ data })));
    worker.postMessage = (message) => queueMicrotask(() => far.receive(message));
    worker.terminate = () => (worker.terminated = true);
    workers.push(worker);
    return worker;
  };
  const files = new Map([
    ["config.json", new Blob([JSON.stringify(config)])],
    ["model.safetensors", new Blob([weights])],
  ]);
  const load = (threads) => {
    const cpu = Object.assign(fakeBuild("cpu", { onRows }), { module: "compiled" });
    const open = async () => engineLink((post) => new Engine({ cpu, webgpu: fakeBuild("webgpu") }, post, openHelper));
    return loadModelOver(open, files, { device: "cpu", threads });
  };
  const run = { classes: [0, 1], guidance: 2, steps: 40, seed: 3 };

  const alone = await load(1);
  const expected = await alone.generate(run);
  alone.dispose();
  assert.deepEqual([rows, workers], [[], []]);

  const model = await load("auto");
  await model.generate({ ...run, steps: 4 }); // too short to pay
  assert.equal(workers.length, 0);
  for (let turn = 0; turn < 20 && !rows.includes("helper 2"); turn += 1) await model.generate(run);
  assert.equal(workers.length, 1);
  assert.ok(rows.includes("half 2") && rows.includes("helper 2"));
  rows.length = 0;
  assert.deepEqual(await model.generate(run), expected);
  await model.generate(run);
  assert.deepEqual(rows.slice(-2).sort(), ["half 2", "helper 2"], "the faster way is kept");
  model.dispose();
  await eventually(() => workers[0].terminated);
});

test("one core starts no helper, and threads are what they may be", async (t) => {
  const asked = async (count, threads) => {
    cores(t, count);
    const stop = new AbortController();
    let request;
    const post = (message) => {
      request = message;
      stop.abort();
    };
    const open = async () => ({ thread: "caller", listen() {}, close() {}, post });
    await assert.rejects(loadModelOver(open, "http://localhost/m/", { threads, signal: stop.signal }), { code: "aborted" });
    return request?.threads;
  };
  assert.equal(await asked(1), 1);
  assert.equal(await asked(undefined), 1);
  assert.equal(await asked(2), "auto");
  assert.equal(await asked(1, "auto"), 1);
  assert.equal(await asked(1, 2), 2);
  assert.equal(await asked(8, 1), 1);
  await assert.rejects(loadModelOver(async () => assert.fail(), "http://localhost/m/", { threads: 3 }), { code: "input", detail: "threads" });
});
