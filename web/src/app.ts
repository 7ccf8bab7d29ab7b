/** The page: what is shown, and what happens when something is pressed. */
import { boxOf, paintLosses, paintSurface, paintSurvival } from "./draw";
import { breathe, brief, h, save } from "./dom";
import type { Said } from "./entries";
import { endOf, firstWeights } from "./filed";
import { RecipeView } from "./form-view";
import { NEVER } from "./kernel";
import type { Diagnosed } from "./messages";
import { NetworkView } from "./network-view";
import { picture } from "./picture";
import { resolve } from "./spec";
import { type State, command, fromHash, toHash } from "./state";
import { pairedDifference, wilson } from "./statistics";
import { isPlane } from "./surface";
import { fromFile, joined, toFile } from "./tensors";
import { TEXTS } from "./texts";
import { SHARES, type Seen, type Start, Training, type Workers } from "./trainer";
import { hasCondition } from "./verdict";

const TILES = 120; // networks on the wall at a time
const SIZE = 16; // of their surfaces
const AT_ONCE = 30; // tiles that are painted before the page takes a breath
const FRAME = 80; // milliseconds that updates without a look at the buttons may take
const CHARTS = 120; // milliseconds between two pictures of the charts, at least
const WALL = 400; // and of the wall
const RESTRAINT = 4; // times as long as a picture took passes until the next

/** Weights that no seed of this page made, and the seed that the first network is called by. */
type Given = { weights: Float32Array[]; seed: number };

/** One recipe in training. */
interface Run {
  training: Training;
  diagnosis: Diagnosed | null;
  given: Given | null; // where it began
}

export class App {
  private state: State;
  private runs: Run[] = [];
  private running = false;
  private busy: Promise<void> = Promise.resolve();
  private shown = 0; // the first network on the wall
  private chosen: { run: number; network: number } | null = null;
  private given: Given | null = null;
  private count = 1; // updates at a time
  private chartsDue = 0; // when the charts are to be drawn again
  private wallDue = 0; // and the wall

  private readonly views: RecipeView[] = [];
  private readonly recipes = h("div", { class: "recipes" });
  private readonly startButton = h(
    "button",
    { type: "button", class: "primary", id: "start", onclick: () => this.toggle() },
    TEXTS.start,
  );
  private readonly stepButton = h(
    "button",
    { type: "button", id: "step", onclick: () => void this.queue(() => this.stepOnce()) },
    TEXTS.step,
  );
  private readonly rewindButton = h(
    "button",
    { type: "button", id: "rewind", onclick: () => void this.rewind() },
    TEXTS.rewind,
  );
  private readonly compareBox = h("input", { type: "checkbox", id: "compare", onchange: () => this.toggleCompare() });
  private readonly networksInput = h("input", {
    type: "number",
    id: "networks",
    min: 1,
    onchange: () => this.readNumbers(),
  });
  private readonly seedInput = h("input", { type: "number", id: "seed", min: 0, onchange: () => this.readNumbers() });
  private readonly status = h("p", { class: "status", id: "status" });
  private readonly live = h("p", { role: "status", "aria-live": "polite", id: "rate" });
  private readonly fault = h("p", { role: "alert", class: "fault", id: "fault" });
  private readonly walls = h("div", { class: "walls" });
  private readonly verdicts = h("div", { class: "verdicts" });
  private readonly losses = h("canvas", { class: "chart", role: "img" });
  private readonly survival = h("canvas", { class: "chart", role: "img" });
  private readonly lossesText = h("p", { class: "note" });
  private readonly survivalText = h("p", { class: "note" });
  private readonly command = h("pre", { id: "command", tabindex: 0 });
  private readonly said = h("p", { role: "status", class: "note", id: "said" });
  private readonly network: NetworkView;

  constructor(
    private readonly root: HTMLElement,
    private readonly workers: Workers,
  ) {
    const linked = fromHash(location.hash);
    this.state = linked ?? this.first();
    this.network = new NetworkView(workers.entries, (weights) => void this.queue(() => this.edit(weights)));
    this.build();
    window.addEventListener("hashchange", () => {
      const found = fromHash(location.hash);
      if (found && toHash(found) !== toHash(this.state)) void this.change(found);
    });
    window.addEventListener("resize", () => void this.queue(() => this.draw(true)));
    if (workers.entries.filed && !linked) void this.openFiled();
    else void this.change(this.state, false);
  }

  /** What the page begins with. */
  private first(): State {
    const { spec, networks, seed } = this.workers.entries.start;
    return { recipes: [spec], networks, seed };
  }

