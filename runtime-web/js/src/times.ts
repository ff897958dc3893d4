/** What one way to do something has taken, each time that it was done. */
export class Times {
  count = 0;
  /** In milliseconds. The best counts: what comes in between only ever adds to a time. */
  best = Infinity;

  add(milliseconds: number): void {
    this.count += 1;
    this.best = Math.min(this.best, milliseconds);
  }
}

/** How often a way is timed before it is compared. */
export const TIMINGS = 3;
/** After so many times the ways are compared again: by then the machine may be busy with something else. */
export const COMPARED_AGAIN = 256;
