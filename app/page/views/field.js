// @ts-check
/**
 * One column of a question: an element to type its value into, and a word on what it was trained on.
 *
 * @typedef {import("../api.js").Column} Column
 * @typedef {import("../api.js").Value} Value
 * @typedef {import("../problem.js").Control} Control
 */
import { element } from "../dom.js";
import { range } from "../format.js";

const OTHER = "another value …";

export class Field {
  #id;
  #control;
  #changed;
  #hint;

  /**
   * @param {Column} column
   * @param {string} id
   * @param {string | Node} label
   * @param {string} typed   empty for missing
   * @param {() => unknown} changed
   */
  constructor(column, id, label, typed, changed) {
    this.column = column;
    this.#id = id;
    this.#changed = changed;
    this.#hint = element("small", { id: `${id}-hint` });
    this.#control = this.#listening(this.#made(typed));
    const look = column.kind === "text" ? "field wide" : "field";
    this.root = element("div", { class: look }, element("label", { for: id }, label), this.#control, this.#hint);
    this.#showHint();
  }

  /** What is typed. */
  get typed() {
    return this.#control.value;
  }

  /**
   * What is typed, as a JSON value.
   * @returns {Value}
   */
  get value() {
    const { kind } = this.column;
    if (kind === "text") return this.typed;
    if (this.typed === "") return null;
    if (kind === "number") return Number(this.typed);
    return kind === "boolean" ? this.typed === "true" : this.typed;
  }

  /**
   * @param {string} typed
   * @returns {Control}
   */
  #made(typed) {
    const { column } = this;
    const step = hasTimes(column) ? 1 : null;
    if (column.kind === "text") return element("textarea", { ...this.#attributes(), rows: 3 }, typed);
    if (column.kind === "boolean") return this.#choice(["true", "false"], typed, []);
    if (column.kind === "category") return isListed(column, typed) ? this.#categories(typed) : this.#free(typed);
    if (column.kind === "time") return this.#input("time", typed, { step: hasFractions(column) ? "0.001" : 1 });
    if (column.kind === "duration") return this.#free(typed);
    if (column.kind === "date") return this.#input(step ? "datetime-local" : "date", typed, { step });
    return this.#input("number", typed, { step: "any", inputmode: "text", placeholder: range(column) });
  }

  #attributes() {
    const { name, kind } = this.column;
    // An empty text is a text, and one value of a select is always chosen.
    const required = !mayBeMissing(this.column) && kind !== "text";
    return { id: this.#id, name, "aria-describedby": this.#hint.id, autocomplete: "off", required };
  }

  /**
   * @param {string} type
   * @param {string} value
   * @param {Record<string, string | number | null>} attributes
   */
  #input(type, value, attributes) {
    return element("input", { ...this.#attributes(), type, value, ...attributes });
  }

  /** @param {string} value */
  #free(value) {
    return this.#input("text", value, { autocapitalize: "none" });
  }

  /** @param {string} chosen */
  #categories(chosen) {
    // Known by its mark, not by its words: a value may read the same.
    return this.#choice((this.column.values ?? []).map(String), chosen, [
      element("option", { "data-other": true }, OTHER),
    ]);
  }

  /**
   * @param {string[]} values
   * @param {string} chosen
   * @param {HTMLOptionElement[]} more
   */
  #choice(values, chosen, more) {
    const missing = mayBeMissing(this.column) ? [element("option", { value: "" }, "missing")] : [];
    const options = values.map((value) => element("option", { value, selected: value === chosen }, value));
    return element("select", this.#attributes(), ...missing, ...options, ...more);
  }

  /**
   * @param {Control} control
   * @returns {Control}
   */
  #listening(control) {
    control.addEventListener("input", () => {
      if (control instanceof HTMLSelectElement && isOther(control)) this.#typeFreely();
      this.#showHint();
      this.#changed();
    });
    return control;
  }

  /** What training never saw can be asked as well: the answer says so. */
  #typeFreely() {
    const control = this.#listening(this.#free(""));
    this.#control.replaceWith(control);
    this.#control = control;
    control.focus();
  }

  #showHint() {
    const { words, isOutside } = this.#note();
    const missing = mayBeMissing(this.column) ? "may be missing" : "";
    this.#hint.textContent = [words, missing].filter(Boolean).join("; ");
    this.#hint.classList.toggle("warned", isOutside);
  }

  #note() {
    const { kind, values } = this.column;
    if (kind === "number" || kind === "date" || kind === "time") return this.#rangeNote();
    if (kind === "duration") return { words: `trained on ${range(this.column)}`, isOutside: false };
    if (kind === "category" && !isListed(this.column, this.typed)) {
      return { words: "not among the values that training saw most", isOutside: true };
    }
    const known = kind === "text" && values?.length ? `trained on words such as ${values.slice(0, 5).join(", ")}` : "";
    return { words: known, isOutside: false };
  }

  #rangeNote() {
    const { minimum, maximum } = this.column;
    const { value } = this;
    if (minimum === null || maximum === null) return { words: "", isOutside: false };
    // Numbers are compared as numbers, dates and times as their ISO texts.
    const compared = this.column.kind === "time" && value !== null && this.typed.length === 5 ? `${value}:00` : value;
    const isOutside = compared !== null && (compared < minimum || compared > maximum);
    return {
      words: `${isOutside ? "beyond what it was trained on: " : "trained on "}${range(this.column)}`,
      isOutside,
    };
  }
}

/**
 * A JSON value as it would have been typed.
 * @param {Column} column
 * @param {Value} value
 */
export function typedFor(column, value) {
  if (value === null) return "";
  if (column.kind === "number") return String(Number(Number(value).toPrecision(7)));
  const text = String(value);
  // An element for times takes milliseconds at most.
  if (column.kind === "time") return text.slice(0, "13:31:05.250".length);
  return column.kind === "date" && hasTimes(column) && !text.includes("T") ? `${text}T00:00:00` : text;
}

/** @param {Column} column */
const mayBeMissing = ({ missing, fill }) => missing > 0 || fill !== undefined;

/** @param {HTMLSelectElement} select */
const isOther = (select) => select.selectedOptions[0]?.dataset.other !== undefined;

/** @param {Column} column */
const hasFractions = ({ minimum, maximum }) => `${minimum} ${maximum}`.includes(".");

/** @param {Column} column */
const hasTimes = ({ minimum, maximum }) => `${minimum} ${maximum}`.includes("T");

/**
 * @param {Column} column
 * @param {string} typed
 */
const isListed = ({ values }, typed) => typed === "" || (values ?? []).map(String).includes(typed);