  /** Show the networks that the page was written for, as they ended. */
  private async openFiled(): Promise<void> {
    const { entries } = this.workers;
    const { filed, start } = entries;
    if (!filed) return;
    const spec = resolve(entries, start.spec);
    this.given = { weights: firstWeights(spec, filed), seed: start.seed };
    history.replaceState(null, "", location.pathname + location.search);
    await this.change(this.first(), false);
    await this.queue(async () => {
      await this.runs[0].training.finish(endOf(spec, filed));
      await this.judge();
    });
  }

  private build(): void {
    const { entries } = this.workers;
    const field = (label: string, input: HTMLElement): HTMLElement => h("label", {}, h("span", {}, label), input);
    const file = h("input", {
      type: "file",
      accept: ".safetensors",
      id: "import",
      onchange: (event) => void this.import(event.target as HTMLInputElement),
    });
    const untold = entries.verdicts.filter(({ name }) => !hasCondition(name)).map(({ name }) => name);
    this.root.replaceChildren(
      h("header", {}, h("h1", {}, TEXTS.title), h("p", {}, TEXTS.intro), this.filedNote()),
      h(
        "div",
        { class: "columns" },
        h(
          "form",
          { class: "panel", onsubmit: (event) => event.preventDefault() },
          h("div", { class: "row controls" }, this.startButton, this.stepButton, this.rewindButton),
          this.status,
          this.fault,
          h("div", { class: "pair" }, field(TEXTS.networks, this.networksInput), field(TEXTS.seed, this.seedInput)),
          h("label", { class: "check" }, this.compareBox, h("span", {}, TEXTS.compare)),
          h(
            "details",
            { open: window.matchMedia("(min-width: 761px)").matches },
            h("summary", {}, TEXTS.recipes),
            this.recipes,
          ),
        ),
        h(
          "div",
          { class: "results" },
          h("section", { "aria-label": TEXTS.training }, this.live, this.walls),
          h(
            "div",
            { class: "charts" },
            h("section", {}, h("h2", {}, TEXTS.verdicts), this.verdicts),
            h("section", {}, h("h2", {}, TEXTS.losses), this.losses, this.lossesText),
            h("section", {}, h("h2", {}, TEXTS.survival), this.survival, this.survivalText),
          ),
          this.network.element,
          h(
            "section",
            { class: "share" },
            h("h2", {}, TEXTS.share),
            h(
              "div",
              { class: "row" },
              h("button", { type: "button", id: "link", onclick: () => void this.copyLink() }, TEXTS.link),
              h("button", { type: "button", id: "picture", onclick: () => void this.savePicture() }, TEXTS.picture),
              h(
                "button",
                { type: "button", id: "export", onclick: () => void this.queue(() => this.export()) },
                TEXTS.exportWeights,
              ),
              h("button", { type: "button", id: "points", onclick: () => this.savePoints() }, TEXTS.points),
              h("label", { class: "file" }, h("span", {}, TEXTS.importWeights), file),
            ),
            this.said,
            h("h3", {}, TEXTS.command),
            this.command,
            h(
              "button",
              {
                type: "button",
                id: "copy",
                onclick: () => void this.copy(this.command.textContent ?? "", TEXTS.commandCopied, TEXTS.commandFailed),
              },
              TEXTS.copyCommand,
            ),
          ),
          h(
            "details",
            { class: "left-out" },
            h("summary", {}, TEXTS.leftOut),
            h("p", {}, TEXTS.leftOutHelp),
            h("ul", {}, ...entries.left_out.map(({ kind, name, why }) => h("li", {}, `${kind} ${name}: ${why}`))),
            h("p", {}, TEXTS.leftOutTraining),
            untold.length ? h("p", {}, TEXTS.noVerdict(untold.join(", "))) : null,
          ),
          h("footer", {}, TEXTS.about(entries.version)),
        ),
      ),
    );
  }

  /** Which networks the page was written for, and the way back to them. */
  private filedNote(): HTMLElement | null {
    const { filed } = this.workers.entries;
    if (!filed) return null;
    const again = h("button", { type: "button", id: "filed", onclick: () => void this.openFiled() }, TEXTS.filedAgain);
    return h("div", { class: "row" }, h("p", {}, TEXTS.filed(filed.name)), again);
  }

