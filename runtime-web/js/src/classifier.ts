/**
 * Classifiers, to measure what a model draws: does a picture show the class that was asked for, and how varied are
 * many? Runs on the calling thread, on the CPU build.
 *
 * @packageDocumentation
 */
import type { Boundary, WasmClassifier, WasmDevice } from "./boundary.js";
import { packagedBuilds } from "./builds.js";
import { downloadBytes } from "./download.js";
import { AbortedError, InputError, asFreeguideError } from "./errors.js";
import { baseUrl } from "./platform.js";
import type { Picture } from "./types.js";

/** What a classifier says of a picture. */
export interface Classified {
  /** The last hidden layer, in which like pictures lie close to each other. */
  readonly features: Float32Array;
  /** For each class of the classifier. */
  readonly probabilities: Float32Array;
}

/** A classifier that `freeguide classifier` trained. Made by `loadClassifier`. */
export class Classifier {
  readonly name: string;
  /** Width and height of the pictures that it looks at; others are resized. */
  readonly size: number;
  readonly classes: readonly string[];
  /** Its accuracy on images that it was not trained on. */
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
   * Looks at square pictures, all of one size. Those of another size than `size` are resized: bilinearly, with a filter
   * against aliasing where they shrink. Rejects with `InputError` where they are not square or differ in size.
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

  /** Gives its memory back. */
  dispose(): void {
    this.#wasm.free();
  }
}

/**
 * Fetches a classifier's file, such as `classifier.safetensors` in a bundle's folder, and starts the CPU runtime. Rejects
 * as `loadModel` does: with `NetworkError` where there is no such file, with `BundleError` where it is another one.
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
