// How many workers compute an evaluation, over clocks of their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../dist/engine.js";
import { Helper } from "../dist/helper.js";
import { engineLink } from "../dist/link.js";
import { loadModelOver } from "../dist/load.js";
import { Sharing } from "../dist/sharing.js";
import { config, eventually, fakeBuild, weights } from "./helpers.mjs";

/** A helper, as far as a choice between it and no helper goes. */
const helper = () => ({ ready: true, ended: false, closed: 0, close() { this.closed += 1; } });

/** A sharing over a clock that each evaluation moves on by what `costs(rows, helpers)` says. */
function timed(options, costs) {
  let clock = 0;
  const sharing = new Sharing({ always: false, ...options, now: () => clock });
  /** Makes evaluations; says of each how many helpers it had. */
  return {
    sharing,
    async evaluate(rows, count = 1, stepsLeft = 1) {
      const ways = [];
      for (let at = 0; at < count; at += 1) {
        await sharing.evaluate(rows, stepsLeft, async (given) => {
          clock += costs(rows, given.length);
          ways.push(given.length);
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
const inTurns = [0, 1, 0, 1, 0, 1];

test("both ways are timed in turns, and the faster is kept, for each number of rows by itself", async () => {
  const { evaluate } = timed({ helpers: [helper()] }, (rows, shared) => (shared ? 10 + rows : 2 * rows));
  assert.deepEqual(await evaluate(4, 10), [...inTurns, 0, 0, 0, 0]);
  assert.deepEqual(await evaluate(32, 10), [...inTurns, 1, 1, 1, 1]);
  assert.deepEqual(await evaluate(4), [0]);
});

test("the best time of a way counts, not a first one in which the engine still compiled", async () => {
  let first = true;
  const { evaluate } = timed({ helpers: [helper()] }, (_, shared) => {
    const cold = shared && first;
    if (cold) first = false;
    return cold ? 500 : shared ? 6 : 10;
  });
  assert.deepEqual((await evaluate(2, 8)).slice(6), [1, 1]);
});

test("the ways are compared again after a while", async () => {
  let busy = false;
  const { evaluate } = timed({ helpers: [helper()] }, (_, shared) => ((shared > 0) === busy ? 20 : 10));
  assert.equal((await evaluate(2, 200)).at(-1), 1);
  busy = true;
  assert.equal((await evaluate(2, 100)).at(-1), 0);
});

test("what cannot be shared is not, and what is told to be always is", async () => {
  const slow = (_, shared) => (shared ? 100 : 1);
  assert.deepEqual(await timed({ helpers: [helper()] }, slow).evaluate(1, 3), [0, 0, 0]);
  assert.deepEqual(await timed({ helpers: [{ ...helper(), ready: false }] }, slow).evaluate(2, 3), [0, 0, 0]);
  assert.deepEqual(await timed({ helpers: [helper()], always: true }, slow).evaluate(2, 8), Array(8).fill(1));
  const three = [helper(), helper(), helper()];
  assert.deepEqual(await timed({ helpers: three, always: true }, slow).evaluate(3, 2), [2, 2], "one row for each at least");
  assert.deepEqual(await timed({ helpers: three, always: true }, slow).evaluate(9, 2), [3, 3]);
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
    assert.ok(ways.every((helpers) => helpers === 0));
    assert.ok(asked > 1 && asked < 20, `${asked} attempts`);
  }
});

/** A machine with so many free cores: an evaluation takes a fixed time and a time for each row, and workers wait for a core. */
const machine = (free) => (rows, helpers) => {
  const workers = helpers + 1;
  return (10 + 20 * Math.ceil(rows / workers)) * Math.ceil(workers / free);
};

test("eight cores get eight workers, one after another, where there are rows for them", async () => {
  const started = [];
  const startHelper = async () => {
    started.push(helper());
    return started.at(-1);
  };
  const { evaluate, sharing } = timed({ most: 7, startHelper }, machine(8));
  const ways = await evaluate(18, 120, 100);
  // Nine rows each, six, five, four, three, three, three: a worker that changes nothing is not kept.
  assert.equal(ways.at(-1), 5);
  assert.equal(sharing.helpers, 5);
  assert.equal(started.at(-1).closed, 1, "the seventh worker was no faster than the sixth");
  assert.deepEqual([...new Set(ways)], [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(ways.indexOf(1), 2, "the first is asked for after two evaluations");
  assert.deepEqual(await evaluate(2, 8), [...inTurns, 1, 1], "two rows are for two workers");
  assert.ok(started.slice(0, 5).every(({ closed }) => closed === 0));
});

test("two cores that say that they are eight get two workers: the third was no faster, and is ended", async () => {
  const started = [];
  const startHelper = async () => {
    started.push(helper());
    return started.at(-1);
  };
  const { evaluate, sharing } = timed({ most: 7, startHelper }, machine(2));
  const ways = await evaluate(18, 60, 100);
  assert.deepEqual(ways.slice(-20), Array(20).fill(1));
  assert.deepEqual([started.length, sharing.helpers], [2, 1]);
  assert.deepEqual(started.map(({ closed }) => closed), [0, 1]);
  await evaluate(32, 60, 100);
  assert.equal(started.length, 2, "and is not started again");
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
  assert.ok(rows.includes("half 2") && rows.includes("helper 2"), "two of the four rows each");
  rows.length = 0;
  assert.deepEqual(await model.generate(run), expected);
  await model.generate(run);
  assert.deepEqual(rows.slice(-2).sort(), ["half 2", "helper 2"], "the faster way is kept");
  model.dispose();
  await eventually(() => workers[0].terminated);
});

test("threads and cores go to the engine as they are", async (t) => {
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
    return [request?.threads, request?.cores];
  };
  assert.deepEqual(await asked(undefined), ["auto", 1]);
  assert.deepEqual(await asked(2), ["auto", 2]);
  assert.deepEqual(await asked(1, 2), [2, 1]);
  assert.deepEqual(await asked(8, 1), [1, 8]);
  for (const threads of [0, 1.5, 65, "2", null]) {
    await assert.rejects(loadModelOver(async () => assert.fail(), "http://localhost/m/", { threads }), { code: "input", detail: "threads" });
  }
});
