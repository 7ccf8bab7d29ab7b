/** Colours of what networks compute: blue for class 1, orange for class 0 (Okabe and Ito), light where undecided. */

export type Colour = [number, number, number];
const CLASSES: Colour[] = [
  [230, 159, 0],
  [0, 114, 178],
  [0, 158, 115],
];
const MIDDLE: Colour = [246, 244, 239];

/** The colour of an output: of one number from `off` (class 0) to 1, else of a class. */
export function shade(value: number, outputs: number, off: number): Colour {
  if (outputs > 1) return mix(CLASSES[value] ?? MIDDLE, 0.75);
  if (!Number.isFinite(value)) return [128, 128, 128];
  const share = Math.max(0, Math.min(1, (value - off) / (1 - off)));
  return mix(CLASSES[share > 0.5 ? 1 : 0], Math.min(1, Math.abs(2 * share - 1) * 0.95));
}

export function ofClass(label: number): string {
  return `rgb(${CLASSES[label % CLASSES.length].join(",")})`;
}

function mix(colour: Colour, weight: number): Colour {
  return colour.map((part, n) => Math.round(MIDDLE[n] + (part - MIDDLE[n]) * weight)) as Colour;
}