  /** Do one thing after another, and tell what goes wrong. */
  private queue(work: () => Promise<void>): Promise<void> {
    this.busy = this.busy.then(work).catch((error: unknown) => {
      this.running = false;
      this.fault.textContent = TEXTS.failed(error instanceof Error ? error.message : String(error));
      this.buttons();
    });
    return this.busy;
  }

  private labels(): string[] {
    return this.state.recipes.length > 1 ? ["A", "B"] : [""];
  }

  /** Show another state, and begin it anew. */
  private async change(state: State, write = true): Promise<void> {
    this.running = false;
    this.state = state;
    if (write) history.replaceState(null, "", toHash(state));
    this.networksInput.value = String(state.networks);
    this.seedInput.value = String(state.seed);
    this.compareBox.checked = state.recipes.length > 1;
    this.showRecipes();
    await this.rewind();
  }

  private showRecipes(): void {
    const labels = this.labels();
    this.views.length = Math.min(this.views.length, labels.length);
    labels.forEach((label, n) => {
      const title = label ? TEXTS.recipe(label) : TEXTS.onlyRecipe;
      if (this.views[n]) this.views[n].show(this.state.recipes[n], title);
      else
        this.views.push(
          new RecipeView(
            this.workers.entries,
            this.state.recipes[n],
            title,
            (recipe) => void this.recipeChanged(n, recipe),
          ),
        );
    });
    this.recipes.replaceChildren(...this.views.map((view) => view.element));
  }

  private async recipeChanged(which: number, recipe: Said): Promise<void> {
    this.state = { ...this.state, recipes: this.state.recipes.map((old, n) => (n === which ? recipe : old)) };
    this.given = null;
    await this.anew();
  }

  private async anew(): Promise<void> {
    this.running = false;
    history.replaceState(null, "", toHash(this.state));
    await this.rewind();
  }

  private toggleCompare(): void {
    const [first] = this.state.recipes;
    this.given = null;
    void this.change({ ...this.state, recipes: this.compareBox.checked ? [first, first] : [first] });
  }

  private readNumbers(): void {
    const whole = (input: HTMLInputElement, low: number, high: number): number =>
      Math.max(low, Math.min(high, Math.round(Number(input.value)) || low));
    const networks = whole(this.networksInput, 1, this.workers.entries.limits.networks);
    this.given = null;
    void this.change({ ...this.state, networks, seed: whole(this.seedInput, 0, 2 ** 32 - networks) });
  }

  /** Go back to the start: the same weights, from the same seeds or the same file. */
  rewind(): Promise<void> {
    this.running = false;
    return this.queue(async () => {
      this.fault.textContent = "";
      for (const run of this.runs) run.training.forget();
      this.runs = [];
      const { networks, seed, recipes } = this.state;
      const start: Start = this.given ?? { networks, seed };
      for (const recipe of recipes) {
        this.runs.push({
          training: await Training.begin(this.workers, recipe, start),
          diagnosis: null,
          given: this.given,
        });
      }
      this.shown = Math.min(this.shown, Math.max(0, this.total() - 1));
      if (this.chosen && (this.chosen.run >= this.runs.length || this.chosen.network >= this.total()))
        this.chosen = null;
      await breathe();
      this.buildWalls();
      await this.draw(true);
    });
  }

  private total(): number {
    return this.runs[0]?.training.networks ?? 0;
  }

  private ended(): boolean {
    return this.runs.every(({ training }) => training.step >= training.spec.epochs);
  }

  private toggle(): void {
    if (this.running) {
      this.running = false;
      return;
    }
    void this.queue(async () => {
      if (!this.runs.length) return;
      if (this.ended()) await this.begin();
      this.running = true;
      this.buttons();
      await this.train();
    });
  }

  /** Begin the runs anew from where they began. */
  private async begin(): Promise<void> {
    for (const run of this.runs) {
      const start: Start = run.given ?? { networks: this.state.networks, seed: this.state.seed };
      const { said } = run.training.spec;
      run.training.forget();
      run.training = await Training.begin(this.workers, said, start);
      run.diagnosis = null;
    }
  }

  private async train(): Promise<void> {
    for (const run of this.runs) run.diagnosis = null;
    while (this.running && !this.ended()) {
      const begun = performance.now();
      await Promise.all(this.runs.map(({ training }) => training.advance(this.count)));
      const took = performance.now() - begun;
      this.count = Math.max(
        1,
        Math.min(1000, Math.round(this.count * Math.max(0.5, Math.min(4, FRAME / Math.max(1, took))))),
      );
      await this.draw(false);
      await new Promise((done) => setTimeout(done));
    }
    this.running = false;
    await this.judge();
  }

