// @ts-check
/**
 * A new pattern, learned from a table: upload one or choose one, then say what is to be predicted.
 *
 * @typedef {import("../api.js").Table} Table
 * @typedef {import("../api.js").TableSummary} TableSummary
 * @typedef {import("../api.js").TableHead} TableHead
 */
import { Refusal } from "../api.js";
import { button, cell, element, find, findAll, fromTemplate, table } from "../dom.js";
import { counted, megabytes, tableName, when } from "../format.js";
import { attempt, tell } from "../problem.js";
import { LearnForm } from "./learn.js";

/** @type {Record<string, string>} */
const MEDIA_TYPES = {
  parquet: "application/vnd.apache.parquet",
  arrow: "application/vnd.apache.arrow.stream",
  feather: "application/vnd.apache.arrow.stream",
  jsonl: "application/x-ndjson",
  ndjson: "application/x-ndjson",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xlsm: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  arff: "text/x-arff",
  sav: "application/x-spss-sav",
  zsav: "application/x-spss-sav",
  dta: "application/x-stata-dta",
};
/** The endings of a table that is compressed: what it is stands before them. */
const COMPRESSED = /\.(gz|zst)$/i;
const LONGEST_NAME = 100;

export class NewTable {
  kind = "new";
  pattern = "";
  title = "New pattern · Pattern Server";
  root = fromTemplate("table-view");
  heading = find(this.root, "h2");
  #server;
  #learn;
  #form = find(this.root, "#upload", HTMLFormElement);
  #file = find(this.root, "#upload-file", HTMLInputElement);
  #state = find(this.root, "#upload-state");
  #uploadProblem = find(this.root, "#upload-problem");
  #tablesProblem = find(this.root, "#uploaded-problem");

  /** @param {import("../main.js").Page} page */
  constructor(page) {
    this.#server = page.server;
    this.#learn = new LearnForm(find(this.root, "#learn", HTMLFormElement), page);
    this.#file.addEventListener("change", () => tell(this.#uploadProblem, null));
    this.#form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      return this.#upload();
    });
  }

  async show() {
    await attempt(this.#tablesProblem, async () => {
      /** @type {{ datasets: TableSummary[] }} */
      const { datasets } = await this.#server.ask("/datasets");
      this.#learn.offer(datasets);
      const rows = datasets.map((stored) => ({
        mark: this.#learn.isOn(stored) ? "strong" : null,
        cells: [
          cell(tableName(stored)),
          this.#actionsOn(stored),
          String(stored.rows),
          String(stored.n_columns),
          when(stored.created),
        ],
      }));
      const heads = ["name", "actions", "rows", "columns", "uploaded"];
      find(this.root, "#uploaded").hidden = rows.length === 0;
      find(this.root, "#uploaded-list").replaceChildren(table("Tables on this server", heads, rows));
    });
  }

  /** @param {TableSummary} stored */
  #actionsOn(stored) {
    const name = tableName(stored);
    return element(
      "span",
      { class: "actions" },
      button("Choose", () => this.#choose(stored), { "aria-label": `Choose ${name}` }),
      button("Delete", () => this.#delete(stored), { "aria-label": `Delete ${name}` }),
    );
  }

  /** @param {TableSummary} stored */
  async #choose(stored) {
    await attempt(this.#tablesProblem, async () => this.#showTable(await this.#server.ask(tableAddress(stored))));
  }

  /** @param {Table} stored */
  async #showTable(stored) {
    this.#learn.show(stored, tableName(stored));
    await this.show();
    this.#learn.lead();
  }

  /** @param {TableSummary} stored */
  async #delete(stored) {
    const name = tableName(stored);
    const losses = "Patterns that learned from it stay; training them again needs it again.";
    if (!confirm(`Delete the table ${name}? ${losses}`)) return;
    await attempt(this.#tablesProblem, async () => {
      await this.#server.ask(tableAddress(stored), { method: "DELETE" });
      this.#learn.forget(stored);
      this.#state.textContent = `${name} is deleted.`;
      await this.show();
      this.#file.focus();
    });
  }

  async #upload() {
    const [file] = this.#file.files ?? [];
    const pressed = find(this.#form, ".primary", HTMLButtonElement);
    const progress = find(this.#form, "#uploading");
    pressed.disabled = true;
    progress.hidden = false;
    this.#state.textContent = `Uploading ${file.name}, ${megabytes(file.size)}; then its columns are read …`;
    const stored = await attempt(this.#uploadProblem, () => this.#sent(file));
    pressed.disabled = false;
    progress.hidden = true;
    this.#state.textContent = stored ? uploadedWords(stored, file) : "";
    if (stored) await this.#showTable(stored);
  }

  /**
   * @param {File} file
   * @returns {Promise<Table>}
   */
  async #sent(file) {
    await checkReadable(file);
    const ending = file.name.replace(COMPRESSED, "").split(".").pop()?.toLowerCase() ?? "";
    const type = MEDIA_TYPES[ending] ?? "text/csv";
    const query = new URLSearchParams({ name: nameOf(file) });
    const sheet = find(this.#form, "#upload-sheet", HTMLInputElement).value.trim();
    const isWorkbook = type === MEDIA_TYPES.xlsx || type === MEDIA_TYPES.ods;
    if (isWorkbook && sheet) query.set("sheet", sheet);
    // How a CSV file is written means nothing elsewhere.
    const dialect = type === "text/csv" ? findAll(this.#form, "[data-query]", HTMLSelectElement) : [];
    for (const field of dialect) if (field.value) query.set(field.dataset.query ?? "", field.value);
    return this.#server.ask(`/datasets?${query}`, { method: "POST", body: file, type });
  }
}

/**
 * Else what is wrong with the file would look like a server that is away.
 * @param {File} file
 */
async function checkReadable(file) {
  await file
    .slice(0, 1)
    .arrayBuffer()
    .catch(() => {
      throw new Refusal("unreadable", "the file cannot be read any more, or has changed; choose it again");
    });
}

/**
 * The same content is there once, under its first name.
 * @param {Table} stored
 * @param {File} file
 */
function uploadedWords(stored, file) {
  const size = `${counted(stored.rows, "row")}, ${counted(stored.columns.length, "column")}`;
  const isNew = stored.name === nameOf(file);
  const here = isNew ? `${stored.name} is here` : `The same table is here already, as ${tableName(stored)}`;
  return [`${here}: ${size}`, ...stored.remarks].join("; ") + ".";
}

/** @param {TableHead} stored */
const tableAddress = ({ id }) => `/datasets/${encodeURIComponent(id)}`;

/** @param {File} file */
const nameOf = (file) =>
  file.name
    .replace(COMPRESSED, "")
    .replace(/(?<=.)\.[^.]*$/s, "")
    .slice(0, LONGEST_NAME);
