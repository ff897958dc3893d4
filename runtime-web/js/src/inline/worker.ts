// The program of the worker of `freeguide/inline`, which has it as text. The runtime comes in the first message.
import { becomeEngine } from "../worker-engine.js";
import { cpuOnly } from "./builds.js";

/** What the page sends before everything else. */
export interface InlineRuntime {
  readonly to: "inline";
  readonly bytes: ArrayBuffer;
}

const bytes = new Promise<ArrayBuffer>((resolve) => {
  globalThis.addEventListener("message", (event: Event) => {
    const { data } = event as MessageEvent<Partial<InlineRuntime>>;
    if (data.to !== "inline" || !data.bytes) return;
    event.stopImmediatePropagation();
    resolve(data.bytes);
  });
});

becomeEngine(cpuOnly(async () => WebAssembly.compile(await bytes)));