  private async stepOnce(): Promise<void> {
    await Promise.all(this.runs.map(({ training }) => training.advance(1)));
    for (const run of this.runs) run.diagnosis = null;
    await this.draw(true);
  }

  /** Give the verdicts as the networks are now. */
  private async judge(): Promise<void> {
    for (const run of this.runs) run.diagnosis = await run.training.diagnose();
    await this.draw(true);
  }

  private buttons(): void {
    const step = this.runs[0]?.training.step ?? 0;
    this.startButton.textContent = this.running ? TEXTS.pause : step && !this.ended() ? TEXTS.goOn : TEXTS.start;
    this.stepButton.disabled = this.running || this.ended();
    this.root.classList.toggle("running", this.running);
  }

  private isRight(run: Run, network: number): boolean {
    const verdict = run.diagnosis?.verdicts[network];
    return verdict ? verdict === "solved" : run.training.seen.rightAt[network] !== NEVER;
  }

  private rates(): string[] {
    const labels = this.labels();
    const lines = this.runs.map((run, n) => {
      const all = run.training.networks;
      let solved = 0;
      for (let network = 0; network < all; network++) solved += +this.isRight(run, network);
      const text = TEXTS.rate(solved, all, ...wilson(solved, all));
      return labels[n] ? `${labels[n]}: ${text}` : text;
    });
    if (this.runs.length > 1) {
      let [first, second] = [0, 0];
      for (let network = 0; network < this.total(); network++) {
        const [a, b] = this.runs.map((run) => this.isRight(run, network));
        first += +(a && !b);
        second += +(b && !a);
      }
      lines.push(TEXTS.difference(pairedDifference(first, second, this.total())));
    }
    return lines;
  }

  private async draw(whole: boolean): Promise<void> {
    if (!this.runs.length) return;
    this.buttons();
    const [first] = this.runs;
    this.status.textContent = TEXTS.at(first.training.step, first.training.spec.epochs);
    // while networks train the rate changes many times a second: it is read out when they pause or end
    this.live.setAttribute("aria-live", this.running ? "off" : "polite");
    this.live.replaceChildren(...this.rates().map((line) => h("span", {}, line)));
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begun = performance.now();
    if (whole || begun > this.chartsDue) {
      for (const part of [this.drawLosses, this.drawSurvival, this.drawVerdicts, this.drawCommand]) {
        await breathe();
        part.call(this);
      }
      this.chartsDue = performance.now() + Math.max(CHARTS, RESTRAINT * (performance.now() - begun));
    }
    if (!whole && (still || begun < this.wallDue)) return;
    await breathe();
    await this.drawWalls();
    await this.drawNetwork();
    this.wallDue = performance.now() + Math.max(WALL, RESTRAINT * (performance.now() - begun));
  }

  private seen(): Seen[] {
    return this.runs.map(({ training }) => training.seen);
  }

  private last(): number {
    return Math.max(...this.runs.map(({ training }) => training.spec.epochs));
  }

  private drawLosses(): void {
    paintLosses(this.losses, this.seen(), this.last());
    const [{ bands }] = this.seen();
    const [low, middle, high] = [0.1, 0.5, 0.9].map((share) => brief(bands[bands.length - 1][SHARES.indexOf(share)]));
    this.lossesText.textContent = TEXTS.lossesText(low, middle, high);
    this.losses.setAttribute("aria-label", this.lossesText.textContent);
  }

  private drawSurvival(): void {
    const steps = this.runs.map(({ training }) => training.step);
    paintSurvival(this.survival, this.seen(), steps, this.last());
    const times = this.seen()[0].rightAt.slice().sort();
    const median = times[Math.ceil(times.length / 2) - 1];
    const open = times.filter((at) => at === NEVER).length / times.length;
    this.survivalText.textContent = TEXTS.survivalText(open, median === NEVER ? TEXTS.never : String(median));
    this.survival.setAttribute("aria-label", this.survivalText.textContent);
  }

  /** The verdicts that were given, and how often in each run. */
  private counted(): { name: string; summary: string; colour: string; counts: number[] }[] {
    return this.workers.entries.verdicts.flatMap(({ name, summary, colour }) => {
      const counts = this.runs.map((run) => run.diagnosis?.verdicts.filter((own) => own === name).length ?? 0);
      return counts.some(Boolean) ? [{ name: name.replaceAll("_", " "), summary, colour, counts }] : [];
    });
  }

