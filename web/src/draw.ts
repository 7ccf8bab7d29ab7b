/** Pictures on canvases. */
import { ofClass, shade } from "./colours";
import type { Box } from "./messages";
import type { Spec } from "./spec";
import { columnsFor, isPlane } from "./surface";
import { SHARES, type Seen } from "./trainer";
import { NEVER } from "./kernel";

/** A canvas's context, made as sharp as the screen, in points of the page. */
export function sharp(canvas: HTMLCanvasElement): { context: CanvasRenderingContext2D; width: number; height: number } {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.scale(ratio, ratio);
  return { context, width, height };
}

/** The box of the plane that holds all rows, with some room. */
export function boxOf(inputs: number[][]): Box {
  const range = (axis: number): [number, number] => {
    const values = inputs.map((row) => row[axis] ?? 0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max(0.25 * (high - low), 0.1);
    return [low - room, high + room];
  };
  const [left, right] = range(0);
  const [bottom, top] = range(1);
  return { left, right, bottom, top };
}

/** Paint what a network computes, a pixel each: over the plane, from the bottom left, or on the rows of the data, from
 * the top left. */
export function paintSurface(canvas: HTMLCanvasElement, values: Float32Array, spec: Spec): void {
  const plane = isPlane(spec.inputs);
  const columns = plane ? Math.sqrt(values.length) : columnsFor(values.length);
  const rows = Math.ceil(values.length / columns);
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  canvas.classList.toggle("cells", !plane);
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const image = context.createImageData(columns, rows);
  values.forEach((value, n) => {
    const row = Math.floor(n / columns);
    const place = 4 * ((plane ? rows - 1 - row : row) * columns + (n % columns));
    image.data.set([...shade(value, spec.outputs, spec.loss.entry.off), 255], place);
  });
  context.putImageData(image, 0, 0);
}

export interface Lines {
  now: number[][]; // [unit]: weight, weight, bias
  start: number[][];
}

/** A large surface with the data and the lines of the first hidden units. */
export function paintLarge(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  spec: Spec,
  box: Box,
  lines: Lines | null,
): void {
  const { context, width, height } = sharp(canvas);
  const small = document.createElement("canvas");
  paintSurface(small, values, spec);
  context.imageSmoothingEnabled = isPlane(spec.inputs);
  context.drawImage(small, 0, 0, width, height);
  if (!isPlane(spec.inputs)) {
    const [wide, high] = [width / small.width, height / small.height];
    spec.labels.forEach((label, row) =>
      point(context, ((row % small.width) + 0.5) * wide, (Math.floor(row / small.width) + 0.5) * high, label),
    );
    return;
  }
  const x = (value: number): number => ((value - box.left) / (box.right - box.left)) * width;
  const y = (value: number): number => height - ((value - box.bottom) / (box.top - box.bottom)) * height;
  const line = ([a, b, c]: number[], dash: number[], colour: string): void => {
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.beginPath();
    if (Math.abs(b) > Math.abs(a)) {
      context.moveTo(0, y(-(a * box.left + c) / b));
      context.lineTo(width, y(-(a * box.right + c) / b));
    } else if (a !== 0) {
      context.moveTo(x(-(b * box.bottom + c) / a), height);
      context.lineTo(x(-(b * box.top + c) / a), 0);
    }
    context.stroke();
  };
  context.lineWidth = 1.5;
  lines?.start.forEach((unit) => line(unit, [4, 4], "#555"));
  lines?.now.forEach((unit) => line(unit, [], "#111"));
  context.setLineDash([]);
  spec.inputs.forEach(([a, b], row) => point(context, x(a), y(b), spec.labels[row]));
}

/** A point of the data: a disc, a square or a diamond by its class. */
export function point(context: CanvasRenderingContext2D, x: number, y: number, label: number): void {
  context.fillStyle = ofClass(label);
  context.strokeStyle = "#fff";
  context.lineWidth = 1.5;
  context.beginPath();
  if (label === 1) context.rect(x - 4, y - 4, 8, 8);
  else if (label === 2)
    for (const [dx, dy] of [
      [0, -6],
      [5, 0],
      [0, 6],
      [-5, 0],
    ])
      context.lineTo(x + dx, y + dy);
  else context.arc(x, y, 4.5, 0, 2 * Math.PI);
  context.closePath();
  context.fill();
  context.stroke();
}

interface Frame {
  context: CanvasRenderingContext2D;
  x: (step: number) => number;
  y: (share: number) => number;
  colours: string[];
}

function frame(canvas: HTMLCanvasElement, last: number, ticks: [number, string][]): Frame {
  const { context, width, height } = sharp(canvas);
  const style = getComputedStyle(canvas);
  const [ink, muted] = [style.getPropertyValue("--ink"), style.getPropertyValue("--line")];
  const [left, right, top, bottom] = [44, 8, 8, 22];
  const x = (step: number): number => left + ((width - left - right) * step) / Math.max(1, last);
  const y = (share: number): number => height - bottom - (height - top - bottom) * share;
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = ink;
  context.strokeStyle = muted;
  context.lineWidth = 1;
  for (const [share, label] of ticks) {
    context.beginPath();
    context.moveTo(left, y(share));
    context.lineTo(width - right, y(share));
    context.stroke();
    context.textAlign = "right";
    context.fillText(label, left - 5, y(share) + 4);
  }
  context.textAlign = "left";
  context.fillText("0", left, height - 6);
  context.textAlign = "right";
  context.fillText(String(last), width - right, height - 6);
  return { context, x, y, colours: ["--first", "--second"].map((name) => style.getPropertyValue(name)) };
}

const DASHES = [[], [6, 3]]; // of the first recipe's lines and the second's; their colours are the style sheet's
const THIN = 60; // networks whose own lines are drawn
const PLACES = 300; // of a line, about: more would not be seen

/** The fan of the losses: the middle half and four fifths as bands, the median, and some networks as thin lines. */
export function paintLosses(canvas: HTMLCanvasElement, all: Seen[], last: number): void {
  const ends = all.flatMap(({ bands }) =>
    bands.flatMap((band) => [band[0], ...band.filter(Number.isFinite).slice(-1)]),
  );
  const positive = ends.filter((value) => Number.isFinite(value) && value > 0);
  const low = Math.max(1e-8, Math.min(1, ...positive));
  const high = Math.min(1e4, Math.max(low * 10, ...positive));
  const [bottom, top] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const share = (loss: number): number =>
    Math.max(0, Math.min(1, (Math.log10(Math.max(loss, 1e-12)) - bottom) / (top - bottom)));
  const every = Math.max(1, Math.ceil((top - bottom) / 5));
  const ticks: [number, string][] = [];
  for (let power = bottom; power <= top; power += every)
    ticks.push([(power - bottom) / (top - bottom), power >= -2 && power <= 3 ? String(10 ** power) : `1e${power}`]);
  const { context, x, y, colours } = frame(
    canvas,
    last,
    ticks.map(([at, label]) => [at, label.slice(0, 6)]),
  );
  all.forEach(({ steps, losses, bands }, which) => {
    const [colour, dash] = [colours[which], DASHES[which]];
    const every = Math.ceil(steps.length / PLACES);
    const rows = Array.from(steps.keys()).filter((row) => row % every === 0 || row === steps.length - 1);
    const band = (from: number, to: number, alpha: number): void => {
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      context.beginPath();
      for (const row of rows) context.lineTo(x(steps[row]), y(share(bands[row][SHARES.indexOf(to)])));
      for (const row of rows.slice().reverse())
        context.lineTo(x(steps[row]), y(share(bands[row][SHARES.indexOf(from)])));
      context.fill();
    };
    band(0.1, 0.9, 0.15);
    band(0.25, 0.75, 0.2);
    context.globalAlpha = 0.35;
    context.strokeStyle = colour;
    context.lineWidth = 0.7;
    for (let n = 0; n < Math.min(THIN, losses[0].length); n++)
      path(
        context,
        rows.map((row) => [x(steps[row]), y(share(losses[row][n]))]),
      );
    context.globalAlpha = 1;
    context.lineWidth = 2.5;
    context.setLineDash(dash);
    path(
      context,
      rows.map((row) => [x(steps[row]), y(share(bands[row][SHARES.indexOf(0.5)]))]),
    );
    context.setLineDash([]);
  });
}

/** The share of networks that were never right, by updates. */
export function paintSurvival(canvas: HTMLCanvasElement, all: Seen[], now: number[], last: number): void {
  const { context, x, y, colours } = frame(
    canvas,
    last,
    [0, 0.25, 0.5, 0.75, 1].map((share) => [share, `${100 * share}%`]),
  );
  all.forEach(({ rightAt }, which) => {
    const [colour, dash] = [colours[which], DASHES[which]];
    const times = rightAt.filter((at) => at !== NEVER && at <= now[which]).sort();
    const places: [number, number][] = [[x(0), y(1)]];
    let below = 0;
    times.forEach((at, n) => {
      if (at === times[n + 1]) return; // one step for all that are right after the same update
      places.push([x(at), y(1 - below / rightAt.length)], [x(at), y(1 - (n + 1) / rightAt.length)]);
      below = n + 1;
    });
    places.push([x(now[which]), y(1 - below / rightAt.length)]);
    context.strokeStyle = colour;
    context.lineWidth = 2.5;
    context.setLineDash(dash);
    path(context, places);
    context.setLineDash([]);
  });
}

function path(context: CanvasRenderingContext2D, places: [number, number][]): void {
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.stroke();
}

const BINS = 20;

/** A histogram of the values of a layer's units; returns where they lie. */
export function paintHistogram(canvas: HTMLCanvasElement, values: Float64Array): { low: number; high: number } {
  const finite = values.filter(Number.isFinite);
  const [low, high] = finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 0];
  const counts = new Array<number>(BINS).fill(0);
  for (const value of finite) counts[Math.min(BINS - 1, Math.floor((BINS * (value - low)) / (high - low || 1)))]++;
  const { context, width, height } = sharp(canvas);
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).getPropertyValue("--first");
  const most = Math.max(1, ...counts);
  counts.forEach((count, n) =>
    context.fillRect((n * width) / BINS + 0.5, height * (1 - count / most), width / BINS - 1, (height * count) / most),
  );
  return { low, high };
}
