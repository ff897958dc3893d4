import type { Boundary } from "./boundary.js";
import { asFreeguideError, messageOf, PoisonedError } from "./errors.js";

/**
 * Watches one wasm instance. A panic inside an asynchronous call traps in another task, so the promise of the call never
 * settles. The handler of uncaught errors therefore trips the watch, and every guarded call rejects.
 */
export class CrashWatch {
  #error: PoisonedError | undefined;
  #panic: string | undefined;
  readonly #waiting = new Set<(error: PoisonedError) => void>();
  /** Hears of a crash that no call rejects with. */
  onCrash: ((error: PoisonedError) => void) | undefined;

  /** The error of the crash, if there was one. */
  get error(): PoisonedError | undefined {
    return this.#error;
  }

  /** The message of a panic arrives before its trap, which only says `unreachable`. */
  panicked(message: string): void {
    this.#panic ??= message;
  }

  trip(message: string): void {
    if (this.#error) return;
    this.#error = this.#poisoned(message);
    for (const reject of this.#waiting) reject(this.#error);
    this.#waiting.clear();
    this.onCrash?.(this.#error);
  }

  /** Runs a call into the instance. Rejects with a `FreeguideError`; a crash trips the watch. */
  async guard<T>(call: () => T | Promise<T>): Promise<T> {
    if (this.#error) throw this.#error;
    let reject: ((error: PoisonedError) => void) | undefined;
    const crashed = new Promise<never>((_, fail) => {
      reject = fail;
      this.#waiting.add(fail);
    });
    try {
      return await Promise.race([call(), crashed]);
    } catch (thrown) {
      const error = asFreeguideError(thrown);
      if (!(error instanceof PoisonedError)) throw error;
      this.#error ??= this.#panic === undefined ? error : this.#poisoned(messageOf(thrown), thrown);
      throw this.#error;
    } finally {
      if (reject) this.#waiting.delete(reject);
    }
  }

  #poisoned(message: string, cause?: unknown): PoisonedError {
    return new PoisonedError(`the runtime crashed: ${this.#panic ?? message}`, { cause });
  }
}

/** Who watches which instance: all models of a thread share one. */
const watches = new WeakMap<Boundary, Set<CrashWatch>>();

/** Has `watch` hear of the instance's panics and traps; what is returned ends that. */
export function watchOver(boundary: Boundary, watch: CrashWatch): () => void {
  let all = watches.get(boundary);
  if (!all) {
    const those = new Set<CrashWatch>();
    all = those;
    watches.set(boundary, those);
    boundary.onPanic((message) => those.forEach((one) => one.panicked(message)));
    boundary.onTrap?.((thrown) => those.forEach((one) => one.trip(messageOf(thrown))));
  }
  all.add(watch);
  return () => void all.delete(watch);
}
