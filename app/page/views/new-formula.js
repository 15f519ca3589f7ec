// @ts-check
/**
 * A new pattern, made from formulas.
 *
 * @typedef {import("../problem.js").Control} Control
 * @typedef {Record<string, HTMLInputElement | HTMLSelectElement>} Line   the controls of a column, by their part
 */
import { Refusal } from "../api.js";
import { find, findAll, fromTemplate } from "../dom.js";
import { inWords } from "../format.js";
import { mark, markAsInvalid, placesIn, tell, unmark } from "../problem.js";
import { offerOutside } from "./outside.js";

export class NewFormula {
  kind = "new";
  pattern = "";
  title = "New pattern · Pattern Server";
  root = fromTemplate("formula-view");
  heading = find(this.root, "h2");
  #page;
  #form = find(this.root, "#create", HTMLFormElement);
  #name = find(this.root, "#new-name", HTMLInputElement);
  #problem = find(this.root, "#create-problem");
  #inputs = new Lines(find(this.root, "#new-inputs"), "input-row");
  #outputs = new Lines(find(this.root, "#new-outputs"), "output-row");

  /** @param {import("../main.js").Page} page */
  constructor(page) {
    this.#page = page;
    this.#inputs.add({ name: "x", distribution: "uniform", low: "-3", high: "3" });
    this.#outputs.add({ name: "y", formula: "x**2 + sin(3*x)" });
    find(this.root, "#add-input").addEventListener("click", () => {
      this.#inputs
        .add({ name: this.#inputs.freeName("x"), distribution: "uniform", low: "0", high: "10" })
        .name.focus();
    });
    find(this.root, "#add-output").addEventListener("click", () => {
      this.#outputs.add({ name: this.#outputs.freeName("y"), formula: "" }).name.focus();
    });
    this.#form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      return this.#create();
    });
    hintName(this.#name, find(this.root, "#new-name-hint"), page.patterns);
    offerOutside(find(this.root, "#new-outside", HTMLSelectElement));
  }

  async show() {}

  async #create() {
    unmark(this.#form, this.#problem);
    const twice = this.#usedTwice();
    if (twice) {
      tell(this.#problem, new Refusal("same_name", `two columns are called ${twice.value}`));
      markAsInvalid([twice], this.#problem);
      twice.focus();
      return;
    }
    await this.#page.training.submit({ spec: this.#spec() }, this.#problem, this.#form);
    mark(this.#form, this.#problem, this.#places());
  }

  /** The first name that another column has already. */
  #usedTwice() {
    const names = [...this.#inputs.all, ...this.#outputs.all].map(({ name }) => name);
    return names.find((field, place) => names.findIndex(({ value }) => value === field.value) < place);
  }

  /** @returns {[Control, string][]} */
  #places() {
    return [
      ...placesIn(this.#form),
      ...this.#inputs.all.flatMap((line) =>
        [line.low, line.high].map((field) => placed(field, `inputs.${line.name.value}`)),
      ),
      ...this.#outputs.all.map(({ name, formula }) => placed(formula, `outputs.${name.value}`)),
    ];
  }

  #spec() {
    const outputs = Object.fromEntries(this.#outputs.all.map(({ name, formula }) => [name.value, formula.value]));
    const activation = find(this.root, "#new-activation", HTMLSelectElement).value;
    const units = find(this.root, "#new-layers", HTMLInputElement).value.split(",").map(Number).filter(Boolean);
    return {
      name: this.#name.value,
      description: inWords(outputs),
      data: {
        kind: "formula",
        inputs: Object.fromEntries(this.#inputs.all.map((line) => [line.name.value, distributionOf(line)])),
        outputs,
        rows: this.#number("#new-rows"),
        unique: find(this.root, "#new-unique", HTMLInputElement).checked,
      },
      network: { layers: units.map((count) => ({ units: count, activation })) },
      fit: {
        epochs: this.#number("#new-epochs"),
        optimizer: { name: "adam", learning_rate: this.#number("#new-rate") },
      },
      outside: find(this.root, "#new-outside", HTMLSelectElement).value || undefined,
    };
  }

  /** @param {string} id */
  #number(id) {
    return find(this.root, id, HTMLInputElement).valueAsNumber;
  }
}

/** The columns of one side, each a line of controls; at least one. */
class Lines {
  #list;
  #template;

  /**
   * @param {HTMLElement} list
   * @param {string} template
   */
  constructor(list, template) {
    this.#list = list;
    this.#template = template;
  }

  /** @returns {Line[]} */
  get all() {
    return /** @type {HTMLElement[]} */ ([...this.#list.children]).map(partsOf);
  }

  /**
   * @param {Record<string, string>} values
   * @returns {Line}
   */
  add(values) {
    const line = fromTemplate(this.#template);
    const parts = partsOf(line);
    for (const [part, control] of Object.entries(parts)) control.value = values[part];
    find(line, ".remove").addEventListener("click", () => {
      line.remove();
      this.#keepOne();
    });
    this.#list.append(line);
    this.#keepOne();
    return parts;
  }

  /** @param {string} stem */
  freeName(stem) {
    const taken = new Set(this.all.map(({ name }) => name.value));
    let number = 1;
    while (taken.has(`${stem}${number}`)) number += 1;
    return `${stem}${number}`;
  }

  #keepOne() {
    const removers = findAll(this.#list, ".remove", HTMLButtonElement);
    for (const remover of removers) remover.disabled = removers.length === 1;
  }
}

/**
 * @param {HTMLElement} line
 * @returns {Line}
 */
const partsOf = (line) =>
  Object.fromEntries(findAll(line, "[data-part]", HTMLInputElement).map((part) => [part.dataset.part ?? "", part]));

/**
 * @param {Control} field
 * @param {string} place
 * @returns {[Control, string]}
 */
const placed = (field, place) => [field, place];

/** @param {Line} line */
const distributionOf = ({ distribution, low, high }) => ({
  distribution: distribution.value,
  low: Number(low.value),
  high: Number(high.value),
});

/**
 * Say below a name what it would do, now and whenever it or the list of patterns changes.
 * @param {HTMLInputElement} field
 * @param {HTMLElement} hint
 * @param {import("./patterns.js").PatternList} patterns
 */
export function hintName(field, hint, patterns) {
  const say = () => {
    hint.textContent = patterns.has(field.value)
      ? "exists already: this adds a version to it, by this recipe"
      : "lower-case letters, digits and dashes; becomes part of the address";
  };
  field.addEventListener("input", say);
  patterns.addEventListener("change", say);
  say();
}
