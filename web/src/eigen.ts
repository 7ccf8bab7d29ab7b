/** The smallest and the largest eigenvalue of a symmetric matrix. */

/** Householder's reduction of a symmetric matrix [n][n], which is overwritten, to a tridiagonal one. */
function tridiagonal(a: Float64Array[]): { diagonal: Float64Array; beside: Float64Array } {
  const size = a.length;
  const beside = new Float64Array(Math.max(0, size - 1));
  for (let k = 0; k < size - 2; k++) {
    let norm = 0;
    for (let i = k + 1; i < size; i++) norm += a[i][k] * a[i][k];
    norm = Math.sqrt(norm);
    const first = a[k + 1][k];
    const alpha = first > 0 ? -norm : norm;
    beside[k] = alpha;
    if (norm === 0) continue;
    const v = new Float64Array(size);
    for (let i = k + 1; i < size; i++) v[i] = a[i][k];
    v[k + 1] -= alpha;
    const square = v.reduce((sum, value) => sum + value * value, 0);
    if (square === 0) continue;
    const p = new Float64Array(size);
    let along = 0;
    for (let i = k + 1; i < size; i++) {
      let total = 0;
      for (let j = k + 1; j < size; j++) total += a[i][j] * v[j];
      p[i] = (2 * total) / square;
      along += p[i] * v[i];
    }
    for (let i = k + 1; i < size; i++) p[i] -= (along / square) * v[i];
    for (let i = k + 1; i < size; i++) for (let j = k + 1; j < size; j++) a[i][j] -= v[i] * p[j] + p[i] * v[j];
  }
  if (size > 1) beside[size - 2] = a[size - 1][size - 2];
  return { diagonal: Float64Array.from(a, (row, n) => row[n]), beside };
}

/** How many eigenvalues of a tridiagonal matrix lie below x (Sturm's sequence). */
function below(x: number, diagonal: Float64Array, beside: Float64Array): number {
  let count = 0;
  let q = 1;
  for (let n = 0; n < diagonal.length; n++) {
    const square = n ? beside[n - 1] * beside[n - 1] : 0;
    q = diagonal[n] - x - (n ? square / q : 0);
    if (q === 0) q = 1e-300;
    if (q < 0) count++;
  }
  return count;
}

/** The smallest and the largest eigenvalue; not a number where the matrix is not finite. The matrix is overwritten. */
export function extremes(matrix: Float64Array[]): [number, number] {
  if (!matrix.every((row) => row.every(Number.isFinite))) return [NaN, NaN];
  const { diagonal, beside } = tridiagonal(matrix);
  let low = Infinity;
  let high = -Infinity;
  diagonal.forEach((value, n) => {
    const reach = Math.abs(beside[n - 1] ?? 0) + Math.abs(beside[n] ?? 0);
    low = Math.min(low, value - reach);
    high = Math.max(high, value + reach);
  });
  const find = (which: number): number => {
    let [a, b] = [low, high];
    for (let n = 0; n < 100 && b - a > 1e-14 * Math.max(Math.abs(a), Math.abs(b)); n++) {
      const middle = (a + b) / 2;
      if (below(middle, diagonal, beside) > which) b = middle;
      else a = middle;
    }
    return (a + b) / 2;
  };
  return [find(0), find(diagonal.length - 1)];
}
