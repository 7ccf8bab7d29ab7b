/** Points drawn by hand. */
import { point, sharp } from "./draw";
import { h } from "./dom";
import { TEXTS } from "./texts";

export interface Points {
  inputs: number[][];
  labels: number[];
}

const REACH = 1.25; // the plane that is drawn on goes from -REACH to REACH

/** A plane to draw points on, with the mouse, a finger or the keyboard. */
export class PointsView {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private label = 1;
  private cross = [0, 0];
  private points: Points;

  constructor(
    given: Points,
    private readonly changed: (points: Points) => void,
  ) {
    this.points = given;
    this.canvas = h("canvas", {
      class: "plane",
      tabindex: 0,
      role: "application",
      "aria-label": TEXTS.drawLabel,
      onclick: (event) => {
        const box = this.canvas.getBoundingClientRect();
        const { clientX, clientY } = event as MouseEvent;
        this.add([
          ((clientX - box.left) / box.width) * 2 * REACH - REACH,
          REACH - ((clientY - box.top) / box.height) * 2 * REACH,
        ]);
      },
      onkeydown: (event) => this.key(event as KeyboardEvent),
    });
    const classes = [0, 1].map((k) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name: "class", checked: k === this.label, onchange: () => (this.label = k) }),
        h("span", {}, TEXTS.drawClass(k)),
      ),
    );
    const undo = h(
      "button",
      {
        type: "button",
        onclick: () => this.put({ inputs: this.points.inputs.slice(0, -1), labels: this.points.labels.slice(0, -1) }),
      },
      TEXTS.drawUndo,
    );
    this.element = h(
      "div",
      { class: "points" },
      h("p", {}, TEXTS.drawHere),
      h("div", { class: "row" }, ...classes),
      this.canvas,
      undo,
    );
    requestAnimationFrame(() => this.draw());
  }

  private add(at: number[]): void {
    this.put({
      inputs: [...this.points.inputs, at.map((value) => Math.round(value * 1000) / 1000)],
      labels: [...this.points.labels, this.label],
    });
  }

  private put(points: Points): void {
    this.points = points;
    this.draw();
    this.changed(points);
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, number[]> = {
      ArrowLeft: [-0.1, 0],
      ArrowRight: [0.1, 0],
      ArrowUp: [0, 0.1],
      ArrowDown: [0, -0.1],
    };
    const move = moves[event.key];
    if (move) this.cross = this.cross.map((value, axis) => Math.max(-REACH, Math.min(REACH, value + move[axis])));
    else if (event.key === "Enter" || event.key === " ") this.add(this.cross);
    else return;
    event.preventDefault();
    this.draw();
  }

  private draw(): void {
    const { context, width, height } = sharp(this.canvas);
    const place = ([x, y]: number[]): [number, number] => [
      ((x + REACH) / (2 * REACH)) * width,
      height - ((y + REACH) / (2 * REACH)) * height,
    ];
    context.fillStyle = "#f6f4ef";
    context.fillRect(0, 0, width, height);
    context.strokeStyle = "#999";
    const [x, y] = place(this.cross);
    context.strokeRect(x - 0.5, 0, 1, height);
    context.strokeRect(0, y - 0.5, width, 1);
    this.points.inputs.forEach((row, n) => point(context, ...place(row), this.points.labels[n]));
  }
}
