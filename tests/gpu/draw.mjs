// Draws as it is told by its one argument, JSON, and prints a line of JSON for each run of each model: where it ran, what was
// counted, and the pixels. Runs in Node, Deno and Bun.
//
// { package, models: [addresses], options of loadModel, run: options of sample, or runs: a list of them, gpu: whether to pass
//   a GPU object, fault, settle: wait for a GPU that is being prepared, keep: do not dispose of the model }
import { countWork, findGpu, withFault } from "./engine.mjs";

const told = JSON.parse(globalThis.Deno?.args[0] ?? process.argv[2]);
const { loadModel } = await import(told.package);

async function options() {
  if (!told.gpu) return told.options;
  const gpu = await findGpu();
  return { ...told.options, gpu: told.fault ? withFault(gpu, told.fault) : gpu };
}

/** Loads one model, draws each of the runs and says what came of it. */
async function draw(address, counts, given, say) {
  const phases = new Set();
  const since = (from, to) => Object.fromEntries(Object.keys(to).map((key) => [key, to[key] - from[key]]));
  const before = { ...counts };
  const model = await loadModel(address, { ...given, onProgress: ({ phase }) => phases.add(phase) });
  while (told.settle && model.device.preparing) await new Promise((resolve) => setTimeout(resolve, 20));
  const loading = since(before, counts);
  for (const run of told.runs ?? [told.run]) {
    const loaded = { ...counts };
    const shown = [];
    let images;
    for await (const step of model.sample(run)) {
      shown.push(step.step);
      images = step.images;
    }
    say({
      device: model.device,
      shown,
      phases: [...phases],
      loading,
      drawing: since(loaded, counts),
      pictures: images.map(({ data }) => [...data]),
      globals: ["Window", "navigator"].filter((name) => Object.hasOwn(globalThis, name)),
    });
  }
  if (!told.keep) model.dispose();
}

// Deno keeps what was measured from one process to the next.
await globalThis.caches?.delete("freeguide-devices-v1");
const given = await options();
const counts = given.gpu ? countWork() : {};
const say = (drawn) => console.log(JSON.stringify(drawn));
for (const address of told.models) {
  await draw(address, counts, given, say).catch(({ code, detail, message }) => say({ error: { code, detail, message } }));
}
