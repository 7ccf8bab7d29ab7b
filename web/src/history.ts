/** The losses of networks on the way: a row every few updates, the first and the last always. */
export class History {
  readonly steps: number[] = [];
  readonly losses: Float32Array[] = [];
  private passing = false; // whether the last row stands for a stop on the way, at which none is due

  /** Take the history of networks that were trained elsewhere. */
  replace(steps: number[], losses: Float32Array[]): void {
    this.steps.splice(0, Infinity, ...steps);
    this.losses.splice(0, Infinity, ...losses);
    this.passing = false;
  }

  /** How many rows stay when the next is written. */
  get lasting(): number {
    return this.steps.length - +this.passing;
  }

  /** Add a row; one that was not `due` gives way to the next. */
  write(step: number, losses: Float32Array, due: boolean): void {
    this.steps.length = this.losses.length = this.lasting;
    this.steps.push(step);
    this.losses.push(losses);
    this.passing = !due;
  }
}
