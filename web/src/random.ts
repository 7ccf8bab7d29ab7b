/** Torch's generator and its draws, so that a seed makes the very networks that it makes in nnspec. */

const SIZE = 624;

/** The Mersenne twister of `torch.Generator().manual_seed(seed)`. */
export class Generator {
  private readonly state = new Uint32Array(SIZE);
  private place = SIZE;
  private spare: number | null = null;

  constructor(seed: number) {
    this.state[0] = seed >>> 0;
    for (let n = 1; n < SIZE; n++) {
      const last = this.state[n - 1] ^ (this.state[n - 1] >>> 30);
      this.state[n] = Math.imul(1812433253, last) + n;
    }
  }

  private twist(): void {
    const s = this.state;
    for (let n = 0; n < SIZE; n++) {
      const y = (s[n] & 0x80000000) | (s[(n + 1) % SIZE] & 0x7fffffff);
      s[n] = s[(n + 397) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  /** 32 random bits. */
  bits(): number {
    if (this.place === SIZE) this.twist();
    let y = this.state[this.place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Uniform on 0..1, as `uniform_` of float32: 24 bits. */
  uniform(): number {
    return (this.bits() & 0xffffff) / 0x1000000;
  }

  /** Uniform on 0..1 of 53 bits, the first draw the upper ones. */
  private double(): number {
    const high = this.bits();
    const low = this.bits();
    return ((high & 0x1fffff) * 0x100000000 + low) / 0x20000000000000;
  }

  /** Standard normal numbers, as `normal_` of float32: from 16 on by Box and Muller on pairs eight places apart, fewer
   * one by one in double precision, every second one kept for the next. */
  normal(count: number): Float32Array {
    const found = new Float32Array(count);
    if (count < 16) {
      for (let n = 0; n < count; n++) found[n] = this.one();
      return found;
    }
    for (let n = 0; n < count; n++) found[n] = this.uniform();
    for (let start = 0; start + 16 <= count; start += 16) this.boxMuller(found, start);
    if (count % 16) {
      for (let n = count - 16; n < count; n++) found[n] = this.uniform();
      this.boxMuller(found, count - 16);
    }
    return found;
  }

  private boxMuller(values: Float32Array, start: number): void {
    for (let n = start; n < start + 8; n++) {
      const radius = Math.fround(Math.sqrt(-2 * Math.fround(Math.log(Math.fround(1 - values[n])))));
      const angle = Math.fround(Math.fround(2 * Math.PI) * values[n + 8]);
      values[n] = radius * Math.cos(angle);
      values[n + 8] = radius * Math.sin(angle);
    }
  }

  private one(): number {
    if (this.spare !== null) {
      const kept = this.spare;
      this.spare = null;
      return kept;
    }
    const first = this.double();
    const second = this.double();
    const radius = Math.sqrt(-2 * Math.log1p(-second));
    this.spare = radius * Math.sin(2 * Math.PI * first);
    return radius * Math.cos(2 * Math.PI * first);
  }
}
