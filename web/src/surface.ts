/** What networks compute, for pictures. */
import type { Box } from "./messages";
import { forward } from "./network";
import type { Spec } from "./spec";

/** Whether the data lie in the plane, so that pictures show it; of other data they show the rows, a cell each. */
export function isPlane(inputs: number[][]): boolean {
  return inputs[0].length === 2;
}

/** How many columns a picture has that shows so many rows of data: of a truth table one for each combination of the
 * later inputs. */
export function columnsFor(rows: number): number {
  return 2 ** Math.ceil(Math.log2(rows) / 2);
}

/** The points of a grid over a box, from the bottom left, row by row. */
export function grid(size: number, box: Box): number[][] {
  const at = (low: number, high: number, n: number): number => low + ((high - low) * (n + 0.5)) / size;
  return Array.from({ length: size * size }, (_, n) => [
    at(box.left, box.right, n % size),
    at(box.bottom, box.top, Math.floor(n / size)),
  ]);
}

/** The output of each network at each point of the plane, or on each row of the data; of several outputs the number of
 * the likeliest class. */
export function surfaces(spec: Spec, weights: Float32Array[], size: number, box: Box): Float32Array[] {
  const points = isPlane(spec.inputs) ? grid(size, box) : spec.inputs;
  return weights.map((own) => {
    const outputs = forward(spec, Float64Array.from(own), points).p;
    if (outputs.length === 1) return Float32Array.from(outputs[0]);
    return Float32Array.from(outputs[0], (_, n) =>
      outputs.reduce((best, column, k) => (column[n] > outputs[best][n] ? k : best), 0),
    );
  });
}
