// @ts-check
/**
 * Requests to the server that this page comes from, the key that they carry, and the shapes of the answers.
 *
 * @typedef {"number" | "category" | "boolean" | "date" | "time" | "duration" | "text"} Kind
 * @typedef {string | number | boolean | null} Value             a cell of a table
 * @typedef {{ rmse: number, mae: number, r2: number | null, max_error: number }} NumberScore
 * @typedef {{ accuracy: number, balanced_accuracy: number, f1: number, roc_auc: number | null, log_loss: number,
 *   precision: number[], recall: number[] }} LabelScore
 * @typedef {NumberScore | LabelScore} Score
 * @typedef {{ rows: number, overall: Score, outputs: Record<string, Score> }} Measured
 * @typedef {{ name: string, kind: Kind, minimum: number | string | null, maximum: number | string | null,
 *   values: Value[] | null, missing: number, fill?: Value,
 *   if_missing?: number }} Column                                 minimum and maximum: of the training rows
 * @typedef {{ inputs: Value[], predicted: Value[], label: Value[], gap: number[] }} Gap
 * @typedef {{ metric: string, mean: Record<string, number>, sd: Record<string, number>, folds: unknown[],
 *   epochs: number }} CrossValidation
 * @typedef {{ number: number, state: "complete" | "pruned" | "failed", value: number | null,
 *   point: Record<string, unknown>, epochs: number, seconds: number }} Trial
 * @typedef {{ method: string, metric: string, folds: number | null, best: number, trials: Trial[],
 *   importance?: Record<string, number> }} Searched
 * @typedef {{ name: string, kind: string, psi: number | null, js: number | null, missing: number | null,
 *   unseen: number | null, outside: number | null, threshold: number | null, drifted: boolean | null,
 *   histogram: { buckets: string[], training: number[], asked: number[] } }} DriftColumn    shares of rows
 * @typedef {{ rows: number, metric: string, value: number | null, card: number,
 *   worse: boolean | null }} RunningError                        worse: null where there are too few rows
 * @typedef {{ asked: number, rows: number, rows_needed: number, columns: DriftColumn[], outputs: DriftColumn[],
 *   outcomes: RunningError | null }} Drift
 * @typedef {{ questions: number, copied: number, dropped: number, failed: number, rows: number,
 *   outputs: Record<string, { rmse?: number, mae?: number, bias?: number, agreement?: number, distance?: number,
 *     card: number }> }} Shadowed                                 beside the champion's answers
 * @typedef {object} Card
 * @property {"regression" | "classification"} task
 * @property {Column[]} inputs
 * @property {Column[]} outputs
 * @property {Measured} train
 * @property {Measured | null} validation
 * @property {Measured} test
 * @property {Measured} [out_of_fold]                             each row by the member that left it out
 * @property {{ metric: string, figures: Record<string, number>, verdict: string }} baselines
 * @property {{ metric: string, figure: number } | null} author
 * @property {Record<string, number>} author_metrics
 * @property {CrossValidation | null} cross_validation
 * @property {Searched} [search]                                  there if a search chose the recipe
 * @property {Gap[]} gaps
 * @property {{ epochs: number, best_epoch: number, stopped_early: boolean, final_loss: number, seconds: number,
 *   rows: number, parameters: number, device: string,
 *   refit?: { rows: number, epochs: number, seconds: number },
 *   chosen?: Record<string, number | string> }} fitted             chosen: what the recipe left open as "auto"
 * @property {{ trained_at: string, job: string | null, seed: number, software: Record<string, string> }} lineage
 * @property {string[]} notes
 * @property {{ promoted: boolean, why: string, champion: number | null }} [promotion]   beside the champion before
 * @property {Calibration} [calibration]                           what intervals and sets stand on
 * @property {Record<string, ClosedForm>} [closed_forms]
 * @property {"warn" | "clip" | "reject" | "formula"} [outside]    what becomes of rows outside, unless a request says
 * @typedef {object} Recipe
 * @property {{ validation: number }} split
 * @property {{ method: string, scope: string, outputs: string, targets?: string }} scaling
 * @property {{ layers: { units: number | "auto", activation: string }[], output_activation: string,
 *   dropout: number | string, members?: number | string }} network
 * @property {{ loss: string, optimizer: { name: string, learning_rate: number | "auto" },
 *   epochs: number | "auto",
 *   batch_size: number | "auto" }} fit
 * @property {number} seed
 * @property {{ when: "always" | "never" | "if-better", tolerance: number }} [promotion]
 * @property {"warn" | "clip" | "reject" | "formula"} [outside]
 * @typedef {object} Calibration                                   mean widths or sizes of sets, by level
 * @property {string} of
 * @property {number} rows
 * @property {Record<string, Record<string, number>>} [widths]
 * @property {Record<string, number>} [sizes]
 * @typedef {object} ClosedForm                                    a formula that was found in the rows
 * @property {string} text
 * @property {number} rmse
 * @property {number} network_rmse
 * @property {boolean} is_exact
 * @property {Record<string, string>} [columns]                    columns whose names cannot stand in a formula
 * @typedef {object} Summary                                       a pattern, as /patterns lists it
 * @property {string} name
 * @property {number[]} versions                                   oldest first
 * @property {Record<string, number>} labels
 * @property {number | null} champion
 * @property {string} description
 * @property {Score | null} [test]
 * @typedef {object} DescribedOnly
 * @property {number} champion
 * @property {string[]} inputs
 * @property {string[]} outputs
 * @property {Value[] | null} classes
 * @property {Record<string, string> | null} formulas
 * @property {Card} card
 * @property {{ version: number, promoted: boolean, why: string }[]} [challengers]   versions compared with this one
 * @property {Recipe} recipe
 * @property {Record<string, string>} links
 * @typedef {Summary & DescribedOnly} Described                    a pattern that can be served
 * @typedef {{ version: number, card?: Card, recipe?: Recipe }} Version
 * @typedef {object} Prediction                                    the answer to one row
 * @property {number} version
 * @property {Record<string, Value>[]} outputs
 * @property {Record<string, Record<string, number>>[]} [probabilities]
 * @property {Record<string, [number, number]>[]} [intervals]
 * @property {Record<string, Value[]>[]} [sets]
 * @property {Outside[]} [outside]
 * @property {{ row: number, columns: string[] }[]} [filled]
 * @typedef {object} Outside
 * @property {number} row
 * @property {string[]} columns
 * @property {true} [joint]
 * @property {number} [score]
 * @property {number} [as_far]
 * @property {string} [answered]
 * @property {false} [guaranteed]   where an interval or a set was asked for
 * @typedef {object} Job
 * @property {string} pattern
 * @property {"queued" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted"} status
 * @property {{ epochs: number }} progress
 * @property {number | null} version
 * @property {{ code: string, message: string } | null} error
 * @property {{ promoted: boolean, why: string }} [promotion]      there if it was to be promoted only if better
 * @property {{ self: string, events: string, cancel: string }} links
 * @typedef {object} TableColumn
 * @property {string} name
 * @property {Kind} kind
 * @property {number} missing
 * @property {number} distinct
 * @property {boolean} labels                                      true if it would be learned as labels
 * @property {Value[]} examples
 * @property {string | null} dropped                               why it is left out
 * @property {string | null} doubt                                 what is not clear about it
 * @property {string | null} [note]                                what to know about it, though it is kept
 * @typedef {{ id: string, name: string, rows: number, created: string, remarks: string[] }} TableHead
 * @typedef {TableHead & { n_columns: number }} TableSummary
 * @typedef {TableHead & { columns: TableColumn[] }} Table
 */

