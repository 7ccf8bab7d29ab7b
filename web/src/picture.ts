/** The page as one picture. */
import { h } from "./dom";

export interface Wall {
  lines: string[]; // what was trained, and how much of it was solved
  legend: { colour: string; text: string }[]; // of the frames
  tiles: Element[];
}

export interface Chart {
  title: string;
  canvas: HTMLCanvasElement;
}

const [TILE, ACROSS, MARGIN, LINE] = [44, 20, 16, 24];
const WIDTH = ACROSS * TILE + 2 * MARGIN;
const CHART = (WIDTH - 3 * MARGIN) / 2;
const INNER = WIDTH - 2 * MARGIN;

/** Draw lines, then the walls with their legends, then charts, two side by side. */
export function picture(lines: string[], walls: Wall[], charts: Chart[]): HTMLCanvasElement {
  const canvas = h("canvas", {});
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const heights = charts.map((chart) => LINE + (CHART * chart.canvas.height) / chart.canvas.width);
  const legends = walls.map((wall) =>
    arranged(wall.legend.map(({ text }) => LINE + 12 + Math.ceil(measured(context, text)))),
  );
  canvas.width = WIDTH;
  canvas.height = walls.reduce(
    (sum, { lines, tiles }, n) =>
      sum + (lines.length + legends[n].rows) * LINE + Math.ceil(tiles.length / ACROSS) * TILE + MARGIN,
    2 * MARGIN + lines.length * LINE + Math.max(...heights),
  );
  const style = getComputedStyle(document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  let y = MARGIN;
  const write = (text: string, x = MARGIN): void => {
    context.font = FONT;
    context.fillStyle = style.color;
    context.fillText(text, x, y + 15, INNER);
  };
  const writeAll = (texts: string[]): void =>
    texts.forEach((text) => {
      write(text);
      y += LINE;
    });
  writeAll(lines);
  walls.forEach((wall, n) => {
    writeAll(wall.lines);
    wall.legend.forEach(({ colour, text }, place) => {
      const [x, row] = legends[n].places[place];
      y += row * LINE;
      context.fillStyle = style.color;
      context.fillRect(MARGIN + x, y, 17, 17);
      context.fillStyle = colour;
      context.fillRect(MARGIN + x + 1, y + 1, 15, 15);
      write(text, MARGIN + x + LINE);
      y -= row * LINE;
    });
    y += legends[n].rows * LINE;
    context.imageSmoothingEnabled = false;
    wall.tiles.forEach((tile, place) => {
      const [x, top] = [MARGIN + (place % ACROSS) * TILE, y + Math.floor(place / ACROSS) * TILE];
      context.fillStyle = getComputedStyle(tile).borderTopColor;
      context.fillRect(x, top, TILE - 3, TILE - 3);
      const surface = tile.querySelector("canvas");
      if (surface) context.drawImage(surface, x + 3, top + 3, TILE - 9, TILE - 9);
    });
    y += Math.ceil(wall.tiles.length / ACROSS) * TILE + MARGIN;
  });
  context.imageSmoothingEnabled = true;
  charts.forEach(({ title, canvas: chart }, n) => {
    const x = MARGIN + n * (CHART + MARGIN);
    write(title, x);
    context.drawImage(chart, x, y + LINE, CHART, heights[n] - LINE);
  });
  return canvas;
}

const FONT = "15px system-ui, sans-serif";

function measured(context: CanvasRenderingContext2D, text: string): number {
  context.font = FONT;
  return context.measureText(text).width;
}

/** Where things of these widths stand, [x, row], in rows as wide as the picture. */
function arranged(widths: number[]): { places: [number, number][]; rows: number } {
  let [x, row] = [0, 0];
  const places = widths.map((width): [number, number] => {
    if (x > 0 && x + width > INNER) [x, row] = [0, row + 1];
    const place: [number, number] = [x, row];
    x += width;
    return place;
  });
  return { places, rows: widths.length ? row + 1 : 0 };
}
