// @ts-check
/**
 * The columns of a table, each with what it is taken for.
 *
 * @typedef {import("../api.js").TableColumn} TableColumn
 */
import { cell, element, find, findAll, table } from "../dom.js";
import { sentence } from "../format.js";

const KINDS = ["number", "category", "boolean", "date", "time", "duration", "text"];

/** @param {TableColumn[]} columns */
export function columnsOf(columns) {
  const rows = columns.map((column, place) => ({
    mark: column.doubt ? "doubtful" : column.dropped ? "faint" : null,
    cells: [
      cell(column.name),
      kindOf(column, place),
      column.missing ? String(column.missing) : "–",
      examplesOf(column),
    ],
  }));
  const made = table("Columns and what they are taken for", ["column", "taken for", "missing", "examples"], rows);
  findAll(made, "tbody tr").forEach((row, place) => remark(row, columns[place], place));
  keepRoles(made);
  return made;
}

/**
 * On narrow screens rows are laid out as blocks, and would no longer be rows to everybody.
 * @param {HTMLTableElement} made
 */
function keepRoles(made) {
  const roles = {
    rowgroup: "thead, tbody",
    row: "tr",
    columnheader: "thead th",
    rowheader: "tbody th",
    cell: "td",
  };
  made.setAttribute("role", "table");
  for (const [role, parts] of Object.entries(roles)) {
    for (const part of findAll(made, parts)) part.setAttribute("role", role);
  }
}

/**
 * @param {TableColumn} column
 * @param {number} place
 */
function kindOf({ name, kind, dropped, doubt, note }, place) {
  const inferred = doubt ? "choose …" : dropped ? "left out" : `${kind}, as found`;
  return element(
    "select",
    {
      "aria-label": `${name} is taken for`,
      "data-column": name,
      "aria-describedby": dropped || doubt || note ? `remark-${place}` : null,
      required: Boolean(doubt),
    },
    element("option", { value: "" }, inferred),
    ...KINDS.map((other) => element("option", { value: other }, other)),
    element("option", { value: "drop" }, "leave out"),
  );
}

/** @param {string} reason */
const leftOut = (reason) => `Left out: ${reason}.`;

/**
 * A target is never left out: take back what is said of that on the column that is chosen as one.
 * @param {HTMLElement} made
 * @param {TableColumn[]} columns
 * @param {string} target
 */
export function showTarget(made, columns, target) {
  const rows = findAll(made, "tbody tr:not(.remark)");
  columns.forEach(({ name, kind, dropped, doubt }, place) => {
    if (!dropped || doubt) return;
    const isTarget = name === target;
    const said = find(made, `#remark-${place}`);
    said.textContent = isTarget ? "" : leftOut(dropped);
    said.parentElement?.toggleAttribute("hidden", isTarget);
    find(rows[place], "option").textContent = isTarget ? `${kind}, as found` : "left out";
    rows[place].classList.toggle("remarked", !isTarget);
    rows[place].classList.toggle("faint", !isTarget);
  });
}

/** @param {TableColumn} column */
const examplesOf = ({ examples }) =>
  element(
    "span",
    {},
    ...examples.flatMap((value, place) => [
      place ? " · " : "",
      typeof value === "string" ? cell(value) : String(value),
    ]),
  );

/**
 * Why a column is left out, or asked about, or what to know about it, in a cell of its own below the others.
 * @param {HTMLElement} row
 * @param {TableColumn} column
 * @param {number} place
 */
function remark(row, { dropped, doubt, note }, place) {
  if (!dropped && !doubt && !note) return;
  row.classList.add("remarked");
  const words = doubt ? sentence(doubt) : dropped ? leftOut(dropped) : sentence(note ?? "");
  const look = doubt ? "remark doubtful" : "remark faint";
  row.after(element("tr", { class: look }, element("td", { colspan: 4, id: `remark-${place}` }, words)));
}
