// @ts-check
/**
 * The form that says how a table is learned: its target, and what its columns are taken for.
 *
 * @typedef {import("../api.js").Table} Table
 * @typedef {import("../api.js").TableColumn} TableColumn
 * @typedef {import("../api.js").TableSummary} TableSummary
 * @typedef {import("../problem.js").Control} Control
 */
import { element, find, findAll } from "../dom.js";
import { counted, patternName, tableName } from "../format.js";
import { mark, placesIn, tell, unmark } from "../problem.js";
import { columnsOf, showTarget } from "./columns.js";
import { hintName } from "./new-formula.js";
import { offerOutside } from "./outside.js";

export class LearnForm {
  #form;
  #page;
  #name;
  #target;
  #task;
  #group;
  #time;
  #test;
  #problem;
  /** @type {Table | null} */
  #table = null;

  /**
   * @param {HTMLFormElement} form
   * @param {import("../main.js").Page} page
   */
  constructor(form, page) {
    this.#form = form;
    this.#page = page;
    this.#name = find(form, "#learn-name", HTMLInputElement);
    this.#target = find(form, "#learn-target", HTMLSelectElement);
    this.#task = find(form, "#learn-task", HTMLSelectElement);
    this.#group = find(form, "#learn-group", HTMLSelectElement);
    this.#time = find(form, "#learn-time", HTMLSelectElement);
    this.#test = find(form, "#learn-test", HTMLSelectElement);
    this.#problem = find(form, "#learn-problem");
    hintName(this.#name, find(form, "#learn-name-hint"), page.patterns);
    offerOutside(find(form, "#learn-outside", HTMLSelectElement));
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      return this.#learn();
    });
    form.addEventListener("input", () => this.#settle());
    form.addEventListener("change", () => {
      this.#hintTarget();
      this.#splitOneWay();
    });
  }

  /** @param {import("../api.js").TableHead} stored */
  isOn({ id }) {
    return this.#table?.id === id;
  }

  /**
   * Show the columns of a table; what was said of the same table stays.
   * @param {Table} stored
   * @param {string} name
   */
  show(stored, name) {
    if (!this.isOn(stored)) this.#begin(stored, name);
    this.#form.hidden = false;
  }

  /**
   * Offer the other tables of this server as test rows; one that was chosen stays, if it is still there.
   * @param {TableSummary[]} tables
   */
  offer(tables) {
    const chosen = this.#test.value;
    const others = tables.filter((other) => !this.isOn(other));
    const options = others.map((other) =>
      element("option", { value: other.id }, `${tableName(other)}, ${counted(other.rows, "row")}`),
    );
    this.#test.replaceChildren(element("option", { value: "" }, "a share of its rows"), ...options);
    if (others.some(({ id }) => id === chosen)) this.#test.value = chosen;
  }

