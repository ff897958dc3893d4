/** A point in a chart, or the centre of a label, in the chart's units. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** The size of a label, and half the side of its mark. */
const [WIDTH, HEIGHT, MARK] = [44, 16, 7];

/** Positions around the mark, in order of preference. */
const AROUND: readonly Place[] = [1, 2].flatMap((rank) => [
  { x: 0, y: -17 * rank },
  { x: 0, y: 17 * rank },
  { x: 31 * rank, y: 0 },
  { x: -31 * rank, y: 0 },
  { x: 31 * rank, y: -17 * rank },
  { x: -31 * rank, y: -17 * rank },
  { x: 31 * rank, y: 17 * rank },
  { x: -31 * rank, y: 17 * rank },
]);

/**
 * Positions for the labels of points (the centre of each) so that none overlaps another label, a mark or the border of a
 * chart of that size. A label without such a position is above its mark.
 */
export function placeLabels(points: readonly Place[], [width, height]: readonly [number, number]): Place[] {
  const placed: Place[] = [];
  for (const point of points) {
    const free = ({ x, y }: Place): boolean =>
      Math.abs(x - width / 2) <= (width - WIDTH) / 2 &&
      Math.abs(y - height / 2) <= (height - HEIGHT) / 2 &&
      placed.every((other) => Math.abs(other.x - x) >= WIDTH || Math.abs(other.y - y) >= HEIGHT) &&
      points.every((mark) => Math.abs(mark.x - x) >= WIDTH / 2 + MARK || Math.abs(mark.y - y) >= HEIGHT / 2 + MARK);
    const places = AROUND.map(({ x, y }) => ({ x: point.x + x, y: point.y + y }));
    placed.push(places.find(free) ?? places[0] ?? point);
  }
  return placed;
}
