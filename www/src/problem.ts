import { FreeguideError, type ErrorCode } from "freeguide";
import { byId } from "./dom.js";

const titles: Record<ErrorCode, string> = {
  aborted: "Stopped",
  network: "The model could not be fetched",
  bundle: "This model is damaged or not meant for this page",
  device: "This device cannot be used",
  "self-test": "This device computes wrongly",
  input: "These settings are not allowed",
  disposed: "The model was closed",
  poisoned: "The runtime crashed",
};

const advice: Record<ErrorCode, string> = {
  aborted: "Loading was stopped before it was done.",
  network: "Check the connection and the address of the model, then try again.",
  bundle: "Nothing of it was used. If the files were just uploaded, some of them may be old or incomplete.",
  device: "Another device may do: the CPU always works, only more slowly.",
  "self-test": "It was asked something with a known answer and got it wrong, so it is not used. The CPU will do.",
  input: "Change them and draw again.",
  disposed: "Load it again to go on.",
  poisoned: "Loading the model again starts a fresh one.",
};

/** Says in words what went wrong, and offers what may help. */
export function showProblem(error: unknown, { retry, useCpu }: { retry: () => void; useCpu: (() => void) | undefined }): void {
  const code = error instanceof FreeguideError ? error.code : undefined;
  byId("problem-title").textContent = code ? titles[code] : "Something went wrong";
  byId("problem-words").textContent = code ? advice[code] : "Reload the page to start over.";
  byId("problem-detail").textContent = error instanceof Error ? error.message : String(error);
  byId<HTMLButtonElement>("problem-retry").onclick = retry;
  const cpu = byId<HTMLButtonElement>("problem-cpu");
  cpu.hidden = useCpu === undefined;
  cpu.onclick = useCpu ?? null;
  byId("problem").hidden = false;
}

export function hideProblem(): void {
  byId("problem").hidden = true;
}