  /** Bring the reader here. */
  lead() {
    find(this.#form, "#columns-title").focus({ preventScroll: true });
    this.#form.scrollIntoView({ block: "start" });
  }

  /** @param {import("../api.js").TableHead} stored */
  forget(stored) {
    if (!this.isOn(stored)) return;
    this.#table = null;
    this.#form.hidden = true;
  }

  /**
   * @param {Table} stored
   * @param {string} name
   */
  #begin(stored, name) {
    this.#table = stored;
    this.#form.reset();
    this.#name.value = patternName(name);
    this.#name.dispatchEvent(new Event("input"));
    find(this.#form, "#columns").replaceChildren(columnsOf(stored.columns));
    const names = stored.columns.map(({ name: column }) => column);
    offerColumns(this.#target, "choose …", names);
    offerColumns(find(this.#form, "#learn-weight", HTMLSelectElement), "all alike", names);
    offerColumns(this.#group, "no groups", names);
    offerColumns(this.#time, "no order", names);
    find(this.#form, "#columns-words").textContent = wordsOn(stored, name);
    tell(this.#problem, null);
    unmark(this.#form, this.#problem);
    this.#hintTarget();
    this.#splitOneWay();
  }

  /** Rows are split by groups or by their order. */
  #splitOneWay() {
    this.#group.disabled = this.#time.value !== "";
    this.#time.disabled = this.#group.value !== "";
  }

  /** @param {string} name */
  #column(name) {
    return this.#table?.columns.find((column) => column.name === name);
  }

  #kindFields() {
    return findAll(this.#form, "[data-column]", HTMLSelectElement);
  }

  /** The kinds that were said, by column. */
  #kinds() {
    const chosen = this.#kindFields().filter(({ value }) => value);
    return Object.fromEntries(chosen.map((field) => [field.dataset.column ?? "", field.value]));
  }

  #missingWords() {
    const words = find(this.#form, "#learn-missing", HTMLInputElement).value.split(",");
    return words.map((word) => word.trim()).filter(Boolean);
  }

  /** The formats of dates that were said, by column. */
  #dateFormats() {
    const said = find(this.#form, "#learn-formats", HTMLInputElement).value.split(";");
    const pairs = said.filter((pair) => pair.trim()).map((pair) => pair.split(/=(.*)/s));
    return Object.fromEntries(pairs.map(([name, format]) => [name.trim(), (format ?? "").trim()]));
  }

  /** A doubt is settled by a kind, or by what cells mean: then the server reads the table again. */
  #settle() {
    const isSaid = this.#missingWords().length > 0 || this.#select("#learn-dates") !== undefined;
    const formats = this.#dateFormats();
    for (const field of this.#kindFields()) {
      field.required =
        Boolean(this.#column(field.dataset.column ?? "")?.doubt) &&
        !isSaid &&
        !((field.dataset.column ?? "") in formats);
    }
  }

  /** Say what kind of answer is learned, as the server will decide. */
  #hintTarget() {
    const column = this.#column(this.#target.value);
    const words = column
      ? answersOf(column, this.#task.value, this.#kinds()[column.name])
      : "the column to be answered";
    find(this.#form, "#learn-target-hint").textContent = words;
    showTarget(find(this.#form, "#columns"), this.#table?.columns ?? [], this.#target.value);
  }

  async #learn() {
    if (this.#table === null) return;
    unmark(this.#form, this.#problem);
    await this.#page.training.submit({ spec: this.#spec(this.#table) }, this.#problem, this.#form);
    mark(this.#form, this.#problem, [...placesIn(this.#form), ...this.#columnPlaces()]);
  }

  /**
   * A message on a column begins with its name; one on kinds in general is about the target's.
   * @returns {[Control, string][]}
   */
  #columnPlaces() {
    return this.#kindFields().flatMap((field) => {
      const name = field.dataset.column ?? "";
      const places = name === this.#target.value ? [name, "data.columns"] : [name];
      return places.map((place) => /** @type {[Control, string]} */ ([field, place]));
    });
  }

  /** @param {Table} stored */
  #spec({ id }) {
    const folds = find(this.#form, "#learn-folds", HTMLInputElement);
    return {
      name: this.#name.value,
      data: {
        kind: "table",
        dataset: id,
        target: this.#target.value,
        columns: this.#kinds(),
        task: this.#select("#learn-task"),
        dates: this.#select("#learn-dates"),
        date_format: this.#dateFormats(),
        missing: this.#missingWords(),
        weight: this.#select("#learn-weight"),
        test: this.#select("#learn-test"),
      },
      split: { group: this.#select("#learn-group"), time: this.#select("#learn-time") },
      outside: this.#select("#learn-outside"),
      cross_validate: folds.value ? { folds: folds.valueAsNumber } : undefined,
    };
  }

  /** @param {string} id */
  #select(id) {
    return find(this.#form, id, HTMLSelectElement).value || undefined;
  }
}

/**
 * @param {HTMLSelectElement} field
 * @param {string} none      what it says where no column is chosen
 * @param {string[]} names
 */
function offerColumns(field, none, names) {
  const options = names.map((name) => element("option", { value: name }, name));
  field.replaceChildren(element("option", { value: "" }, none), ...options);
}

/**
 * @param {TableColumn} column
 * @param {string} task      empty where nothing is said
 * @param {string} [said]    its kind, if that is said
 */
function answersOf({ kind, labels, distinct, doubt }, task, said) {
  const isOpen = (doubt && !said) || (said && said !== kind);
  if (!task && isOpen) return "numbers or labels, as the column then shows";
  const isLabels = task ? task === "classification" : labels;
  return isLabels ? `labels: one of ${distinct} different values is answered` : "numbers are answered";
}

/**
 * @param {Table} stored
 * @param {string} name
 */
function wordsOn({ rows, columns }, name) {
  const doubtful = columns.filter(({ doubt }) => doubt).length;
  const [which, they] = doubtful === 1 ? ["one column", "it is"] : [`${doubtful} columns`, "they are"];
  const asked = [
    `Of ${which} it is not clear what ${they}: say it below,`,
    "or under Cells and training what their cells mean.",
  ];
  return [
    `${name}: ${counted(rows, "row")}, ${counted(columns.length, "column")}.`,
    "Each is taken for what its cells show, unless you say otherwise.",
    ...(doubtful ? asked : []),
  ].join(" ");
}
