import { describeError } from "freeguide";
import { byId } from "./dom.js";

/** Shows an error and offers what may help. */
export function showProblem(error: unknown, { retry, useCpu }: { retry: () => void; useCpu: (() => void) | undefined }): void {
  const { title, advice, detail } = describeError(error);
  byId("problem-title").textContent = title;
  byId("problem-words").textContent = advice;
  byId("problem-detail").textContent = detail;
  byId<HTMLButtonElement>("problem-retry").onclick = retry;
  const cpu = byId<HTMLButtonElement>("problem-cpu");
  cpu.hidden = useCpu === undefined;
  cpu.onclick = useCpu ?? null;
  byId("problem").hidden = false;
}

export function hideProblem(): void {
  byId("problem").hidden = true;
}
