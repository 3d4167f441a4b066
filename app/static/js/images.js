/* What images are asked for: model, quality, size and how many. Each has its price, so that it is known beforehand. */

import { json } from "./api.js";
import { creditsText } from "./money.js";

const unique = (names) => [...new Set(names)];

export class ImageOptions {
  /* `root` holds the four fields, by data-image; `changed()` after each choice. */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.models = null;
    for (const name of ["model", "quality", "size", "n"]) this[name] = root.querySelector(`[data-image=${name}]`);
    this.model.addEventListener("change", () => this.fillQualities());
    this.quality.addEventListener("change", () => this.fillSizes());
    for (const field of [this.size, this.n]) field.addEventListener("change", changed);
  }

  /* The models that make images; read once. */
  async load() {
    if (this.models) return;
    this.models = (await json("GET", "/api/image-models?limit=200")).items;
    fill(this.model, this.models.map(({ id, name }) => [id, name]));
    this.fillQualities();
  }

  get prices() { return this.models?.find(({ id }) => id === this.model.value)?.prices ?? []; }
  get ofQuality() { return this.prices.filter(({ quality }) => quality === this.quality.value); }

  fillQualities() {
    const names = unique(this.prices.map(({ quality }) => quality));
    fill(this.quality, names.map((name) => [name, name]), names.includes("medium") ? "medium" : names[0]);
    this.fillSizes();
  }

  fillSizes() {
    fill(this.size, this.ofQuality.map(({ size }) => [size, size]));
    this.changed();
  }

  get asked() {
    return { model: this.model.value, quality: this.quality.value, size: this.size.value, n: Number(this.n.value) };
  }

  get title() { return this.model.selectedOptions[0]?.textContent ?? ""; }

  /* What they cost, all together; null where nothing is on offer. */
  get nanos() {
    const price = this.ofQuality.find(({ size }) => size === this.size.value);
    return price ? price.price_nanos * Number(this.n.value) : null;
  }

  get priceText() {
    if (this.models && this.nanos === null) return "No models that make images are available right now.";
    return this.nanos === null ? "" : `${creditsText(this.nanos)}, and only for what is delivered`;
  }
}

function fill(select, options, chosen = select.value) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}
