import { AbortedError, FreeguideError, fromWire, makeError, PoisonedError } from "./errors.js";
import { keepInMemory, memoryCache } from "./memory-cache.js";
import type { Link } from "./link.js";
import type { FromEngine, Loaded, LoadRequest, ToEngine } from "./protocol.js";
import { RunningSample } from "./running.js";
import type { Preview } from "./options.js";
import type { DeviceInfo, LoadProgress } from "./types.js";

interface Waiting {
  /** The message to send again if the engine's device is lost. */
  readonly message: ToEngine;
  progress?(progress: LoadProgress): void;
  result?(value: unknown): void;
  run?: RunningSample;
  error(error: FreeguideError): void;
}

/** Who hears of what. */
export interface SessionListeners {
  /** The GPU was lost. */
  lost?(reason: string): void;
  /** The model is on another device. */
  device?(device: DeviceInfo): void;
  /** A GPU is being prepared beside a loaded model. */
  progress?(progress: LoadProgress): void;
}

/** Number of consecutive device losses, without a finished step in between, after which the session ends. */
const LOSSES = 3;

/** The calling side of a link: turns messages into promises, and rejects them all when the engine ends. */
export class Session {
  readonly #open: () => Promise<Link>;
  readonly #hears: SessionListeners;
  readonly #waiting = new Map<number, Waiting>();
  /** Undefined while a lost device is being replaced. */
  #link: Link | undefined;
  #request: Omit<LoadRequest, "memoryCache"> | undefined;
  #device: DeviceInfo | undefined;
  /** Id of the load after a device loss, while it is running. */
  #reload: number | undefined;
  #losses = 0;
  #nextId = 1;
  #ended: FreeguideError | undefined;

  private constructor(open: () => Promise<Link>, hears: SessionListeners) {
    this.#open = open;
    this.#hears = hears;
  }

  /** A session over a link that `open` makes, and makes again where a device is lost. */
  static async over(open: () => Promise<Link>, hears: SessionListeners = {}): Promise<Session> {
    const session = new Session(open, hears);
    session.#attach(await open());
    return session;
  }

  #attach(link: Link): void {
    this.#link = link;
    link.hold?.(this.#waiting.size > 0);
    link.listen(
      (message) => {
        if (this.#link === link) this.#receive(message);
      },
      (reason) => {
        if (this.#link === link) this.end(new PoisonedError(`the runtime crashed: ${reason}`));
      },
    );
  }

  /** Where the model runs. */
  get device(): DeviceInfo {
    if (!this.#device) throw makeError("input", "no model is loaded yet");
    return this.#device;
  }

  /** Throws if the session has ended. */
  check(): void {
    // A new error each time, so that its stack trace names the caller.
    if (this.#ended) throw makeError(this.#ended.code, this.#ended.message, { detail: this.#ended.detail, cause: this.#ended });
  }

  /** Closes the link and rejects everything that is waiting. Later calls do nothing. */
  end(reason: FreeguideError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#link?.close();
    for (const { error } of this.#waiting.values()) error(reason);
    this.#waiting.clear();
  }

  /** Loads a model; resolves to its config.json. */
  async load(request: Omit<LoadRequest, "memoryCache">, progress: (progress: LoadProgress) => void): Promise<string> {
    this.#request = request;
    const loaded = await this.#call<Loaded>(this.#loadMessage(request), progress);
    return this.#loaded(loaded);
  }

  #loadMessage(request: Omit<LoadRequest, "memoryCache">): ToEngine {
    return { type: "load", id: this.#nextId++, ...request, memoryCache: memoryCache() };
  }

  #loaded({ config, device }: Loaded): string {
    this.#device = { ...device, thread: this.#link?.thread ?? "caller" };
    return config;
  }

  /** The plan of a request: its cost and its settings. */
  plan<T>(request: string): Promise<T> {
    return this.#call<T>({ type: "plan", id: this.#nextId++, request });
  }

  #call<T>(message: ToEngine, progress?: (progress: LoadProgress) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.check();
      this.#waiting.set(message.id, {
        message,
        ...(progress && { progress }),
        result: (value) => resolve(value as T),
        error: reject,
      });
      this.#hold();
      this.#post(message);
    });
  }

  /** A worker that nothing is waited for keeps no process from ending. */
  #hold(): void {
    this.#link?.hold?.(this.#waiting.size > 0);
  }

  /** Sends a message. While a model is loaded again after a loss, other messages wait. */
  #post(message: ToEngine): void {
    if (this.#reload === undefined || message.id === this.#reload) this.#link?.post(message);
  }

  /** Starts a run. */
  run(request: string, preview: Preview, signal: AbortSignal | undefined): RunningSample {
    this.check();
    const id = this.#nextId++;
    const run = new RunningSample(
      () => {
        if (!this.#ended) this.#link?.post({ type: "more", id });
      },
      () => {
        // A run that is no longer waiting has already ended.
        if (this.#waiting.delete(id) && !this.#ended) this.#link?.post({ type: "cancel", id });
        this.#hold();
      },
      signal,
    );
    const message: ToEngine = { type: "sample", id, request, preview, skip: 0 };
    this.#waiting.set(id, { message, run, error: (error) => run.fail(error) });
    this.#hold();
    this.#post(message);
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
      case "step": {
        const { id, step } = message;
        const run = this.#waiting.get(id)?.run;
        if (step.step >= step.steps) this.#waiting.delete(id);
        this.#hold();
        this.#losses = 0;
        run?.push(step);
        break;
      }
      case "error":
        this.#take(message.id)?.error(fromWire(message.error));
        break;
      case "device":
        this.#device = { ...message.device, thread: this.#link?.thread ?? "caller" };
        this.#hears.device?.(this.#device);
        break;
      case "preparing":
        this.#hears.progress?.(message.progress);
        break;
      case "cache-refused":
        keepInMemory(message.sha256, message.blob);
        break;
      case "dead": {
        const error = fromWire(message.error);
        if (message.lost) void this.#recover(error);
        else this.end(error);
        break;
      }
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#hold();
    return waiting;
  }

  /**
   * Continues with a new engine after the device was lost. An interrupted load starts over. A loaded model is loaded
   * again, from the cache if it is there, and every run restarts from its seed: steps that were already shown are computed
   * again but not shown again.
   */
  async #recover(error: FreeguideError): Promise<void> {
    this.#link?.close();
    this.#link = undefined;
    this.#losses += 1;
    // The replacement was lost too: its load will not finish.
    if (this.#reload !== undefined) this.#waiting.delete(this.#reload);
    // Only the page can replace its own device.
    if (!this.#request || this.#request.gpuDevice !== undefined || this.#losses > LOSSES) return this.end(error);
    try {
      this.#hears.lost?.(error.message);
      const link = await this.#open();
      if (this.#ended) return link.close();
      this.#attach(link);
      if (this.#device) {
        const again = this.#loadMessage(this.#request);
        this.#reload = again.id;
        this.#loaded(await this.#call<Loaded>(again));
        this.#reload = undefined;
      }
      for (const { message, run } of this.#waiting.values()) {
        link.post(message.type === "sample" ? { ...message, skip: run?.arrived ?? 0 } : message);
      }
    } catch (thrown) {
      if (this.#ended) return;
      this.end(thrown instanceof FreeguideError ? thrown : new AbortedError(error.message, { cause: thrown }));
    }
  }
}
