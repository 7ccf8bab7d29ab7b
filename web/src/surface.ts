/** What networks compute, for pictures. */
import type { Box } from "./messages";
import { forward } from "./network";
import type { Spec } from "./spec";

/** The points of a grid over a box, from the bottom left, row by row. */
export function grid(size: number, box: Box): number[][] {
  const at = (low: number, high: number, n: number): number => low + ((high - low) * (n + 0.5)) / size;
  return Array.from({ length: size * size }, (_, n) => [
    at(box.left, box.right, n % size),
    at(box.bottom, box.top, Math.floor(n / size)),
  ]);
}

/** The output of each network at each point; of several outputs the number of the likeliest class. */
export function surfaces(spec: Spec, weights: Float32Array[], size: number, box: Box): Float32Array[] {
  const points = grid(size, box);
  return weights.map((own) => {
    const outputs = forward(spec, Float64Array.from(own), points).p;
    if (outputs.length === 1) return Float32Array.from(outputs[0]);
    return Float32Array.from(outputs[0], (_, n) =>
      outputs.reduce((best, column, k) => (column[n] > outputs[best][n] ? k : best), 0),
    );
  });
}
