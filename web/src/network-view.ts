/** One network: its surface, its units, its weights, and why it is as it is. */
import { boxOf, paintHistogram, paintLarge } from "./draw";
import { brief, h, numberIn } from "./dom";
import type { Entries } from "./entries";
import type { Course, Diagnosed, Inspected, UnitCourse } from "./messages";
import { type Numbers, filled, told } from "./sentences";
import type { Spec } from "./spec";
import { initialWeights } from "./start";
import { isPlane } from "./surface";
import { TEXTS } from "./texts";
import type { Training } from "./trainer";

const SIZE = 64;
const ROWS = 64; // of data, at most, that are shown as a table

/** The rows of a table: what a network gives on each row of its data. */
function rowsOf(spec: Spec, values: Float32Array): HTMLElement[] {
  const heads = [...spec.inputs[0].map((_, n) => TEXTS.input(n + 1)), TEXTS.wanted, TEXTS.given];
  return [
    h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text))),
    ...spec.inputs.map((inputs, row) =>
      h("tr", {}, ...[...inputs, spec.labels[row], brief(values[row])].map((value) => h("td", {}, String(value)))),
    ),
  ];
}

export class NetworkView {
  readonly element = h("section", { class: "network", id: "network", "aria-live": "off" });
  private readonly surface = h("canvas", { class: "large", role: "img" });
  private readonly heading = h("h2", {});
  private readonly why = h("p", { id: "why" });
  private readonly meaning = h("p", { class: "note" });
  private readonly units = h("ul", { id: "units" });
  private readonly rowsTable = h("table", {});
  private readonly rows = h(
    "details",
    { class: "rows" },
    h("summary", {}, TEXTS.rows),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": TEXTS.rows }, this.rowsTable),
  );
  private readonly tables = h("div", { class: "tables" });
  private weights: Float32Array = new Float32Array();
  private shape = "";
  private walked: { diagnosis: Diagnosed; network: number; course: Course } | null = null;

  constructor(
    private readonly entries: Entries,
    private readonly edited: (weights: Float32Array) => void,
  ) {
    this.empty();
  }

  empty(): void {
    this.shape = "";
    this.element.replaceChildren(h("p", { class: "note" }, TEXTS.choose));
  }

  /** Show a network as it is now. */
  async show(training: Training, network: number, diagnosis: Diagnosed | null, which: string): Promise<void> {
    const { spec } = training;
    const box = boxOf(spec.inputs);
    const surfaces = await training.surfaces([network], SIZE, box);
    this.weights = await training.weightsOf(network);
    const inside = await training.inspect(network);
    const start = training.start(network) ?? initialWeights(spec, training.seed + network);
    const course = diagnosis && (await this.courseOf(training, network, diagnosis));
    if (!this.element.contains(this.surface)) {
      this.element.replaceChildren(
        this.heading,
        h(
          "div",
          { class: "two" },
          this.surface,
          h("div", {}, h("h3", {}, TEXTS.why), this.why, this.meaning, this.units),
        ),
        this.rows,
        this.tables,
      );
    }
    this.heading.textContent = TEXTS.chosen(training.seed + network, which);
    const values = surfaces.get(network);
    const first = spec.layers.length > 1 && isPlane(spec.inputs) ? spec.layers[0] : null;
    const units = (weights: Float32Array): number[][] =>
      first
        ? Array.from({ length: first.fanOut }, (_, o) => [
            weights[first.weight + 2 * o],
            weights[first.weight + 2 * o + 1],
            weights[first.bias + o],
          ])
        : [];
    if (values) paintLarge(this.surface, values, spec, box, { now: units(this.weights), start: units(start) });
    this.showWhy(training, network, diagnosis, course);
    this.rows.hidden = !values || isPlane(spec.inputs) || spec.inputs.length > ROWS;
    if (values && !this.rows.hidden) this.rowsTable.replaceChildren(...rowsOf(spec, values));
    this.showWeights(spec);
    this.showLayers(spec, inside);
  }

  /** The way of a network, which is looked at once. */
  private async courseOf(training: Training, network: number, diagnosis: Diagnosed): Promise<Course> {
    if (this.walked?.diagnosis !== diagnosis || this.walked.network !== network)
      this.walked = { diagnosis, network, course: await training.course(network, diagnosis) };
    return this.walked.course;
  }

