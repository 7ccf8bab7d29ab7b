/** Whether rows can be told apart by a linear layer: a linear program, as nnspec/diagnostics/capacity.py asks it. */
import type { Bounds } from "./entries";

const TINY = 1e-11;

/** The largest s <= 1 such that some linear layer on features [row][feature] keeps every bound with room s * width; of
 * each row the bounds are those of its target. Infinite where there is no bound; minus infinite where no pre-activation
 * is near enough to a target. */
export function margin(features: number[][], targetOf: number[], bounds: Bounds): number {
  const columns: { weights: number[]; least: number; width: number }[] = [];
  features.forEach((own, row) => {
    const x = [...own, 1];
    bounds.directions.forEach((direction, c) => {
      const least = bounds.least[targetOf[row]][c];
      if (least === null) return;
      columns.push({
        weights: direction.flatMap((d) => x.map((value) => d * value)),
        least,
        width: bounds.width[targetOf[row]][c] ?? Infinity,
      });
    });
  });
  if (columns.some(({ width }) => width === Infinity)) return -Infinity;
  if (!columns.length) return Infinity;
  return solve(columns);
}

/** The dual by the simplex method: minimise sum of -least * share + rest, where shares of the weights cancel and widths
 * with the rest make 1. Bland's rule, so that it ends. */
function solve(bounds: { weights: number[]; least: number; width: number }[]): number {
  const size = bounds[0].weights.length;
  const count = bounds.length + 1; // the last is the rest
  const table = Array.from({ length: size + 1 }, (_, row) =>
    Float64Array.from({ length: count + 1 }, (_, column) => {
      if (column === count) return row === size ? 1 : 0;
      if (column === count - 1) return row === size ? 1 : 0;
      return row === size ? bounds[column].width : bounds[column].weights[row];
    }),
  );
  const cost = Float64Array.from({ length: count + 1 }, (_, n) =>
    n < bounds.length ? -bounds[n].least : n === count - 1 ? 1 : 0,
  );
  const basis = new Array<number>(size + 1).fill(-1);
  basis[size] = count - 1;
  const pivot = (row: number, column: number): void => {
    const own = table[row];
    const factor = own[column];
    for (let n = 0; n <= count; n++) own[n] /= factor;
    for (const other of [...table, cost]) {
      if (other === own || other[column] === 0) continue;
      const times = other[column];
      for (let n = 0; n <= count; n++) other[n] -= times * own[n];
      other[column] = 0;
    }
    basis[row] = column;
  };
  pivot(size, count - 1);
  for (let row = 0; row < size; row++) {
    let best = -1;
    for (let n = 0; n < count - 1; n++)
      if (Math.abs(table[row][n]) > 1e-9 && (best < 0 || Math.abs(table[row][n]) > Math.abs(table[row][best])))
        best = n;
    if (best >= 0) pivot(row, best); // it is at 0, so that nothing moves; a row of nothing but zeros says nothing
  }
  for (let turn = 0; turn < 20000; turn++) {
    let column = -1;
    for (let n = 0; n < count && column < 0; n++) if (cost[n] < -TINY) column = n;
    if (column < 0) break;
    let row = -1;
    for (let n = 0; n <= size; n++) {
      if (basis[n] < 0 || table[n][column] <= 1e-9) continue;
      if (row < 0) row = n;
      const gap = table[n][count] / table[n][column] - table[row][count] / table[row][column];
      if (gap < -1e-15 || (Math.abs(gap) <= 1e-15 && basis[n] < basis[row])) row = n;
    }
    if (row < 0) return -Infinity;
    pivot(row, column);
  }
  return -cost[count];
}
