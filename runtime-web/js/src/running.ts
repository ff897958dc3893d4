import { AbortedError, type FreeguideError } from "./errors.js";
import type { WireStep } from "./protocol.js";

/** The steps of one run as they arrive. */
export class RunningSample {
  readonly #more: () => void;
  readonly #cancel: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #arrived: WireStep[] = [];
  #last = 0;
  #error: FreeguideError | undefined;
  #wake: (() => void) | undefined;

  constructor(more: () => void, cancel: () => void, signal: AbortSignal | undefined) {
    this.#more = more;
    this.#cancel = cancel;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#cancel();
    this.fail(new AbortedError("sampling was aborted", { cause: this.#signal?.reason }));
  };

  /** The number of the last step that arrived. */
  get arrived(): number {
    return this.#last;
  }

  push(step: WireStep): void {
    this.#last = step.step;
    this.#arrived.push(step);
    this.#wake?.();
  }

  fail(error: FreeguideError): void {
    this.#error ??= error;
    this.#wake?.();
  }

  /** The next step. Errors take precedence over steps that have arrived, so that nothing is shown after an abort. */
  async next(): Promise<WireStep> {
    for (;;) {
      if (this.#error) throw this.#error;
      const step = this.#arrived.shift();
      if (step) {
        this.#more();
        return step;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends the run if it is still active. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#cancel();
  }
}
