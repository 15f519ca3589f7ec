// @ts-check
/**
 * What the champion was asked, beside its training rows, when a reader wants to know: a row for each column, those that
 * moved most first, with a small histogram of both.
 *
 * @typedef {import("../api.js").DriftColumn} DriftColumn
 * @typedef {import("../api.js").Drift} Drift
 */
import { address } from "../api.js";
import { button, find, table } from "../dom.js";
import { counted, short } from "../format.js";
import { attempt } from "../problem.js";

const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, string>} */
const SPANS = { hour: "last hour", day: "last day" };
// Of a histogram, in its own units.
const BAR = 6;
const HEIGHT = 24;

/**
 * @param {HTMLElement} root
 * @param {import("../api.js").Server} server
 * @param {string} pattern
 */
export function offerDrift(root, server, pattern) {
  const problem = find(root, "#drift-problem");
  const looked = Object.entries(SPANS).map(([since, words]) =>
    button(`Look at the ${words}`, () =>
      attempt(problem, async () => draw(root, await server.ask(`${address(pattern)}/drift?since=${since}`), words)),
    ),
  );
  find(root, "#drift-spans").replaceChildren(...looked);
}

/**
 * @param {HTMLElement} root
 * @param {Drift} drift
 * @param {string} span
 */
function draw(root, { asked, rows, rows_needed: needed, columns, outputs, outcomes }, span) {
  const fewer = rows === asked ? "" : ` ${rows} of them counted.`;
  const few = rows < needed ? ` A verdict takes ${needed}.` : "";
  const known = outcomes ? ` ${inWords(outcomes)}` : "";
  find(root, "#drift-words").textContent = `Rows asked in the ${span}: ${asked}.${fewer}${few}${known}`;
  const heads = ["column", "moved", "PSI", "missing", "unseen", "outside", "training rows, and asked"];
  const all = [...columns, ...outputs.map((output) => ({ ...output, name: `answer: ${output.name}` }))];
  const made = rows ? [table("Columns, those that moved most first", heads, all.map(line))] : [];
  find(root, "#drift").replaceChildren(...made);
}

/** @param {DriftColumn} column */
function line({ name, psi, missing, unseen, outside, drifted, histogram }) {
  const verdict = drifted === null ? "–" : drifted ? "drift" : "no";
  const shares = [missing, unseen, outside].map((share) => (share ? `${short(100 * share, 3)} %` : "–"));
  return {
    mark: drifted ? "doubtful" : null,
    cells: [name, verdict, psi === null ? "–" : short(psi, 3), ...shares, picture(name, histogram)],
  };
}

/**
 * Two bars for each bucket: the share of the training rows, and that of what was asked.
 * @param {string} name
 * @param {DriftColumn["histogram"]} histogram
 */
function picture(name, { buckets, training, asked }) {
  const largest = Math.max(...training, ...asked) || 1;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "histogram");
  svg.setAttribute("viewBox", `0 0 ${buckets.length * 2.5 * BAR} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${name}: training rows, and what was asked`);
  buckets.forEach((bucket, place) => {
    const said = `${bucket}: ${percent(training[place])} of training rows, ${percent(asked[place])} asked`;
    svg.append(bar(training[place] / largest, place * 2.5, "of-training", said));
    svg.append(bar(asked[place] / largest, place * 2.5 + 1, "of-asked", said));
  });
  return svg;
}

/**
 * @param {number} share
 * @param {number} place
 * @param {string} look
 * @param {string} said
 */
function bar(share, place, look, said) {
  const made = document.createElementNS(SVG, "rect");
  const height = share * HEIGHT;
  for (const [name, value] of Object.entries({ x: place * BAR, y: HEIGHT - height, width: BAR, height })) {
    made.setAttribute(name, String(value));
  }
  made.setAttribute("class", look);
  const title = document.createElementNS(SVG, "title");
  title.textContent = said;
  made.append(title);
  return made;
}

/** @param {number} share */
const percent = (share) => `${short(100 * share, 3)} %`;

/** @param {import("../api.js").RunningError} error */
function inWords({ rows, metric, value, card, worse }) {
  const verdict = worse === null ? "" : worse ? ", which is worse" : ", which is no worse";
  return `Of ${counted(rows, "row")} the right answers are known: ${metric} ${short(value ?? 0, 3)}, the card's ${short(card, 3)}${verdict}.`;
}
