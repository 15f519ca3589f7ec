// @ts-check
/**
 * One pattern: what it learned, how good it is, a form to ask it, another to train it again, its versions.
 *
 * @typedef {import("../api.js").Described} Described
 * @typedef {import("../api.js").Recipe} Recipe
 * @typedef {import("../api.js").Summary} Summary
 */
import { address, Refusal } from "../api.js";
import { element, find, findAll, fromTemplate, math, variable } from "../dom.js";
import { inWords } from "../format.js";
import { attempt, tell } from "../problem.js";
import { offerDrift } from "./drift.js";
import { offerExports } from "./export.js";
import { showFound } from "./found.js";
import { showGaps } from "./gaps.js";
import { offerOtherOutside, otherOutside } from "./outside.js";
import { showPlots } from "./plots.js";
import { PredictForm } from "./predict.js";
import { showRecipe } from "./recipe.js";
import { showScores } from "./scores.js";
import { offerShadow, showShadow } from "./shadow.js";
import { showTrials } from "./trials.js";
import { Versions } from "./versions.js";

/** @type {Record<string, boolean | string>} */
const PROMOTE = { always: true, "if-better": "if-better", never: false };

/** Made anew each time that a reader goes to a pattern: an answer that comes later finds nothing to be drawn into. */
export class PatternView {
  kind = "pattern";
  root = fromTemplate("pattern-view");
  heading = find(this.root, "#pattern-name");
  #problem = find(this.root, "#pattern-problem");
  #page;
  #predict;
  #versions;

  /**
   * @param {string} name
   * @param {import("../main.js").Page} page
   */
  constructor(name, page) {
    this.pattern = name;
    this.title = `${name} · Pattern Server`;
    this.#page = page;
    this.#predict = new PredictForm(this.root, page.server);
    this.#versions = new Versions(this.root, page.server, name, () => this.#changed());
    offerExports(this.root, page.server, name);
    offerDrift(this.root, page.server, name);
    offerShadow(this.root, page.server, name);
    const again = find(this.root, "#again", HTMLFormElement);
    again.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      return page.training.submit(this.#changes(), find(again, "#again-problem"), again);
    });
  }

  /** Also when the pattern has changed: what the reader has typed stays. */
  async show() {
    await attempt(this.#problem, async () => {
      const summary = await this.#described();
      this.#showHead(summary);
      showShadow(this.root, summary);
      const newest = await this.#versions.show(summary);
      if (newest) this.#hintRecipe(newest);
    });
  }

  async #changed() {
    await Promise.all([this.show(), this.#page.patterns.load()]);
  }

  /**
   * Draw what can be served of the pattern, and return what is known of it.
   * @returns {Promise<Summary>}
   */
  async #described() {
    const { server } = this.#page;
    try {
      const at = address(this.pattern);
      const [described, sample] = await Promise.all([server.ask(at), server.ask(`${at}/sample`)]);
      this.#showDescribed(described, sample.inputs[0] ?? {});
      return described;
    } catch (refusal) {
      return this.#unserved(refusal);
    }
  }

  /**
   * Where nothing of it can be served, it can still be trained, and its versions are still there.
   * @param {unknown} refusal
   */
  async #unserved(refusal) {
    const { patterns } = this.#page;
    await patterns.loading;
    const summary = patterns.known.find(({ name }) => name === this.pattern);
    if (!(refusal instanceof Refusal) || refusal.code === "unknown_pattern" || !summary) throw refusal;
    tell(this.#problem, refusal);
    this.#showParts(false);
    return summary;
  }

  /** @param {Summary} summary */
  #showHead({ name, champion }) {
    find(this.root, "#pattern").hidden = false;
    this.heading.textContent = name;
    find(this.root, "#pattern-version").textContent = champion ? `version ${champion}` : "no version served";
  }

  /**
   * What tells of a version is shown only where there is one that can be served.
   * @param {boolean} isDescribed
   */
  #showParts(isDescribed) {
    for (const part of findAll(this.root, "[data-described]")) part.hidden = !isDescribed;
  }

  /**
   * @param {Described} described
   * @param {Record<string, import("../api.js").Value>} sample
   */
  #showDescribed(described, sample) {
    this.#showParts(true);
    const { card, challengers = [], description, formulas } = described;
    find(this.root, "#formulas").replaceChildren(...Object.entries(formulas ?? {}).map(formula));
    find(this.root, "#description").textContent = description === inWords(formulas ?? {}) ? "" : description;
    find(this.root, "#verdict").textContent = card.baselines.verdict;
    find(this.root, "#promotion").hidden = !card.promotion;
    find(this.root, "#promotion").textContent = card.promotion?.why ?? "";
    find(this.root, "#challengers").hidden = challengers.length === 0;
    const decided = challengers.map(({ version, why }) => element("li", {}, `Version ${version}. ${why}`));
    find(this.root, "#challengers-list").replaceChildren(...decided);
    showFound(this.root, card);
    find(this.root, "#notes").replaceChildren(...card.notes.map((note) => element("li", {}, ...words(note))));
    this.#predict.show(described, sample);
    showScores(this.root, card);
    showRecipe(this.root, described);
    showPlots(this.root, described);
    showGaps(this.root, card);
    showTrials(this.root, described, this.#page);
  }

  /**
   * What a training would use where nothing is typed.
   * @param {Recipe} recipe
   */
  #hintRecipe(recipe) {
    this.#field("#again-epochs").placeholder = String(recipe.fit.epochs);
    this.#field("#again-rate").placeholder = String(recipe.fit.optimizer.learning_rate);
    this.#field("#again-seed").placeholder = String(recipe.seed);
    offerOtherOutside(this.#outside, recipe);
    const [byRecipe, ...choices] = this.#promote.options;
    const when = recipe.promotion?.when ?? "always";
    byRecipe.textContent = `${choices.find(({ value }) => value === when)?.textContent}, as its recipe says`;
  }

  #changes() {
    const [epochs, rate, seed] = ["#again-epochs", "#again-rate", "#again-seed"].map((id) => {
      const field = this.#field(id);
      return field.value === "" ? undefined : field.valueAsNumber;
    });
    const optimizer = rate === undefined ? undefined : { learning_rate: rate };
    const isFitted = epochs !== undefined || optimizer !== undefined;
    const promote = PROMOTE[this.#promote.value];
    const outside = otherOutside(this.#outside);
    return { pattern: this.pattern, seed, promote, outside, fit: isFitted ? { epochs, optimizer } : undefined };
  }

  get #outside() {
    return find(this.root, "#again-outside", HTMLSelectElement);
  }

  get #promote() {
    return find(this.root, "#again-promote", HTMLSelectElement);
  }

  /** @param {string} id */
  #field(id) {
    return find(this.root, id, HTMLInputElement);
  }
}

/**
 * What stands in backquotes is code.
 * @param {string} text
 */
const words = (text) => text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));

/** @param {[output: string, text: string]} pair */
const formula = ([output, text]) =>
  element("p", { class: "formula", title: `${output} = ${text}` }, variable(output), " = ", ...math(text));
