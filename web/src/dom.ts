/** Elements in few words. */

type Child = Node | string | null;
type Properties = Record<string, string | number | boolean | ((event: Event) => void) | null | undefined>;

/** An element with properties (attributes, or listeners named on...) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") (element as HTMLInputElement).value = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null));
  return element;
}

const rest = new MessageChannel();
const resting: (() => void)[] = [];
rest.port1.onmessage = () => resting.shift()?.();

/** Let the page answer whoever presses something before it works on. A timer would wait for milliseconds. */
export function breathe(): Promise<void> {
  return new Promise((done) => {
    resting.push(done);
    rest.port2.postMessage(null);
  });
}

/** Hand a file to the person. */
export function save(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A few digits of a number. */
export function brief(value: number): string {
  return Number.isFinite(value) ? Number(value.toPrecision(3)).toString() : "not finite";
}

/** The number that somebody put into a field; null where it is none, or empty. */
export function numberIn(event: Event): number | null {
  const { value } = event.target as HTMLInputElement;
  return value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : null;
}
