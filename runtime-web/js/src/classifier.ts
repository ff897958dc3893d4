/**
 * Classifiers, which measure whether pictures show the class that was asked for and how varied they are. Runs on the
 * calling thread with the CPU build.
 *
 * @packageDocumentation
 */
import type { Boundary, WasmClassifier, WasmDevice } from "./boundary.js";
import { packagedBuilds } from "./builds.js";
import { downloadBytes } from "./download.js";
import { AbortedError, InputError, asFreeguideError } from "./errors.js";
import { baseUrl } from "./platform.js";
import type { Picture } from "./types.js";

/** A classifier's result for one picture. */
export interface Classified {
  /** The last hidden layer, in which similar pictures are close to each other. */
  readonly features: Float32Array;
  /** One probability for each class of the classifier. */
  readonly probabilities: Float32Array;
}

/** A classifier that `freeguide classifier` trained. Made by `loadClassifier`. */
export class Classifier {
  readonly name: string;
  /** Width and height of its input in pixels; pictures of other sizes are resized. */
  readonly size: number;
  readonly classes: readonly string[];
  /** Its accuracy on held-out images. */
  readonly accuracy: number;
  readonly #wasm: WasmClassifier;

  /** @internal */
  constructor(wasm: WasmClassifier) {
    this.#wasm = wasm;
    const says = JSON.parse(wasm.description) as { name: string; size: number; classes: string[]; held_out_accuracy: number };
    this.name = says.name;
    this.size = says.size;
    this.classes = says.classes;
    this.accuracy = says.held_out_accuracy;
  }

  /**
   * Classifies square pictures, all of one size. Other sizes than `size` are resized bilinearly, with antialiasing.
   * Rejects with `InputError` if pictures are not square or differ in size.
   */
  async classify(pictures: readonly Picture[]): Promise<Classified[]> {
    const side = pictures[0]?.width ?? 0;
    if (side === 0) return [];
    const area = 4 * side * side;
    const pixels = new Uint8Array(pictures.length * area);
    pictures.forEach(({ data, width, height }, at) => {
      if (width !== side || height !== side) {
        throw new InputError(`the classifier takes square pictures of one size, not of ${side}×${side} and ${width}×${height} pixels`);
      }
      pixels.set(data, at * area);
    });
    let answers: Float32Array;
    try {
      answers = await this.#wasm.classify(pixels, side);
    } catch (thrown) {
      throw asFreeguideError(thrown);
    }
    const width = answers.length / pictures.length;
    const features = width - this.classes.length;
    return pictures.map((_, at) => ({
      features: answers.slice(at * width, at * width + features),
      probabilities: answers.slice(at * width + features, (at + 1) * width),
    }));
  }

  /** Frees its memory. */
  dispose(): void {
    this.#wasm.free();
  }
}

/**
 * Fetches a classifier's file, such as `classifier.safetensors` in a bundle's folder, and starts the CPU runtime. Rejects
 * as `loadModel` does: with `NetworkError` if there is no such file, with `BundleError` if it is not a classifier.
 */
export async function loadClassifier(url: string | URL, { signal }: { signal?: AbortSignal } = {}): Promise<Classifier> {
  if (signal?.aborted) throw new AbortedError("loading was aborted", { cause: signal.reason });
  const patient = signal ?? new AbortController().signal;
  const address = new URL(url, baseUrl());
  const [bytes, { boundary, device }] = await Promise.all([downloadBytes(address, patient), runtime(patient)]);
  try {
    return new Classifier(new boundary.Classifier(bytes, device));
  } catch (thrown) {
    throw asFreeguideError(thrown);
  }
}

async function runtime(signal: AbortSignal): Promise<{ boundary: Boundary; device: WasmDevice }> {
  const boundary = await packagedBuilds().cpu.start(signal, () => {});
  try {
    return { boundary, device: await boundary.Device.open() };
  } catch (thrown) {
    throw asFreeguideError(thrown);
  }
}
