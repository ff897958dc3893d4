import { AbortedError, FreeguideError, fromWire, makeError, PoisonedError } from "./errors.js";
import type { Link } from "./link.js";
import type { FromEngine, ToEngine, WireStep } from "./protocol.js";
import type { Preview } from "./options.js";
import type { LoadProgress } from "./types.js";

interface Waiting {
  progress?(progress: LoadProgress): void;
  result?(value: unknown): void;
  step?(step: WireStep): void;
  error(error: FreeguideError): void;
}

type Call = Extract<ToEngine, { type: "load" | "plan" }> extends infer M ? (M extends unknown ? Omit<M, "id"> : never) : never;

/** The calling side of a link: turns messages into promises and ends them all when the engine ends. */
export class Session {
  readonly #link: Link;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended: FreeguideError | undefined;

  constructor(link: Link) {
    this.#link = link;
    link.listen(
      (message) => this.#receive(message),
      (reason) => this.end(new PoisonedError(`the runtime crashed: ${reason}`)),
    );
  }

  get thread(): "worker" | "caller" {
    return this.#link.thread;
  }

  /** Throws what every call rejects with once the session has ended. */
  check(): void {
    // A new error each time, so that its stack names the caller.
    if (this.#ended) throw makeError(this.#ended.code, this.#ended.message, { detail: this.#ended.detail, cause: this.#ended });
  }

  /** Closes the link and rejects whatever waits; only the first reason counts. */
  end(reason: FreeguideError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#link.close();
    for (const { error } of this.#waiting.values()) error(reason);
    this.#waiting.clear();
  }

  /** One question, one answer. */
  call<T>(message: Call, progress?: (progress: LoadProgress) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.check();
      const id = this.#nextId++;
      this.#waiting.set(id, {
        ...(progress && { progress }),
        result: (value) => resolve(value as T),
        error: reject,
      });
      this.#link.post({ ...message, id } as ToEngine);
    });
  }

  /** Starts a run. */
  run(request: string, preview: Preview, signal: AbortSignal | undefined): RunningSample {
    this.check();
    const id = this.#nextId++;
    const run = new RunningSample(
      () => {
        if (!this.#ended) this.#link.post({ type: "more", id });
      },
      () => {
        // What is not waited for any more ended by itself.
        if (this.#waiting.delete(id) && !this.#ended) this.#link.post({ type: "cancel", id });
      },
      signal,
    );
    this.#waiting.set(id, {
      step: (step) => {
        if (step.step >= step.steps) this.#waiting.delete(id);
        run.push(step);
      },
      error: (error) => run.fail(error),
    });
    this.#link.post({ type: "sample", id, request, preview });
    return run;
  }

  #receive(message: FromEngine): void {
    switch (message.type) {
      case "hello":
        break;
      case "progress":
        this.#waiting.get(message.id)?.progress?.(message.progress);
        break;
      case "result":
        this.#take(message.id)?.result?.(message.value);
        break;
      case "step":
        this.#waiting.get(message.id)?.step?.(message.step);
        break;
      case "error":
        this.#take(message.id)?.error(fromWire(message.error));
        break;
      case "dead":
        this.end(fromWire(message.error));
        break;
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

/** The steps of one run as they arrive. */
export class RunningSample {
  readonly #more: () => void;
  readonly #cancel: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #arrived: WireStep[] = [];
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

  push(step: WireStep): void {
    this.#arrived.push(step);
    this.#wake?.();
  }

  fail(error: FreeguideError): void {
    this.#error ??= error;
    this.#wake?.();
  }

  /** The next step. An error comes before steps that have arrived: after an abort nothing more is shown. */
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

  /** Ends the run if it is still going. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#cancel();
  }
}
