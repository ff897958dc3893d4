import type { WasmModel } from "./boundary.js";
import type { StartedDevice } from "./device.js";
import { SelfTestError } from "./errors.js";
import type { Way } from "./way.js";

/** How far a device's z may be from another's, of the order of 1: as the self-test has it. */
const TOLERANCE = { f32: 2e-3, f16: 5e-2 };

/**
 * Puts a model on a GPU to the proof, in the shapes and the type that it will compute in, which also has the driver compile
 * what steps need. With the model on the CPU as well, a step of both is compared; without, the device first computes something
 * in that type whose answer is known. Rejects with code `self-test` where the device computes wrongly.
 */
export async function prove({ device, watch }: StartedDevice, model: WasmModel, cpu: Way | undefined): Promise<void> {
  if (!cpu) await watch.guard(() => device.selfTest(model.half));
  const found = await watch.guard(() => model.probe());
  const wanted = cpu ? await cpu.watch.guard(() => cpu.model.probe()) : found;
  const allowed = TOLERANCE[model.half ? "f16" : "f32"];
  const difference = farthest(found, wanted);
  // What is no number is not near to anything.
  if (difference <= allowed) return;
  const than = cpu ? "a step is off from the CPU's by" : "values are not finite:";
  throw new SelfTestError(`the device computes wrongly: ${than} ${difference.toPrecision(3)} where ${allowed} is allowed`);
}

function farthest(found: Float32Array, wanted: Float32Array): number {
  if (found.length !== wanted.length) return NaN;
  return found.reduce((most, value, at) => {
    const off = Math.abs(value - (wanted[at] as number));
    return off <= most ? most : off;
  }, 0);
}
