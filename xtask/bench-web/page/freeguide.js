import { loadModel } from "/js/dist/index.js";

const { first, onnxFile: _, settle, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const drawn = { guidance: 2, sampler: "ddim" };
const request = { ...drawn, preview: "none" };
let model;

globalThis.firstImage = (async () => {
  model = await loadModel("/model/", options);
  for await (const step of model.sample({ ...request, classes: [0], steps: first })) void step;
  return performance.now();
})();

/** Milliseconds a guided step of a batch, the first step left out. */
globalThis.guidedSteps = async (batch, steps) => {
  await globalThis.firstImage;
  const classes = Array.from({ length: batch }, (_, at) => at % model.config.classes.length);
  // In time for the helper to start, and for both ways to be tried.
  if (settle) await model.generate({ ...drawn, classes, steps: 4 * steps });
  let begun;
  for await (const { step } of model.sample({ ...request, classes, steps: steps + 1 })) if (step === 1) begun = performance.now();
  return (performance.now() - begun) / steps;
};
