import { AbortedError } from "freeguide";

/** Runs one task at a time: a new one replaces the waiting one and stops the running one. */
export class Latest {
  readonly #onError: (error: unknown) => void;
  #next: { work: (signal: AbortSignal) => Promise<void>; brief: boolean } | undefined;
  #current: { control: AbortController; brief: boolean } | undefined;
  #loop: Promise<void> | undefined;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get busy(): boolean {
    return this.#loop !== undefined;
  }

  /** A `brief` task is not stopped by another brief one, or a drag would abort each before it shows anything. */
  order(work: (signal: AbortSignal) => Promise<void>, brief = false): void {
    this.#next = { work, brief };
    if (this.#current && !(this.#current.brief && brief)) this.#current.control.abort();
    this.#loop ??= this.#work();
  }

  stop(): void {
    this.#next = undefined;
    this.#current?.control.abort();
  }

  async #work(): Promise<void> {
    while (this.#next) {
      const { work, brief } = this.#next;
      this.#next = undefined;
      const control = new AbortController();
      this.#current = { control, brief };
      try {
        await work(control.signal);
      } catch (error) {
        if (!(error instanceof AbortedError) && !control.signal.aborted) this.#onError(error);
      }
      this.#current = undefined;
    }
    this.#loop = undefined;
  }
}
