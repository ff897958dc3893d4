import type { WasmLoader, WasmModel, WasmPart } from "./boundary.js";
import type { Build } from "./build.js";
import { messageOf } from "./errors.js";
import type { Mirror, WeightsFile } from "./weights.js";

/** Messages from an engine to its helper: the model's bytes as they arrive, then rows to compute. */
export type ToHelper = { to: "helper" } & (
  | { type: "start"; module: WebAssembly.Module; config: string }
  | { type: "restart" }
  | { type: "begin"; name: string }
  | { type: "push"; chunk: Uint8Array }
  | { type: "end" }
  | { type: "file"; name: string; blob: Blob }
  | { type: "finish" }
  | { type: "predict"; id: number; z: Float32Array; logSnr: number; classes: Uint32Array; guidance?: Float64Array | undefined; nextLogSnr?: number | undefined; joints?: string | undefined }
);

/** Messages from a helper to its engine. */
export type FromHelper =
  | { type: "hello" }
  | { type: "ready" }
  | { type: "failed"; reason: string }
  | { type: "predicted"; id: number; answer: Float32Array };

/** A helper in its own worker: it loads the same model and computes the rows that it is sent. */
export class Helper {
  readonly #build: Build;
  readonly #post: (message: FromHelper, transfer?: Transferable[]) => void;
  #work: Promise<void> = Promise.resolve();
  #newLoader: (() => WasmLoader) | undefined;
  #loader: WasmLoader | undefined;
  #model: WasmModel | undefined;

  constructor(build: Build, post: (message: FromHelper, transfer?: Transferable[]) => void) {
    this.#build = build;
    this.#post = post;
  }

  /** Handles messages in order, and none after the first that fails. */
  receive(message: ToHelper): void {
    this.#work = this.#work.then(() => this.#handle(message));
    this.#work.catch((thrown: unknown) => this.#post({ type: "failed", reason: messageOf(thrown) }));
  }

  async #handle(message: ToHelper): Promise<void> {
    switch (message.type) {
      case "start": {
        const boundary = await this.#build.startFrom(message.module);
        const device = await boundary.Device.open();
        this.#newLoader = () => new boundary.Loader(message.config, device, false);
        this.#loader = this.#newLoader();
        break;
      }
      case "restart":
        this.#loader?.free();
        this.#loader = this.#newLoader?.();
        break;
      case "begin":
        this.#loader?.begin(message.name);
        break;
      case "push":
        this.#loader?.push(message.chunk);
        break;
      case "end":
        this.#loader?.end();
        break;
      case "file": {
        this.#loader?.begin(message.name);
        const reader = message.blob.stream().getReader();
        for (let read = await reader.read(); read.value; read = await reader.read()) this.#loader?.push(read.value);
        this.#loader?.end();
        break;
      }
      case "finish":
        this.#model = this.#loader?.finish();
        this.#post({ type: "ready" });
        break;
      case "predict": {
        const { id, z, logSnr, classes, guidance, nextLogSnr, joints } = message;
        if (!this.#model) throw new Error("rows came before the model");
        const answer = this.#model.predict(z, logSnr, classes, guidance, nextLogSnr, joints);
        this.#post({ type: "predicted", id, answer }, [answer.buffer as ArrayBuffer]);
        break;
      }
    }
  }
}

/** The part of `Worker` that a helper needs. */
export interface HelperWorker {
  postMessage(message: ToHelper, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<FromHelper>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
}

/** The engine's side of a helper. Any failure ends the helper, and the engine computes alone. */
export class HelperLink {
  readonly #worker: HelperWorker;
  readonly #waiting = new Map<number, { resolve(answer: Float32Array): void; reject(reason: Error): void }>();
  #next = 0;
  #ready = false;
  #closed = false;

  constructor(worker: HelperWorker, module: WebAssembly.Module, config: string) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => {
      if (data.type === "ready") this.#ready = true;
      else if (data.type === "failed") this.close(data.reason);
      else if (data.type === "predicted") {
        this.#waiting.get(data.id)?.resolve(data.answer);
        this.#waiting.delete(data.id);
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.close(event.message || "the worker did not start");
    };
    this.#send({ to: "helper", type: "start", module, config });
  }

  /** Whether the helper has loaded the model and can compute rows. */
  get ready(): boolean {
    return this.#ready && !this.#closed;
  }

  /** Whether it has failed or was closed. */
  get ended(): boolean {
    return this.#closed;
  }

  /** Makes the helper load what the engine loads. */
  readonly mirror: Mirror = {
    begin: (name) => this.#send({ to: "helper", type: "begin", name }),
    push: (chunk) => this.#send({ to: "helper", type: "push", chunk }), // copied, since the engine still uses its own
    end: () => this.#send({ to: "helper", type: "end" }),
    restart: () => this.#send({ to: "helper", type: "restart" }),
  };

  /** Makes the helper load files that have already been verified. */
  give(files: readonly WeightsFile[]): void {
    for (const file of files) this.#send({ to: "helper", type: "file", ...file });
    this.finish();
  }

  /** Tells the helper that it has all files. */
  finish(): void {
    this.#send({ to: "helper", type: "finish" });
  }

  /** The network's prediction for these rows. Rejects if the helper has ended. */
  predict({ z, logSnr, classes, guidance, nextLogSnr, joints }: Omit<WasmPart, "free">): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("the helper has ended"));
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      this.#send({ to: "helper", type: "predict", id, z, logSnr, classes, guidance, nextLogSnr, joints });
    });
  }

  close(reason = "the model was disposed of"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }

  #send(message: ToHelper): void {
    if (!this.#closed) this.#worker.postMessage(message);
  }
}