  private drawVerdicts(): void {
    if (this.runs.some((run) => !run.diagnosis)) {
      this.verdicts.replaceChildren(h("p", { class: "note" }, TEXTS.verdictsWait));
      return;
    }
    const labels = this.labels();
    const rows = this.counted().map(({ name, summary, colour, counts }) => {
      const bars = counts.map((count, n) =>
        h(
          "div",
          { class: "bar" },
          h("span", { class: "fill", style: `width:${(100 * count) / this.total()}%;background:${colour}` }),
          h("span", { class: "count" }, `${labels[n] ? `${labels[n]} ` : ""}${count}`),
        ),
      );
      return h("div", { class: "verdict", title: summary }, h("span", {}, name), h("div", {}, ...bars));
    });
    this.verdicts.replaceChildren(...rows);
  }

  private drawCommand(): void {
    const { seed, networks, recipes } = this.state;
    const lines = recipes.flatMap((recipe) => {
      const same = command(this.workers.entries, recipe, seed, networks);
      return [same, `# ${TEXTS.commandMore}`, command(this.workers.entries, recipe, seed + networks, 1000)];
    });
    const text = lines.join("\n");
    if (this.command.textContent !== text) this.command.textContent = text;
  }

  // -- the wall ---------------------------------------------------------------------------------------------------

  private buildWalls(): void {
    const labels = this.labels();
    const last = Math.min(this.total(), this.shown + TILES);
    const walls = this.runs.map((_, run) => {
      const tiles = Array.from({ length: last - this.shown }, (_, n) => {
        const network = this.shown + n;
        return h(
          "button",
          {
            type: "button",
            class: "tile",
            tabindex: n ? -1 : 0,
            "data-network": network,
            onclick: () => void this.choose(run, network),
          },
          h("canvas", { width: SIZE, height: SIZE, "aria-hidden": "true" }),
          h("span", { class: "mark", "aria-hidden": "true" }),
        );
      });
      const wall = h(
        "div",
        {
          class: "wall",
          "data-run": run,
          role: "group",
          "aria-label": TEXTS.wall(labels[run]),
          onkeydown: (event) => this.walk(event as KeyboardEvent, tiles),
        },
        ...tiles,
      );
      return h("div", {}, labels[run] ? h("h3", {}, TEXTS.recipe(labels[run])) : null, wall);
    });
    const turn = (by: number): void => {
      this.shown = Math.max(0, Math.min(this.total() - 1, this.shown + by));
      void this.queue(async () => {
        this.buildWalls();
        await this.draw(true);
      });
    };
    const pager =
      this.total() > TILES
        ? h(
            "div",
            { class: "row pager" },
            h("button", { type: "button", disabled: this.shown === 0, onclick: () => turn(-TILES) }, TEXTS.before),
            h("span", {}, TEXTS.page(this.shown + 1, last, this.total())),
            h("button", { type: "button", disabled: last === this.total(), onclick: () => turn(TILES) }, TEXTS.after),
          )
        : null;
    const plane = this.runs.every(({ training }) => isPlane(training.spec.inputs));
    this.walls.replaceChildren(h("p", { class: "note" }, TEXTS.wallHelp(plane)), ...walls, ...(pager ? [pager] : []));
  }

