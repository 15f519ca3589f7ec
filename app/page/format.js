// @ts-check
/**
 * Numbers, scores and formulas as people read them: pure functions, which know no document.
 *
 * @typedef {import("./api.js").Score} Score
 * @typedef {import("./api.js").NumberScore} NumberScore
 * @typedef {import("./api.js").LabelScore} LabelScore
 * @typedef {import("./api.js").TableHead} TableHead
 * @typedef {{ kind: "text" | "name" | "power", text: string }} MathPart
 */

// -- numbers ---------------------------------------------------------------------------------------------------------

/** @param {string} text */
export const minus = (text) => text.replaceAll("-", "−");

/**
 * @param {number} number
 * @param {number} [digits]
 */
export const short = (number, digits = 4) => minus(String(Number(number.toPrecision(digits))));

/** @param {{ minimum: number | string | null, maximum: number | string | null }} column */
export const range = ({ minimum, maximum }) => `${bound(minimum)} to ${bound(maximum)}`;

/** @param {number | string | null} value */
const bound = (value) => (typeof value === "number" ? short(value, 7) : value);

/**
 * With as many digits as it takes to tell it from 1: 0.999996 is never shown as 1.
 * @param {number | null | undefined} r2
 */
export function rSquared(r2) {
  if (r2 === null || r2 === undefined) return "–";
  if (r2 === 1) return "1";
  const digits = Math.max(3, Math.ceil(-Math.log10(Math.abs(1 - r2))) + 1);
  return minus(digits > 15 ? String(r2) : (Math.floor(r2 * 10 ** digits) / 10 ** digits).toFixed(digits));
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [several]
 */
export const counted = (number, one, several = `${one}s`) => `${number} ${number === 1 ? one : several}`;

/**
 * Never 100 % for what is not all of it.
 * @param {number} share
 */
export const percent = (share) => `${share < 1 ? Math.min(99.9, Math.round(share * 1000) / 10) : 100} %`;

/**
 * @param {string} metric
 * @param {number} value
 */
export const figure = (metric, value) => (metric === "accuracy" ? percent(value) : short(value, 3));

/**
 * Decimals that show an error of this size with three digits.
 * @param {number} error
 */
export const decimalsFor = (error) => (error > 0 ? Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(error)))) : 6);

/** @param {number} number */
export const decimalsOf = (number) => (String(Number(number.toPrecision(7))).split(".")[1] ?? "").length;

/** @param {number} bytes */
export const megabytes = (bytes) => (bytes < 1e5 ? `${short(bytes / 1e3, 3)} kB` : `${short(bytes / 1e6, 3)} MB`);

// -- scores ----------------------------------------------------------------------------------------------------------

/**
 * True if a score is one of labels, not of numbers.
 * @param {Score} score
 * @returns {score is LabelScore}
 */
export const areLabels = (score) => "accuracy" in score;

/** @param {Score} score */
export const scoreOf = (score) =>
  areLabels(score)
    ? `accuracy ${percent(score.accuracy)} · log loss ${short(score.log_loss, 3)}`
    : `RMSE ${short(score.rmse, 3)} · R² ${rSquared(score.r2)}`;

// -- words -----------------------------------------------------------------------------------------------------------

/**
 * A place in a recipe, such as `fit.epochs:`, stays as it is written there.
 * @param {string} text
 */
export function sentence(text) {
  const begun = /^\w+[.:]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`;
}

/** @param {string} iso */
export const when = (iso) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** @param {TableHead} stored */
export const tableName = ({ name, id }) => name || id;

/**
 * `Boats of 2024` as a pattern may be called.
 * @param {string} text
 */
export function patternName(text) {
  const plain = text
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  return (
    plain
      .replace(/^[-0-9]+/, "")
      .slice(0, 63)
      .replace(/-$/, "") || "my-table"
  );
}

// -- formulas --------------------------------------------------------------------------------------------------------

/**
 * The description of a pattern that was made on this page.
 * @param {Record<string, string>} outputs   name to formula
 */
export const inWords = (outputs) =>
  Object.entries(outputs)
    .map((pair) => pair.join(" = "))
    .join("; ")
    .slice(0, 500);

/**
 * `0.5*x1**2` as it stands in a book; operators and names only change their looks.
 * @param {string} formula
 * @returns {MathPart[]}
 */
export function mathParts(formula) {
  const powers = formula.split(/\s*\*\*\s*(\d+)(?![\d.])/);
  const parts = powers.flatMap((text, place) => (place % 2 ? [part("power", text)] : symbols(text)));
  return parts.filter(({ text }) => text !== "");
}

/** @param {string} text */
function symbols(text) {
  const powers = minus(text.replaceAll("**", "^").replaceAll(/\s*\*\s*/g, "·"));
  const looks = powers.replaceAll("<=", "≤").replaceAll(">=", "≥");
  return looks.split(/([A-Za-z_]\w*(?!\w|\s*\())/).map((piece, place) => part(place % 2 ? "name" : "text", piece));
}

/**
 * @param {MathPart["kind"]} kind
 * @param {string} text
 * @returns {MathPart}
 */
const part = (kind, text) => ({ kind, text });

/**
 * `x1` as a letter and its index.
 * @param {string} name
 * @returns {{ stem: string, index: string | null }}
 */
export function indexed(name) {
  const [, stem, index] = name.match(/^([A-Za-z]+)(\d+)$/) ?? [null, name, null];
  return { stem, index };
}
