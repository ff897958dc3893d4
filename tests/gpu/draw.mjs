// Draws as it is told by its one argument, JSON, and prints a line of JSON for each model: where it ran, what was counted,
// and the pixels. Runs in Node, Deno and Bun.
//
// { package, models: [addresses], options of loadModel, run: options of sample, gpu: whether to pass a GPU object, fault,
//   settle: wait for a GPU that is being prepared }
import { countWork, findGpu, withFault } from "./engine.mjs";

const told = JSON.parse(globalThis.Deno?.args[0] ?? process.argv[2]);
const { loadModel } = await import(told.package);

async function options() {
  if (!told.gpu) return told.options;
  const gpu = await findGpu();
  return { ...told.options, gpu: told.fault ? withFault(gpu, told.fault) : gpu };
}

/** Draws with one model. */
async function draw(address, counts, given) {
  const phases = new Set();
  const before = { ...counts };
  const model = await loadModel(address, { ...given, onProgress: ({ phase }) => phases.add(phase) });
  while (told.settle && model.device.preparing) await new Promise((resolve) => setTimeout(resolve, 20));
  const loaded = { ...counts };
  const shown = [];
  let images;
  for await (const step of model.sample(told.run)) {
    shown.push(step.step);
    images = step.images;
  }
  const since = (from, to) => Object.fromEntries(Object.keys(to).map((key) => [key, to[key] - from[key]]));
  const { device } = model;
  if (!told.keep) model.dispose();
  return {
    device,
    shown,
    phases: [...phases],
    loading: since(before, loaded),
    drawing: since(loaded, counts),
    pictures: images.map(({ data }) => [...data]),
    globals: ["Window", "navigator"].filter((name) => Object.hasOwn(globalThis, name)),
  };
}

// Deno keeps what was measured from one process to the next.
await globalThis.caches?.delete("freeguide-devices-v1");
const given = await options();
const counts = given.gpu ? countWork() : {};
for (const address of told.models) {
  const drawn = await draw(address, counts, given).catch(({ code, detail, message }) => ({ error: { code, detail, message } }));
  console.log(JSON.stringify(drawn));
}