  private walk(event: KeyboardEvent, tiles: HTMLButtonElement[]): void {
    const at = tiles.indexOf(document.activeElement as HTMLButtonElement);
    const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const moves: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -at,
      End: tiles.length - 1 - at,
    };
    const move = moves[event.key];
    if (at < 0 || move === undefined) return;
    event.preventDefault();
    const next = tiles[Math.max(0, Math.min(tiles.length - 1, at + move))];
    tiles.forEach((tile) => (tile.tabIndex = tile === next ? 0 : -1));
    next.focus();
  }

  private async drawWalls(): Promise<void> {
    const colours = new Map(this.workers.entries.verdicts.map(({ name, colour }) => [name, colour]));
    const tiles = this.runs.map((_, n) => [
      ...this.walls.querySelectorAll<HTMLButtonElement>(`.wall[data-run="${n}"] .tile`),
    ]);
    const networks = tiles.map((own) => own.map((tile) => Number(tile.dataset["network"])));
    const surfaces = await Promise.all(
      this.runs.map(({ training }, n) => training.surfaces(networks[n], SIZE, boxOf(training.spec.inputs))),
    );
    let painted = 0;
    for (const [n, run] of this.runs.entries()) {
      const { spec, seed, seen } = run.training;
      const losses = seen.losses[seen.losses.length - 1];
      for (const [place, tile] of tiles[n].entries()) {
        if (painted++ % AT_ONCE === 0) await breathe();
        const network = networks[n][place];
        const surface = surfaces[n].get(network);
        const canvas = tile.querySelector("canvas");
        if (surface && canvas) paintSurface(canvas, surface, spec);
        const right = this.isRight(run, network);
        const verdict = run.diagnosis?.verdicts[network] ?? (right ? "solved" : "");
        const said = run.diagnosis ? verdict.replaceAll("_", " ") : right ? TEXTS.solvedSoFar : TEXTS.notYet;
        tile.style.setProperty("--frame", verdict ? (colours.get(verdict) ?? "") : "var(--line)");
        tile.setAttribute("aria-label", TEXTS.network(seed + network, said, brief(losses[network])));
        tile.title = tile.getAttribute("aria-label") ?? "";
        tile.setAttribute("aria-pressed", String(this.chosen?.run === n && this.chosen.network === network));
        const mark = tile.querySelector(".mark");
        if (mark) mark.textContent = right ? "✓" : "";
      }
    }
  }

  private async choose(run: number, network: number): Promise<void> {
    this.chosen = { run, network };
    if (this.running) return; // it is drawn with the next picture
    await this.queue(async () => {
      await this.drawWalls();
      await this.drawNetwork();
    });
  }

  private async drawNetwork(): Promise<void> {
    if (!this.chosen || !this.runs[this.chosen.run]) {
      this.network.empty();
      return;
    }
    const { run: which, network } = this.chosen;
    const run = this.runs[which];
    const label = this.labels()[which];
    await this.network.show(run.training, network, run.diagnosis, label ? `, ${TEXTS.recipe(label)}` : "");
  }

  private async edit(weights: Float32Array): Promise<void> {
    if (!this.chosen) return;
    const run = this.runs[this.chosen.run];
    await run.training.put(this.chosen.network, weights);
    if (run.training.step) await this.judge();
    else await this.draw(true);
  }

  // -- keeping and sharing ----------------------------------------------------------------------------------------

  private copyLink(): Promise<void> {
    history.replaceState(null, "", toHash(this.state));
    return this.copy(location.href, TEXTS.linked, TEXTS.linkFailed);
  }

  private async copy(text: string, copied: string, failed: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.said.textContent = copied;
    } catch {
      this.said.textContent = failed;
    }
  }

  /** The walls, the rate and the curves as one picture. */
  private async savePicture(): Promise<void> {
    const rates = this.rates();
    const walls = [...this.walls.querySelectorAll(".wall")].map((wall, n) => ({
      lines: [TEXTS.summary(this.runs[n].training.spec), rates[n]],
      legend: this.counted()
        .filter(({ counts }) => counts[n])
        .map(({ name, colour, counts }) => ({ colour, text: `${name} ${counts[n]}` })),
      tiles: [...wall.children],
    }));
    const lines = [`nnspec play: ${this.status.textContent ?? ""}`, ...rates.slice(walls.length)];
    const charts = [
      { title: TEXTS.losses, canvas: this.losses },
      { title: TEXTS.survival, canvas: this.survival },
    ];
    const blob = await new Promise<Blob | null>((done) => picture(lines, walls, charts).toBlob(done, "image/png"));
    if (blob) save("nnspec-play.png", blob);
  }

  private async export(): Promise<void> {
    const [{ training }] = this.runs;
    save("nnspec-play.safetensors", new Blob([toFile(training.spec, await training.weights())]));
  }

  private async import(input: HTMLInputElement): Promise<void> {
    const [file] = input.files ?? [];
    if (!file) return;
    const content = await file.arrayBuffer();
    let taken = false;
    await this.queue(async () => {
      const weights = joined(this.runs[0].training.spec, fromFile(content));
      const most = this.workers.entries.limits.networks;
      this.given = { weights: weights.slice(0, most), seed: 0 };
      const networks = this.given.weights.length;
      this.state = { ...this.state, networks };
      this.networksInput.value = String(networks);
      this.said.textContent = TEXTS.imported(networks);
      taken = true;
    });
    input.value = "";
    if (taken) await this.rewind();
  }

  private savePoints(): void {
    const { spec } = this.runs[0].training;
    const rows = spec.inputs.map((row, n) => [...row, spec.labels[n]].join(","));
    save("points.csv", new Blob([["x1,x2,label", ...rows, ""].join("\n")], { type: "text/csv" }));
  }
}