  /** Gradients, units that are off, and what the units give. */
  private showLayers(spec: Spec, inside: Inspected): void {
    spec.layers.forEach((_, n) => {
      const table = this.tables.querySelector(`[data-layer="${n}"]`);
      const caption = table?.querySelector("caption");
      if (caption) caption.textContent = TEXTS.layer(String(2 * n), brief(inside.gradients[n]));
      table?.querySelectorAll<HTMLElement>("tr > th[scope=row]").forEach((head, o) => {
        const state = inside.states[n]?.[o] ?? "";
        head.textContent = `${o + 1} ${TEXTS.unitStates[state]}`.trim();
        head.title = TEXTS.unitHelp[state];
      });
      const canvas = table?.querySelector("canvas");
      const note = table?.querySelector("figcaption");
      if (!canvas || !note) return;
      const { low, high } = paintHistogram(canvas, inside.values[n]);
      note.textContent = TEXTS.histogram(brief(low), brief(high));
      canvas.setAttribute("aria-label", note.textContent);
    });
  }

  /** Why it is as it is, in one sentence; and its units that let no gradient through, with the updates since which. */
  private showWhy(training: Training, network: number, diagnosis: Diagnosed | null, course: Course | null): void {
    const name = diagnosis?.verdicts[network].replaceAll("_", " ");
    const label = isPlane(training.spec.inputs) ? TEXTS.surfaceLabel : TEXTS.rowsLabel;
    this.surface.setAttribute("aria-label", label(name ?? TEXTS.notYet));
    if (!diagnosis || !course) {
      this.why.textContent = TEXTS.verdictsWait;
      this.meaning.textContent = "";
      this.units.replaceChildren();
      return;
    }
    const { entry, why, numbers } = told(this.entries, training, diagnosis, network);
    const dated: Numbers = { ...numbers, since: course.since, snapshot_every: course.every };
    const since = filled(entry.since, dated);
    this.why.replaceChildren(h("strong", {}, `${name}: `), `${since ? `${why}; ${since}` : why}.`);
    this.meaning.textContent = entry.meaning;
    this.units.replaceChildren(...unitLines(course.units).map((line) => h("li", {}, line)));
  }

  private showWeights(spec: Spec): void {
    const shape = spec.layers.map((layer) => `${layer.fanIn}-${layer.fanOut}`).join();
    if (this.shape !== shape || this.tables.childElementCount === 0) {
      this.shape = shape;
      this.tables.replaceChildren(
        h("h3", {}, TEXTS.weights),
        h("p", { class: "note" }, TEXTS.weightsHelp),
        ...spec.layers.map((_, n) => this.table(spec, n)),
      );
    }
    this.tables.querySelectorAll<HTMLInputElement>("input").forEach((input) => {
      if (input !== document.activeElement) input.value = brief(this.weights[Number(input.dataset["place"])]);
    });
  }

  private table(spec: Spec, number: number): HTMLElement {
    const layer = spec.layers[number];
    const cell = (place: number, label: string): HTMLElement => {
      const change = (event: Event): void => {
        const value = numberIn(event);
        if (value === null) return;
        const weights = Float32Array.from(this.weights);
        weights[place] = value;
        this.edited(weights);
      };
      return h(
        "td",
        {},
        h("input", { type: "number", step: "any", "data-place": place, "aria-label": label, onchange: change }),
      );
    };
    const head = [...Array.from({ length: layer.fanIn }, (_, i) => String(i + 1)), TEXTS.bias];
    const rows = Array.from({ length: layer.fanOut }, (_, o) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, String(o + 1)),
        ...Array.from({ length: layer.fanIn }, (_, i) =>
          cell(layer.weight + o * layer.fanIn + i, `${2 * number}.weight ${o + 1}, ${i + 1}`),
        ),
        cell(layer.bias + o, `${2 * number}.bias ${o + 1}`),
      ),
    );
    const caption = h("caption", {});
    const values =
      number < spec.hidden.length
        ? h("figure", {}, h("canvas", { class: "histogram", role: "img" }), h("figcaption", { class: "note" }))
        : null;
    return h(
      "div",
      { class: "scroll", tabindex: 0, "data-layer": number },
      h(
        "table",
        {},
        caption,
        h("tr", {}, h("th", {}), ...head.map((text) => h("th", { scope: "col" }, text))),
        ...rows,
      ),
      values,
    );
  }
}

/** The units that let no gradient through, a line a layer. */
function unitLines(units: UnitCourse[]): string[] {
  const layers = [...new Set(units.map(({ layer }) => layer))];
  if (!layers.length) return [TEXTS.unitsFine];
  return layers.map((layer) => {
    const own = units.filter((unit) => unit.layer === layer);
    return TEXTS.unitsOf(
      String(2 * layer),
      own.map(({ unit, state, since }) => TEXTS.unitSince(unit + 1, TEXTS.unitStates[state], since)),
    );
  });
}