const KEY_NAME = "pattern-server-key";
const KEY_CODES = ["key_missing", "key_wrong"];
const NO_CONTENT = 204;

/** A refusal, in the server's own words. */
export class Refusal extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The key of this tab; kept until the tab is closed. */
export const storedKey = {
  read: () => sessionStorage.getItem(KEY_NAME),
  /** @param {string} key */
  write: (key) => sessionStorage.setItem(KEY_NAME, key),
  forget: () => sessionStorage.removeItem(KEY_NAME),
};

/** The server, and whether it wants a key for predictions. */
export class Server {
  /** True once a prediction was refused for want of a key. */
  needsKeyToPredict = false;
  #askForKey;

  /** @param {(refusal: Refusal) => Promise<boolean>} askForKey   resolves to true where there is a new key to try */
  constructor(askForKey) {
    this.#askForKey = askForKey;
  }

  /**
   * Return the parsed answer; throws Refusal. Asks for a key, once and again, where one is missing or wrong.
   * A body that is a file is sent as it is.
   * @param {string} path
   * @param {{ method?: string, body?: unknown, type?: string }} [request]
   * @returns {Promise<any>}
   */
  async ask(path, { method = "GET", body, type = "application/json" } = {}) {
    const response = await sent(path, method, body, type);
    const answer = await response.json().catch(() => null);
    if (response.ok && (answer !== null || response.status === NO_CONTENT)) return answer;
    const refusal = refusalOf(response, answer);
    if (!KEY_CODES.includes(refusal.code)) throw refusal;
    if (path.startsWith("/predict/")) this.needsKeyToPredict = true;
    if (await this.#askForKey(refusal)) return this.ask(path, { method, body, type });
    throw refusal;
  }

  /**
   * Return an answer that is a file, and its headers; throws Refusal. Asks for a key as `ask` does.
   * @param {string} path
   * @returns {Promise<{ content: Blob, headers: Headers }>}
   */
  async file(path) {
    const response = await sent(path, "GET", undefined, "");
    if (response.ok) return { content: await response.blob(), headers: response.headers };
    const refusal = refusalOf(response, await response.json().catch(() => null));
    if (!KEY_CODES.includes(refusal.code)) throw refusal;
    if (await this.#askForKey(refusal)) return this.file(path);
    throw refusal;
  }
}

/** @param {string} pattern */
export const address = (pattern) => `/patterns/${encodeURIComponent(pattern)}`;

/**
 * @param {string} path
 * @param {string} method
 * @param {unknown} body
 * @param {string} type
 */
async function sent(path, method, body, type) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = type;
  const key = storedKey.read();
  if (key) headers.authorization = `Bearer ${key}`;
  try {
    const content = body instanceof Blob ? body : JSON.stringify(body);
    return await fetch(path, { method, headers, body: content, cache: "no-store" });
  } catch {
    throw new Refusal("unreachable", "the server cannot be reached; is it still running?");
  }
}

/**
 * @param {Response} response
 * @param {any} answer
 */
function refusalOf(response, answer) {
  const { code = "unexpected", message = `the server answered ${response.status}` } = answer?.error ?? {};
  const wait = response.headers.get("retry-after");
  return new Refusal(code, wait ? `${message} (try again in ${wait} s)` : message);
}
