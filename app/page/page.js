// The page for people: lists the patterns, asks them, trains them, through the same API that programs use.
//
//   location.hash    ""  all patterns · "#quadratic"  one of them · "#/new"  a new one · "#/new/table"  one from a table
//
// Whatever the server says enters the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const shown = { patterns: [], name: "", described: null };
// Counts what the reader has asked to see: an answer for an earlier view comes too late to be drawn.
let view = 0;

// -- asking the server ----------------------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const KEY_NAME = "pattern-server-key";
const KEY_CODES = ["key_missing", "key_wrong"];
const NO_CONTENT = 204;
let predictingNeedsKey = false;

/**
 * The parsed answer; Refusal carries the server's own words. Asks for a key, once and again, where one is missing.
 * A body that is a file is sent as it is.
 */
async function ask(path, { method = "GET", body, type = "application/json" } = {}) {
  const response = await sent(path, method, body, type);
  const answer = await response.json().catch(() => null);
  if (response.ok && (answer !== null || response.status === NO_CONTENT)) return answer;
  const refusal = refusalOf(response, answer);
  if (!KEY_CODES.includes(refusal.code)) throw refusal;
  if (path.startsWith("/predict/")) predictingNeedsKey = true;
  if (await askForKey(refusal)) return ask(path, { method, body, type });
  throw refusal;
}

async function sent(path, method, body, type) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = type;
  const key = sessionStorage.getItem(KEY_NAME);
  if (key) headers.authorization = `Bearer ${key}`;
  try {
    const content = body instanceof Blob ? body : JSON.stringify(body);
    return await fetch(path, { method, headers, body: content, cache: "no-store" });
  } catch {
    throw new Refusal("unreachable", "the server cannot be reached; is it still running?");
  }
}

function refusalOf(response, answer) {
  const { code = "unexpected", message = `the server answered ${response.status}` } = answer?.error ?? {};
  const wait = response.headers.get("retry-after");
  return new Refusal(code, wait ? `${message} (try again in ${wait} s)` : message);
}

const address = (pattern) => `/patterns/${encodeURIComponent(pattern)}`;

// -- saying what went wrong ------------------------------------------------------------------------------------------

/** Runs what a reader has asked for; an error is told at `place`, in words. */
async function attempt(place, action) {
  tell(place, null);
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    tell(place, error);
  }
}

function tell(place, error) {
  place.hidden = error === null;
  place.replaceChildren();
  if (error === null) return;
  const words = error instanceof Refusal ? sentence(error.message) : "Something went wrong in this page.";
  place.append(words, " ", element("small", { class: "code" }, error.code ?? error.name));
}

/** A place in a recipe, such as `fit.epochs:`, stays as it is written there. */
function sentence(text) {
  const begun = /^\w+[.:]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`;
}

// -- making elements -------------------------------------------------------------------------------------------------

/** `element("a", {href: "#x"}, "text", child)`; attributes that are null or false are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function button(text, pressed, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", pressed);
  return made;
}

/** Cells are text or elements; the first cell of a row names it. */
function table(caption, heads, rows) {
  const cell = (content, place) => element(place === 0 ? "th" : "td", place === 0 ? { scope: "row" } : {}, content);
  const row = ({ cells, mark }) => element("tr", { class: mark ?? null }, ...cells.map(cell));
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map(row)),
  );
}

function fill(list, facts) {
  const pairs = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  list.replaceChildren(
    ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

// -- numbers and formulas, as people read them -----------------------------------------------------------------------

const minus = (text) => text.replaceAll("-", "−");
const short = (number, digits = 4) => minus(String(Number(number.toPrecision(digits))));
const exact = (number) => element("span", { title: String(number) }, short(number, 7));
const bound = (value) => (typeof value === "number" ? short(value, 7) : value);
const range = (column) => `${bound(column.minimum)} to ${bound(column.maximum)}`;

/** With as many digits as it takes to tell it from 1: 0.999996 is never shown as 1. */
function rSquared(r2) {
  if (r2 === null || r2 === undefined) return "–";
  if (r2 === 1) return "1";
  const digits = Math.max(3, Math.ceil(-Math.log10(Math.abs(1 - r2))) + 1);
  return minus(digits > 15 ? String(r2) : (Math.floor(r2 * 10 ** digits) / 10 ** digits).toFixed(digits));
}

/** Never 100 % for what is not all of it. */
const percent = (share) => `${share < 1 ? Math.min(99.9, Math.round(share * 1000) / 10) : 100} %`;
const figure = (metric, value) => (metric === "accuracy" ? percent(value) : short(value, 3));

/** Decimals that show an error of this size with three digits. */
const decimalsFor = (error) => (error > 0 ? Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(error)))) : 6);
const decimalsOf = (number) => (String(Number(number.toPrecision(7))).split(".")[1] ?? "").length;

/** `0.5*x1**2` as it stands in a book; operators and names only change their looks. */
function mathOf(formula) {
  const powers = formula.split(/\s*\*\*\s*(\d+)(?![\d.])/);
  return powers.flatMap((part, place) => (place % 2 ? [element("sup", {}, part)] : symbols(part)));
}

function symbols(text) {
  const looks = minus(text.replaceAll("**", "^").replaceAll(/\s*\*\s*/g, "·").replaceAll("<=", "≤").replaceAll(">=", "≥"));
  return looks.split(/([A-Za-z_]\w*(?!\w|\s*\())/).map((part, place) => (place % 2 ? variable(part) : part));
}

function variable(name) {
  const [, stem, number] = name.match(/^([A-Za-z]+)(\d+)$/) ?? [null, name, null];
  return element("var", {}, stem, ...(number ? [element("sub", {}, number)] : []));
}

// -- going from view to view -----------------------------------------------------------------------------------------

const NEW = ["/new", "/new/table"];

async function go({ focus = true } = {}) {
  const target = location.hash.slice(1);
  const kind = NEW.includes(target) ? "new" : target ? "pattern" : "overview";
  const mine = ++view;
  document.body.dataset.view = kind;
  byId("overview").hidden = kind !== "overview";
  byId("new").hidden = kind !== "new";
  byId("pattern").hidden = true;
  for (const place of ["pattern-problem", "predict-problem", "again-problem", "versions-problem"]) tell(byId(place), null);
  byId("versions-said").textContent = "";
  shown.name = kind === "pattern" ? target : "";
  shown.described = null;
  markChosen();
  if (kind === "pattern") await showPattern(target);
  else document.title = kind === "new" ? "New pattern · Pattern Server" : "Pattern Server";
  if (kind === "new") await showNew(target);
  const heading = { overview: "overview-title", new: "new-title", pattern: "pattern-name" }[kind];
  if (focus && mine === view) {
    window.scrollTo(0, 0);
    byId(heading).focus({ preventScroll: true });
  }
}

async function listPatterns() {
  await attempt(byId("patterns-problem"), async () => {
    shown.patterns = (await ask("/patterns")).patterns;
    byId("pattern-list").replaceChildren(...shown.patterns.map(listed));
    byId("empty").hidden = shown.patterns.length > 0;
    markChosen();
  });
}

function listed(pattern) {
  const link = element(
    "a",
    { href: `#${pattern.name}` },
    element("span", { class: "name" }, pattern.name),
    element("span", { class: "badge" }, pattern.champion ? `v${pattern.champion}` : "none"),
    element("span", { class: "about" }, pattern.champion ? pattern.description : "No version of it can be served."),
  );
  if (pattern.test) link.append(element("span", { class: "score" }, scoreOf(pattern.test)));
  return element("li", {}, link);
}

const areLabels = (score) => "accuracy" in score;

const scoreOf = (score) =>
  areLabels(score)
    ? `accuracy ${percent(score.accuracy)} · log loss ${short(score.log_loss, 3)}`
    : `RMSE ${short(score.rmse, 3)} · R² ${rSquared(score.r2)}`;

function markChosen() {
  for (const link of byId("pattern-list").querySelectorAll("a")) {
    if (link.hash === `#${shown.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// -- one pattern -----------------------------------------------------------------------------------------------------

/** Also when it has changed: what the reader has typed stays. */
async function showPattern(name) {
  const mine = view;
  await attempt(byId("pattern-problem"), async () => {
    let summary;
    try {
      const [described, sample] = await Promise.all([ask(address(name)), ask(`${address(name)}/sample`)]);
      if (mine !== view) return;
      summary = described;
      showDescribed(described, sample.inputs[0] ?? {});
    } catch (refusal) {
      // Nothing of it can be served, but it can still be trained, and its versions are still there.
      summary = shown.patterns.find((pattern) => pattern.name === name);
      if (!(refusal instanceof Refusal) || refusal.code === "unknown_pattern" || !summary) throw refusal;
      if (mine !== view) return;
      tell(byId("pattern-problem"), refusal);
      showParts(false);
      hintRecipe(null);
    }
    showHead(summary);
    await showVersions(summary, mine);
  });
}

function showHead(summary) {
  byId("pattern").hidden = false;
  byId("pattern-name").textContent = summary.name;
  byId("pattern-version").textContent = summary.champion ? `version ${summary.champion}` : "no version served";
  document.title = `${summary.name} · Pattern Server`;
}

/** What tells of a version, shown only where there is one that can be served. */
function showParts(isDescribed) {
  for (const part of byId("pattern").querySelectorAll("[data-described]")) part.hidden = !isDescribed;
}

function showDescribed(described, sample) {
  const isSame = shown.described?.name === described.name;
  shown.described = described;
  showParts(true);
  const { card, recipe, description, formulas } = described;
  byId("formulas").replaceChildren(...Object.entries(formulas ?? {}).map(formula));
  byId("description").textContent = description === inWords(formulas ?? {}) ? "" : description;
  byId("verdict").textContent = card.baselines.verdict;
  byId("notes").replaceChildren(...card.notes.map((note) => element("li", {}, note)));
  showQuestion(card, isSame ? typed() : {}, sample);
  if (!isSame) byId("answer").replaceChildren();
  outdate();
  showScores(described);
  showPlots(described);
  showGaps(card);
  showRecipe(recipe, isSame);
}

/** What a pattern that was made on this page is described by. */
const inWords = (outputs = {}) => Object.entries(outputs).map((pair) => pair.join(" = ")).join("; ").slice(0, 500);

const formula = ([output, text]) =>
  element("p", { class: "formula", title: `${output} = ${text}` }, variable(output), " = ", ...mathOf(text));

/** What a score of numbers, or of labels, is made of: heads and how each is read; then the words below the table. */
const SCORES = {
  regression: {
    caption: "Errors in raw units",
    columns: {
      RMSE: ({ rmse }) => short(rmse, 3), MAE: ({ mae }) => short(mae, 3), "R²": ({ r2 }) => rSquared(r2),
      largest: ({ max_error: largest }) => short(largest, 3),
    },
    words: `RMSE is the typical size of an error and MAE the average one, both in the units of the output. R² is the
      share of the variation that is explained; 1 would be all of it.`,
  },
  classification: {
    caption: "How many labels were right",
    columns: {
      accuracy: ({ accuracy }) => percent(accuracy), balanced: ({ balanced_accuracy: balanced }) => percent(balanced),
      F1: ({ f1 }) => short(f1, 3), AUC: ({ roc_auc: auc }) => (auc === null ? "–" : short(auc, 3)),
      "log loss": ({ log_loss: loss }) => short(loss, 3),
    },
    words: `Accuracy is the share of rows that were given the right label; balanced, each label counts the same, however
      rare. AUC is 1 where right labels are always more probable than wrong ones, and 0.5 for guessing. Log loss also
      counts how sure it was: 0 is sure and right.`,
  },
};
const BASELINES = { mean: "mean of labels", majority: "most frequent label", linear: "straight line", trees: "gradient boosting" };

function showScores({ card }) {
  const { caption, columns, words } = SCORES[card.task];
  const scored = (name, score) => ({ cells: [element("span", {}, ...name), ...Object.values(columns).map((read) => read(score))] });
  const sets = [["test", card.test], ["validation", card.validation], ["training", card.train]];
  const rows = sets
    .filter(([, measured]) => measured)
    .map(([name, measured]) => scored([name, " ", element("small", {}, `${measured.rows} rows`)], measured.overall));
  rows[0].mark = "strong";
  const outputs = Object.entries(card.test.outputs);
  if (outputs.length > 1) rows.splice(1, 0, ...outputs.map(([name, score]) => scored(["test, ", variable(name)], score)));
  // Best first. What they are measured by is the first column of the table.
  const { metric, figures } = card.baselines;
  const others = Object.entries(figures).filter(([name]) => name !== "network");
  others.sort(([, one], [, other]) => (metric === "accuracy" ? other - one : one - other));
  for (const [name, value] of others) {
    const called = name === "linear" && metric === "accuracy" ? "logistic regression" : (BASELINES[name] ?? name);
    rows.push({ cells: [called, figure(metric, value), ...Object.keys(columns).slice(1).map(() => "")], mark: "faint" });
  }
  byId("scores").replaceChildren(table(caption, ["rows", ...Object.keys(columns)], rows));
  byId("score-words").textContent = words;
  byId("author").textContent = [authorSentence(card), foldsSentence(card)].filter(Boolean).join(" ");
  showLabelScores(card);
}

const MOST_LABELS_ANSWERED = 12;

/** Of each label: how often it was right to say it, and how many of its rows it was said of. */
function showLabelScores({ task, outputs: [{ values }], test: { overall } }) {
  // Where there are very many labels, the card keeps no scores of each.
  const scored = task === "classification" ? (values ?? []).slice(0, Math.min(overall.precision.length, MOST_LABELS_ANSWERED)) : [];
  const rows = scored.map((label, place) => ({
    cells: [String(label), percent(overall.precision[place]), percent(overall.recall[place])],
  }));
  byId("label-scores").hidden = rows.length === 0;
  byId("label-scores").replaceChildren(table("Test rows by label", ["label", "precision", "recall"], rows));
}

function foldsSentence({ cross_validation: crossed }) {
  if (!crossed) return "";
  const { metric, mean, sd, folds, epochs } = crossed;
  const found = metric in mean ? `: ${metric.replaceAll("_", " ")} ${short(mean[metric], 3)} ± ${short(sd[metric] ?? 0, 2)}` : "";
  return `Cross-validated over ${folds.length} folds${found}; it is trained for the ${epochs} epochs that this recommends.`;
}

function authorSentence({ author, author_metrics: ours }) {
  if (!author) return "";
  const words = { rmse: "RMSE", mae: "MAE", rmse_over_root_n: "RMSE/√n", log_loss: "log loss" };
  const counted = words[author.metric] ?? author.metric;
  return `The pattern's author reports ${counted} ${short(author.figure)}; counted the same way, this version has ${short(ours[author.metric])}.`;
}

function showRecipe(recipe, isSame) {
  const { scaling, network, fit, split } = recipe;
  const { card, classes } = shown.described;
  const way = { standard: "standard scaling", minmax: "min-max scaling", none: "no scaling" }[scaling.method] ?? scaling.method;
  const isScaled = scaling.method !== "none";
  const named = (columns) => (columns.length > 6 ? `${columns.length} columns` : columns.join(", "));
  const encoded = card.inputs.every(({ kind }) => kind === "number") ? [] : [...new Set(card.inputs.map(({ kind }) => ENCODED[kind]))];
  const steps = [
    `raw ${named(shown.described.inputs)}`,
    isScaled ? `${way}, ${scaling.scope}` : way,
    ...encoded.filter(Boolean),
    ...network.layers.map((layer) => `${layer.units} ${layer.activation}`),
    ...(network.dropout ? [`dropout ${network.dropout}`] : []),
    classes ? (classes.length === 2 ? "1 sigmoid" : `${classes.length} softmax`) : `${shown.described.outputs.length} ${network.output_activation}`,
    ...(isScaled && scaling.outputs !== "none" && !classes ? ["scaling undone"] : []),
    classes ? `${shown.described.outputs[0]}, the most probable` : `raw ${named(shown.described.outputs)}`,
  ];
  byId("pipeline").replaceChildren(...steps.map((step) => element("li", {}, step)));
  fill(byId("fitted"), [
    ["trained", when(card.lineage.trained_at)],
    ["took", `${short(card.fitted.seconds, 3)} s on ${card.fitted.device.replace(/^.*?([A-Z]+):\d+$/, "$1")}`],
    ["epochs", card.fitted.stopped_early ? `${card.fitted.epochs}, weights of epoch ${card.fitted.best_epoch}` : card.fitted.epochs],
    ["loss", `${fit.loss === "auto" ? "" : `${fit.loss}, `}at the end ${short(card.fitted.final_loss)}${classes ? "" : " (scaled units)"}`],
    ["optimiser", `${fit.optimizer.name}, learning rate ${fit.optimizer.learning_rate}`],
    ["batch size", fit.batch_size === "auto" ? null : fit.batch_size],
    ["seed", card.lineage.seed],
    ["parameters", card.fitted.parameters],
    ["rows", `${card.fitted.rows} to train, ${card.test.rows} to test`],
    ["held out", split.validation ? `${short(split.validation * 100)} % to validate` : null],
    ["made with", Object.entries(card.lineage.software).map((pair) => pair.join(" ")).join(", ")],
  ]);
  if (!isSame) byId("again").reset();
}

/** What a training would use where nothing is typed. */
function hintRecipe(recipe) {
  byId("again-epochs").placeholder = recipe?.fit.epochs ?? "";
  byId("again-rate").placeholder = recipe?.fit.optimizer.learning_rate ?? "";
  byId("again-seed").placeholder = recipe?.seed ?? "";
}

const ENCODED = { category: "an input for each category", text: "words", date: "dates as circles", boolean: "booleans as ±1" };
const when = (iso) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function showPlots({ name, champion, card, links }) {
  const kept = `${name}, version ${champion}`;
  const { overall, rows } = card.test;
  const plots = [
    ["learning-curve", "Learning curve", "Loss after each epoch. It should fall, then level off.",
      `Learning curve of ${kept}: the training loss after ${card.fitted.epochs} epochs is ${short(card.fitted.final_loss)}.`],
    ...(areLabels(overall) ? plotsOfLabels(kept, overall, rows) : plotsOfNumbers(kept, overall, rows)),
  ];
  byId("plots-each").classList.toggle("two-by-two", areLabels(overall));
  byId("plots-each").replaceChildren(...plots.filter(([kind]) => links[kind]).map(([kind, ...words]) => plot(links[kind], ...words)));
}

const plotsOfNumbers = (kept, overall, rows) => [
  ["predicted-vs-actual", "Predicted and actual", "A point on the line is exact.",
    `Predicted against actual values of ${kept} for test rows; R² over ${rows} rows is ${rSquared(overall.r2)}.`],
  ["residuals", "What is left", "Points around zero without a shape mean that nothing was missed.",
    `Residuals of ${kept} for test rows: RMSE ${short(overall.rmse)}, largest error ${short(overall.max_error)}.`],
];

const plotsOfLabels = (kept, overall, rows) => [
  ["confusion", "What was taken for what", "On the diagonal it was right; elsewhere, see which labels it mixes up.",
    `Confusion matrix of ${kept}: ${percent(overall.accuracy)} of ${rows} test rows have the right label.`],
  ["roc", "Finding against false alarms", "The further up and to the left, the better it tells labels apart.",
    `ROC curve of ${kept} for test rows${overall.roc_auc === null ? "" : `; the area under it is ${short(overall.roc_auc)}`}.`],
  ["calibration", "Are the probabilities true?", "On the line, 80 % probable comes true in 80 % of the rows.",
    `Calibration of ${kept}: how often labels came true, by their probability; log loss ${short(overall.log_loss)}.`],
];

function plot(source, title, lesson, alt) {
  const picture = element("img", { src: source, alt, width: 504, height: 302 });
  picture.addEventListener("error", () => picture.replaceWith(element("p", { class: "hint" }, "This picture could not be drawn.")));
  return element(
    "figure",
    {},
    element("a", { href: source }, picture),
    element("figcaption", {}, element("strong", {}, title), " ", lesson),
  );
}

function showGaps(card) {
  const several = card.outputs.length > 1;
  const heads = card.outputs.flatMap(({ name }) => ["predicted", "label", "gap"].map((kind) => (several ? `${name} ${kind}` : kind)));
  const decimals = card.outputs.map(({ name }, place) => {
    if (card.task === "classification") return 3;
    const labels = card.gaps.map((gap) => decimalsOf(gap.label[place]));
    return Math.max(decimalsFor(card.test.outputs[name].rmse), Math.min(4, Math.max(0, ...labels)));
  });
  // A label that is a number is still a label.
  const isMeasure = (values, gap) => card.task === "regression" || values === gap.gap;
  // Of many columns some are out of sight: what the table is for comes first then.
  const isWide = card.inputs.length + heads.length > 6;
  const inOrder = (inputs, outputs) => (isWide ? [...outputs, ...inputs] : [...inputs, ...outputs]);
  const rows = card.gaps.map((gap) => ({
    mark: card.task === "classification" && gap.predicted[0] !== gap.label[0] ? "wrong" : null,
    cells: inOrder(
      gap.inputs.map(cell),
      card.outputs.flatMap((_, place) => [gap.predicted, gap.label, gap.gap].map((values) =>
        isMeasure(values, gap) ? element("span", { title: String(values[place]) }, minus(values[place].toFixed(decimals[place]))) : cell(values[place]))),
    ),
  }));
  const difference = card.task === "classification" ? "the probability that the right label lacked" : "the difference";
  byId("gaps-words").textContent = `Side by side: what the network says, what is right, and ${difference}.`;
  byId("plots").classList.toggle("in-a-row", card.task === "classification" || isWide);
  byId("gaps").replaceChildren(table("Prediction, label and gap", inOrder(card.inputs.map(({ name }) => name), heads), rows));
}

// -- asking a pattern ------------------------------------------------------------------------------------------------

let question = 0;
const OTHER = "another value …";

/** A value of a table, as text that does not make the table wide. */
function cell(value) {
  if (value === null) return element("span", { class: "missing" }, "missing");
  if (typeof value === "number") return short(value, 7);
  const text = String(value);
  return element("span", { title: text }, text.length > 40 ? `${text.slice(0, 39)}…` : text);
}

function showQuestion(card, before, sample) {
  const fields = card.inputs.map((column, place) => {
    const id = `input-${place}`;
    const input = fieldOf(column, id, before[column.name] ?? typedFor(column, sample[column.name] ?? null));
    const label = element("label", { for: id }, columnName(column.name));
    const isWide = column.kind === "text" ? "field wide" : "field";
    return element("div", { class: isWide }, label, input, element("small", { id: `${id}-hint` }));
  });
  byId("predict-fields").replaceChildren(...fields);
  tell(byId("predict-problem"), null);
  card.inputs.forEach((column, place) => hint(column, byId(`input-${place}`)));
  showCurl();
}

/** Names in a formula are variables; a table's are words. */
const columnName = (name) => (shown.described.formulas ? variable(name) : name);

/** The element that a column is typed into; empty means missing. */
function fieldOf(column, id, value) {
  const attributes = {
    id, name: column.name, "data-kind": column.kind, "aria-describedby": `${id}-hint`, autocomplete: "off",
    // An empty text is a text, and one value of a select is always chosen.
    required: column.missing === 0 && column.kind !== "text",
  };
  const input = {
    number: () => element("input", { ...attributes, value, type: "number", step: "any", inputmode: "text", placeholder: range(column) }),
    date: () => element("input", { ...attributes, value, type: hasTimes(column) ? "datetime-local" : "date", step: hasTimes(column) ? 1 : null }),
    boolean: () => choice(attributes, ["true", "false"], value, column.missing > 0),
    category: () => (isListed(column, value) ? choice(attributes, column.values.map(String), value, column.missing > 0, OTHER) : freely(attributes, value)),
    text: () => element("textarea", { ...attributes, rows: 3 }, value),
  }[column.kind]();
  input.addEventListener("input", () => (input.value === OTHER ? typeFreely(column, input) : asked(column, input)));
  return input;
}

const hasTimes = ({ minimum, maximum }) => `${minimum} ${maximum}`.includes("T");
const isListed = (column, value) => value === "" || (column.values ?? []).map(String).includes(value);
const freely = (attributes, value) => element("input", { ...attributes, value, type: "text", autocapitalize: "none" });

function choice(attributes, values, chosen, canBeMissing, ...more) {
  const options = [...(canBeMissing ? [["", "missing"]] : []), ...[...values, ...more].map((value) => [value, value])];
  return element("select", attributes, ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)));
}

/** What training never saw can be asked as well: the answer says so. */
function typeFreely(column, select) {
  const place = select.id;
  const input = fieldOf(column, place, " ");
  input.value = "";
  select.replaceWith(input);
  input.focus();
  asked(column, input);
}

/** A JSON value as it would have been typed. */
function typedFor(column, value) {
  if (value === null) return "";
  if (column.kind === "number") return String(Number(value.toPrecision(7)));
  return column.kind === "date" && hasTimes(column) && !value.includes("T") ? `${value}T00:00:00` : String(value);
}

/** What is typed, as a JSON value. */
function valueOf(input) {
  const { kind } = input.dataset;
  if (kind === "text") return input.value;
  if (input.value === "") return null;
  return kind === "number" ? input.valueAsNumber : kind === "boolean" ? input.value === "true" : input.value;
}

function asked(column, input) {
  hint(column, input);
  outdate();
  showCurl();
}

function hint(column, input) {
  const [note, isOutside] = noteOf(column, input);
  byId(`${input.id}-hint`).textContent = [note, column.missing ? "may be missing" : ""].filter(Boolean).join("; ");
  byId(`${input.id}-hint`).classList.toggle("warned", isOutside);
}

function noteOf(column, input) {
  const { kind, minimum, maximum, values } = column;
  if (kind === "number" || kind === "date") {
    const value = kind === "number" ? input.valueAsNumber : input.value;
    const isOutside = input.value !== "" && (value < minimum || value > maximum);
    return [minimum === null ? "" : `${isOutside ? "beyond what it was trained on: " : "trained on "}${range(column)}`, isOutside];
  }
  if (kind === "category" && !isListed(column, input.value)) return ["not among the values that training saw most", true];
  return [kind === "text" && values?.length ? `trained on words such as ${values.slice(0, 5).join(", ")}` : "", false];
}

const inputsOf = (form) => [...form.querySelectorAll("[data-kind]")];
const typed = () => Object.fromEntries(inputsOf(byId("predict")).map((input) => [input.name, input.value]));
const record = () => Object.fromEntries(inputsOf(byId("predict")).map((input) => [input.name, valueOf(input)]));
const predictPath = ({ name, classes }) => `/predict/${encodeURIComponent(name)}?outside=true${classes ? "&probabilities=true" : ""}`;

/** An answer to other values, or of a version that no longer answers, is shown as what it is: past. */
const outdate = () => byId("answer").classList.add("past");

function showCurl() {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [
    `curl ${quoted(`${location.origin}${predictPath(shown.described)}`)}`,
    ...(predictingNeedsKey ? ['-H "authorization: Bearer $PATTERNS_PREDICT_KEY"'] : []),
    "-H 'content-type: application/json'",
    `-d ${quoted(JSON.stringify({ inputs: [record()] }))}`,
  ];
  byId("curl").textContent = lines.join(" \\\n  ");
}

async function predict(submitted) {
  submitted.preventDefault();
  const [mine, number] = [view, ++question];
  const { card } = shown.described;
  const body = { inputs: [record()] };
  await attempt(byId("predict-problem"), async () => {
    const began = performance.now();
    const answer = await ask(predictPath(shown.described), { method: "POST", body });
    if (mine === view && number === question) showAnswer(answer, body.inputs[0], card, performance.now() - began);
  });
  if (predictingNeedsKey && mine === view) showCurl();
}

function showAnswer(answer, asked, card, milliseconds) {
  const outside = answer.outside?.[0]?.columns ?? [];
  // The test error says nothing about a region that the network has not seen, or about another version's answer.
  const isMeasured = !outside.length && answer.version === shown.described.champion;
  const lines = Object.entries(answer.outputs[0]).map(([name, value]) => {
    const error = isMeasured && card.test.outputs[name] ? element("span", { class: "error-size" }, usually(card.test.outputs[name])) : "";
    const said = typeof value === "number" && card.task === "regression" ? exact(value) : String(value);
    return element("p", { class: "output" }, columnName(name), " = ", element("strong", {}, said), " ", error);
  });
  byId("answer").replaceChildren(
    ...lines,
    ...Object.values(answer.probabilities?.[0] ?? {}).map(likely),
    ...(outside.length ? [warning(outside, asked, card)] : []),
    element("p", { class: "hint" }, `Version ${answer.version} answered in ${short(milliseconds, 2)} ms.`),
  );
  byId("answer").classList.remove("past");
}

const usually = (score) =>
  areLabels(score) ? `right on ${percent(score.accuracy)} of the test rows` : `on test rows typically off by ${short(score.rmse, 2)}`;

/** The most probable labels first, each with a bar. */
function likely(byLabel) {
  const ordered = Object.entries(byLabel).sort(([, one], [, other]) => other - one);
  const rows = ordered.slice(0, MOST_LABELS_ANSWERED).flatMap(([label, share]) => [
    element("dt", {}, label),
    element("dd", {}, element("meter", { min: 0, max: 1, value: share, "aria-label": label }), " ", percent(share)),
  ]);
  return element("dl", { class: "likely", "aria-label": "Probabilities" }, ...rows);
}

function warning(outside, asked, card) {
  const columns = card.inputs.filter((column) => outside.includes(column.name));
  const words = columns.map((column) => {
    if (column.kind === "category") return `${column.name} = ${asked[column.name]} was not seen in training, or too seldom`;
    if (column.kind === "text") return `${column.name} has no word that it knows`;
    const value = column.kind === "number" ? short(asked[column.name], 7) : asked[column.name];
    return `${column.name} = ${value} lies outside ${range(column)}`;
  });
  return element(
    "p",
    { class: "warning" },
    element("strong", {}, "Beyond what it has seen. "),
    `${words.join("; ")}. Beyond its training region a network seldom follows the pattern: check this answer before you rely on it.`,
  );
}

async function copyCurl() {
  const text = byId("curl").textContent;
  // Browsers have a clipboard for secure pages only; the old way works everywhere, and the selection shows what was copied.
  getSelection().selectAllChildren(byId("curl"));
  const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  byId("curl-copy").textContent = isCopied || document.execCommand("copy") ? "Copied" : "Selected";
  setTimeout(() => (byId("curl-copy").textContent = "Copy"), 2000);
}

// -- versions --------------------------------------------------------------------------------------------------------

const MOST_CARDS = 20;

async function showVersions(summary, mine) {
  const newestFirst = summary.versions.toReversed();
  drawVersions(summary, newestFirst.map((version) => ({ version })));
  const describe = (version) => ask(`${address(summary.name)}/versions/${version}`).catch(() => ({ version }));
  const cards = await Promise.all(
    newestFirst.map((version, place) => (place < MOST_CARDS ? describe(version) : { version })),
  );
  if (mine !== view) return;
  drawVersions(summary, cards);
  if (cards[0]?.recipe) hintRecipe(cards[0].recipe);
}

function drawVersions(summary, described) {
  const rows = described.map(({ version, card }) => {
    const isChampion = version === summary.champion;
    const labels = Object.entries(summary.labels).filter(([, labelled]) => labelled === version).map(([label]) => label);
    const action = isChampion
      ? "answers"
      : button("Make champion", () => promote(summary.name, version), { "aria-label": `Make version ${version} champion` });
    return {
      mark: isChampion ? "strong" : null,
      cells: [
        String(version),
        element("span", {}, ...labels.map((label) => element("span", { class: `badge ${label === "champion" ? "champion" : ""}` }, label))),
        card ? when(card.lineage.trained_at) : "–",
        ...(card ? compared(card.test.overall) : ["–", "–"]),
        action,
      ],
    };
  });
  const heads = described.some(({ card }) => card && areLabels(card.test.overall)) ? ["accuracy", "log loss"] : ["RMSE", "R²"];
  byId("versions").hidden = rows.length === 0;
  byId("versions").replaceChildren(table("Versions, newest first", ["version", "labels", "trained", ...heads, "serving"], rows));
  byId("rollback").disabled = !summary.versions.some((version) => version < (summary.champion ?? 0));
}

const compared = (score) => (areLabels(score) ? [percent(score.accuracy), short(score.log_loss)] : [short(score.rmse), rSquared(score.r2)]);

const promote = (name, version) =>
  changeChampion(`${address(name)}/labels/champion`, { method: "PUT", body: { version } });
const rollBack = () => changeChampion(`${address(shown.name)}/rollback`, { method: "POST" });

async function changeChampion(path, request) {
  const mine = view;
  byId("versions-said").textContent = "";
  await attempt(byId("versions-problem"), async () => {
    const { champion } = await ask(path, request);
    if (mine === view) {
      await showPattern(shown.name);
      // The button that was pressed is gone.
      byId("versions").focus({ preventScroll: true });
      byId("versions-said").textContent = `Version ${champion} is the champion now.`;
    }
    await listPatterns();
  });
}

// -- training --------------------------------------------------------------------------------------------------------

/** The training that the panel shows; one at a time, the last one asked for. */
let following = null;

async function trainAgain(submitted) {
  submitted.preventDefault();
  const value = (id) => (byId(id).value === "" ? undefined : byId(id).valueAsNumber);
  const rate = value("again-rate");
  const fit = { epochs: value("again-epochs"), optimizer: rate === undefined ? undefined : { learning_rate: rate } };
  const changes = { seed: value("again-seed") };
  if (fit.epochs !== undefined || fit.optimizer) changes.fit = fit;
  await train({ pattern: shown.name, ...changes }, byId("again-problem"), submitted.target);
}

/** Submits `body`; while that lasts, `form` (if there is one) takes no second click. */
async function train(body, problem, form) {
  const buttons = form ? [...form.querySelectorAll("button")] : [];
  buttons.forEach((button) => (button.disabled = true));
  await attempt(problem, async () => follow(await ask("/train", { method: "POST", body })));
  buttons.forEach((button) => (button.disabled = false));
}

function follow(job, { scroll = true } = {}) {
  following?.source.close();
  const source = new EventSource(job.links.events);
  const mine = (following = { job, source, total: job.progress.epochs, loss: [], valLoss: [], isDrawn: true });
  byId("training-title").textContent = `Training ${job.pattern}`;
  tell(byId("training-problem"), null);
  state("Waiting for its turn …");
  byId("training").hidden = byId("training-live").hidden = byId("training-cancel").hidden = false;
  byId("training-close").hidden = true;
  drawProgress(mine);
  if (scroll) byId("training").scrollIntoView({ block: "start" });
  const on = (kind, heard) => source.addEventListener(kind, (event) => heard(JSON.parse(event.data)));
  on("started", () => state("Training …"));
  on("fold", ({ fold, folds }) => state(`Cross-validating: fold ${fold} of ${folds} …`));
  on("epoch", (epoch) => heardEpoch(mine, epoch));
  on("evaluated", ({ metrics }) => state(`Measured on the test rows: ${scoreOf(metrics.test)}. Publishing …`));
  on("published", ({ version }) => published(mine, version));
  on("failed", (error) => ended(mine, "The training failed; nothing has changed.", error));
  on("cancelled", () => ended(mine, "Cancelled; nothing has changed."));
  on("interrupted", (error) => ended(mine, "The training was interrupted; nothing has changed.", error));
  source.addEventListener("error", () => lost(mine));
  source.addEventListener("open", () => tell(byId("training-problem"), null));
}

const state = (text) => (byId("training-state").textContent = text);

function heardEpoch(mine, { epoch, loss, val_loss: valLoss }) {
  mine.loss[epoch - 1] = loss;
  if (valLoss !== null) mine.valLoss[epoch - 1] = valLoss;
  // Epochs come faster than anybody can look: one picture a frame.
  if (mine.isDrawn) requestAnimationFrame(() => drawProgress(mine));
  mine.isDrawn = false;
}

function drawProgress(mine) {
  mine.isDrawn = true;
  if (mine !== following) return;
  const done = mine.loss.length;
  byId("training-progress").max = mine.total;
  byId("training-progress").value = done;
  fill(byId("training-facts"), [
    ["epoch", `${done} of ${mine.total}`],
    ["loss", done ? short(mine.loss.at(-1)) : "–"],
    ["validation loss", mine.valLoss.length ? short(mine.valLoss.at(-1)) : null],
  ]);
  drawCurve(mine);
}

/** The browser comes back by itself unless the server has refused; then the job's record says how it ended. */
async function lost(mine) {
  if (mine !== following) return;
  tell(byId("training-problem"), new Refusal("reconnecting", "the connection is lost; waiting for it to come back"));
  if (mine.source.readyState !== EventSource.CLOSED) return;
  await attempt(byId("training-problem"), async () => {
    const job = await ask(mine.job.links.self);
    if (job.status === "succeeded") await published(mine, job.version);
    else if (job.error) ended(mine, `The training ended: ${job.status}.`, job.error);
    else state(`The training is ${job.status}; reload this page to follow it.`);
  });
}

async function published(mine, version) {
  await seen(mine.job.pattern, version);
  ended(mine, `Version ${version} of ${mine.job.pattern} is published.`);
  await listPatterns();
  if (shown.name === mine.job.pattern) await showPattern(shown.name);
  else if (document.body.dataset.view !== "pattern") location.hash = mine.job.pattern;
}

/** Another process of the server may hear of a version a moment later than the one that told us. */
async function seen(pattern, version) {
  for (let tries = 0; tries < 10; tries += 1) {
    const summary = await ask(address(pattern)).catch(() => null);
    if (summary?.versions.includes(version)) return;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function ended(mine, words, error) {
  mine.source.close();
  if (mine !== following) return;
  drawProgress(mine);
  state(words);
  tell(byId("training-problem"), error?.message ? new Refusal(error.code, error.message) : null);
  byId("training-live").hidden = mine.loss.length === 0;
  byId("training-cancel").hidden = true;
  byId("training-close").hidden = false;
}

async function cancel() {
  const { job } = following;
  await attempt(byId("training-problem"), async () => {
    await ask(job.links.cancel, { method: "DELETE" });
    if (following?.job === job && !byId("training-cancel").hidden) state("Cancelling …");
  });
}

function closeTraining() {
  byId("training").hidden = true;
  byId("main").focus({ preventScroll: true });
}

/** A page that is opened while something trains shows it. */
async function followWhatRuns() {
  const { jobs } = await ask("/train").catch(() => ({ jobs: [] }));
  const running = jobs.find((job) => job.status === "running" || job.status === "queued");
  if (running && !following) follow(running, { scroll: false });
}

// -- the live loss curve ---------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, MOST_POINTS] = [600, 160, 400];

function drawCurve({ loss, valLoss, total }) {
  const values = [...loss, ...valLoss].filter(Number.isFinite);
  // Losses fall over many decades, and the last ones tell most.
  const isLogarithmic = values.every((value) => value > 0);
  const lift = isLogarithmic ? Math.log10 : Number;
  const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
  const [floor, span] = values.length ? [lift(low), lift(high) - lift(low) || 1] : [0, 1];
  const x = (place) => (total > 1 ? (place / (total - 1)) * WIDTH : 0);
  const y = (value) => HEIGHT - 4 - ((lift(value) - floor) / span) * (HEIGHT - 8);
  const step = Math.ceil(loss.length / MOST_POINTS);
  const points = (curve) =>
    curve
      .map((value, place) => (place % step === 0 || place === curve.length - 1 ? `${x(place).toFixed(1)},${y(value).toFixed(1)}` : ""))
      .filter(Boolean)
      .join(" ");
  const words = values.length ? `Loss from ${short(loss[0])} to ${short(loss.at(-1))} over ${loss.length} epochs` : "No epoch is done yet";
  byId("live-curve").replaceChildren(
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      svg("polyline", { class: "loss", points: points(loss) }),
      svg("polyline", { class: "val-loss", points: points(valLoss) })),
  );
  byId("live-high").textContent = values.length ? short(high, 3) : "";
  byId("live-low").textContent = values.length ? short(low, 3) : "";
  byId("live-caption").textContent = `loss in scaled units${isLogarithmic ? ", logarithmic" : ""}; epochs 1 to ${total}${valLoss.length ? "; dashed: validation" : ""}`;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// -- a new pattern ---------------------------------------------------------------------------------------------------

function addLine(kind, values) {
  const list = byId(`new-${kind}s`);
  const line = byId(`${kind}-row`).content.cloneNode(true).firstElementChild;
  for (const part of line.querySelectorAll("[data-part]")) part.value = values[part.dataset.part];
  line.querySelector(".remove").addEventListener("click", () => {
    line.remove();
    fewest(list);
  });
  list.append(line);
  fewest(list);
  return line;
}

/** A pattern has at least one input and one output. */
function fewest(list) {
  const removers = list.querySelectorAll(".remove");
  removers.forEach((remover) => (remover.disabled = removers.length === 1));
}

const lines = (kind) =>
  [...byId(`new-${kind}s`).children].map((line) =>
    Object.fromEntries([...line.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part])),
  );

function freeName(kind, stem) {
  const taken = new Set(lines(kind).map(({ name }) => name.value));
  for (let number = 1; ; number += 1) if (!taken.has(`${stem}${number}`)) return `${stem}${number}`;
}

function addInput() {
  addLine("input", { name: freeName("input", "x"), distribution: "uniform", low: 0, high: 10 })
    .querySelector("input").focus();
}

function addOutput() {
  addLine("output", { name: freeName("output", "y"), formula: "" }).querySelector("input").focus();
}

/** One of the two ways to a new pattern; what was typed for the other stays. */
async function showNew(way) {
  const isTable = way === "/new/table";
  byId("from-formula").hidden = isTable;
  byId("from-table").hidden = !isTable;
  for (const link of byId("new").querySelectorAll(".ways a")) {
    if (link.hash === `#${way}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  nameHint(byId("new-name"));
  nameHint(byId("learn-name"));
  if (isTable) await listTables();
}

function nameHint(field) {
  const known = shown.patterns.some((pattern) => pattern.name === field.value);
  byId(`${field.id}-hint`).textContent = known
    ? `exists already: this adds a version to it, by this recipe`
    : "lower-case letters, digits and dashes; becomes part of the address";
}

function specOf() {
  const named = (kind, build) => Object.fromEntries(lines(kind).map((parts) => [parts.name.value, build(parts)]));
  const units = byId("new-layers").value.split(",").map(Number).filter(Boolean);
  const outputs = named("output", ({ formula }) => formula.value);
  return {
    name: byId("new-name").value,
    description: inWords(outputs),
    data: {
      kind: "formula",
      inputs: named("input", ({ distribution, low, high }) => ({
        distribution: distribution.value, low: low.valueAsNumber, high: high.valueAsNumber,
      })),
      outputs,
      rows: byId("new-rows").valueAsNumber,
      unique: byId("new-unique").checked,
    },
    network: { layers: units.map((count) => ({ units: count, activation: byId("new-activation").value })) },
    fit: { epochs: byId("new-epochs").valueAsNumber, optimizer: { name: "adam", learning_rate: byId("new-rate").valueAsNumber } },
  };
}

async function create(submitted) {
  submitted.preventDefault();
  markFaults("");
  const twice = [...lines("input"), ...lines("output")].map(({ name }) => name).find((field, place, all) =>
    all.some((other, before) => before < place && other.value === field.value));
  if (twice) {
    twice.setAttribute("aria-invalid", "true");
    tell(byId("create-problem"), new Refusal("same_name", `two columns are called ${twice.value}`));
    twice.focus();
    return;
  }
  await train({ spec: specOf() }, byId("create-problem"), byId("create"));
  markFaults(byId("create-problem").textContent);
}

/** Points at the fields that an error message names, such as `data.outputs.y`. */
function markFaults(message) {
  mark(byId("create"), message, [
    ...placesIn(byId("create")),
    ...lines("input").flatMap(({ name, low, high }) => [low, high].map((field) => [field, `inputs.${name.value}`])),
    ...lines("output").map(({ name, formula }) => [formula, `outputs.${name.value}`]),
  ]);
}

const placesIn = (form) => [...form.querySelectorAll("[data-place]")].map((field) => [field, field.dataset.place]);

/** Of `fields`, each with its place in a recipe, those that the message names; the reader is led to the first. */
function mark(form, message, fields) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const [field, place] of fields) {
    if (new RegExp(`(^|[ .])${literally(place)}[.:]`, "i").test(message)) field.setAttribute("aria-invalid", "true");
  }
  const first = form.querySelector("[aria-invalid]");
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
}

const literally = (text) => text.replaceAll(/[^\w\s]/g, "\\$&");

// -- a new pattern from a table --------------------------------------------------------------------------------------

const FORMS = { parquet: "application/vnd.apache.parquet", arrow: "application/vnd.apache.arrow.stream", feather: "application/vnd.apache.arrow.stream" };
const KINDS = ["number", "category", "boolean", "date", "text"];
/** The table whose columns are shown, as the server describes it. */
let chosen = null;

const tableAddress = (id) => `/datasets/${encodeURIComponent(id)}`;
const tableName = ({ name, id }) => name || id;

async function listTables() {
  await attempt(byId("uploaded-problem"), async () => {
    const { datasets } = await ask("/datasets");
    const rows = datasets.map((stored) => ({
      mark: stored.id === chosen?.id ? "strong" : null,
      cells: [cell(tableName(stored)), actionsOn(stored), String(stored.rows), String(stored.n_columns), when(stored.created)],
    }));
    byId("uploaded").hidden = rows.length === 0;
    byId("uploaded-list").replaceChildren(table("Tables on this server", ["name", "", "rows", "columns", "uploaded"], rows));
  });
}

function actionsOn(stored) {
  const name = tableName(stored);
  return element(
    "span",
    { class: "actions" },
    button("Choose", () => chooseTable(stored), { "aria-label": `Choose ${name}` }),
    button("Delete", () => deleteTable(stored), { "aria-label": `Delete ${name}` }),
  );
}

async function chooseTable({ id }) {
  await attempt(byId("uploaded-problem"), async () => {
    const stored = await ask(tableAddress(id));
    await showTable(stored);
  });
}

async function deleteTable(stored) {
  if (!confirm(`Delete the table ${tableName(stored)}? Patterns that learned from it stay; training them again needs it again.`)) return;
  await attempt(byId("uploaded-problem"), async () => {
    await ask(tableAddress(stored.id), { method: "DELETE" });
    if (chosen?.id === stored.id) {
      chosen = null;
      byId("learn").hidden = true;
    }
    byId("upload-state").textContent = `${tableName(stored)} is deleted.`;
    await listTables();
    byId("upload-file").focus();
  });
}

async function upload(submitted) {
  submitted.preventDefault();
  const [file] = byId("upload-file").files;
  const pressed = byId("upload").querySelector(".primary");
  pressed.disabled = true;
  byId("uploading").hidden = false;
  byId("upload-state").textContent = `Uploading ${file.name}, ${megabytes(file.size)}; then its columns are read …`;
  const stored = await attempt(byId("upload-problem"), () => sendTable(file));
  pressed.disabled = false;
  byId("uploading").hidden = true;
  byId("upload-state").textContent = stored ? uploadedWords(stored, file) : "";
  if (stored) await showTable(stored);
}

/** The same content is there once, under its first name. */
const uploadedWords = (stored, file) =>
  stored.name === nameOf(file) ? `${stored.name} is here: ${counted(stored)}.` : `The same table is here already, as ${tableName(stored)}: ${counted(stored)}.`;

const nameOf = (file) => file.name.replace(/(?<=.)\.[^.]*$/s, "").slice(0, 100);
const megabytes = (bytes) => (bytes < 1e5 ? `${short(bytes / 1e3, 3)} kB` : `${short(bytes / 1e6, 3)} MB`);
const counted = ({ rows, columns }) => `${rows} rows, ${columns.length} columns`;

async function sendTable(file) {
  // Else what is wrong with the file would look like a server that is away.
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Refusal("unreadable", "the file cannot be read any more, or has changed; choose it again");
  });
  const type = FORMS[file.name.split(".").at(-1).toLowerCase()] ?? "text/csv";
  const query = new URLSearchParams({ name: nameOf(file) });
  // How a CSV file is written means nothing elsewhere.
  const said = type === "text/csv" ? byId("upload").querySelectorAll("[data-query]") : [];
  for (const field of said) if (field.value) query.set(field.dataset.query, field.value);
  return ask(`/datasets?${query}`, { method: "POST", body: file, type });
}

async function showTable(stored) {
  const isSame = stored.id === chosen?.id;
  chosen = stored;
  if (!isSame) {
    const { columns } = stored;
    byId("learn").reset();
    byId("learn-name").value = patternName(tableName(stored));
    byId("columns").replaceChildren(columnsOf(columns));
    byId("learn-target").replaceChildren(
      element("option", { value: "" }, "choose …"),
      ...columns.map(({ name }) => element("option", { value: name }, name)),
    );
    byId("columns-words").textContent = wordsOn(stored);
    tell(byId("learn-problem"), null);
    mark(byId("learn"), "", []);
    nameHint(byId("learn-name"));
    targetHint();
  }
  byId("learn").hidden = false;
  await listTables();
  byId("columns-title").focus({ preventScroll: true });
  byId("learn").scrollIntoView({ block: "start" });
}

/** `Boats of 2024` as a pattern may be called. */
const patternName = (text) =>
  text.normalize("NFKD").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replace(/^[-0-9]+/, "").slice(0, 63).replace(/-$/, "") || "my-table";

function wordsOn(stored) {
  const doubtful = stored.columns.filter(({ doubt }) => doubt).length;
  const asked = doubtful ? ` Of ${doubtful === 1 ? "one column" : `${doubtful} columns`} it is not clear what ${doubtful === 1 ? "it is" : "they are"}: say it below, or under Cells and training what their cells mean.` : "";
  return `${tableName(stored)}: ${counted(stored)}. Each is taken for what its cells show, unless you say otherwise.${asked}`;
}

function columnsOf(columns) {
  const rows = columns.map((column, place) => ({
    mark: column.doubt ? "doubtful" : column.dropped ? "faint" : null,
    cells: [cell(column.name), kindOf(column, place), column.missing ? String(column.missing) : "–", examplesOf(column)],
  }));
  const made = table("Columns and what they are taken for", ["column", "taken for", "missing", "examples"], rows);
  made.querySelectorAll("tbody tr").forEach((row, place) => remark(row, columns[place], place));
  // On narrow screens rows are laid out as blocks, and would no longer be rows to everybody.
  const roles = { table: [made], rowgroup: made.querySelectorAll("thead, tbody"), row: made.querySelectorAll("tr"),
    columnheader: made.querySelectorAll("thead th"), rowheader: made.querySelectorAll("tbody th"), cell: made.querySelectorAll("td") };
  for (const [role, parts] of Object.entries(roles)) parts.forEach((part) => part.setAttribute("role", role));
  return made;
}

function kindOf({ name, kind, dropped, doubt }, place) {
  const inferred = doubt ? "choose …" : dropped ? "left out" : `${kind}, as found`;
  const select = element(
    "select",
    { "aria-label": `${name} is taken for`, "data-column": name, "aria-describedby": dropped || doubt ? `remark-${place}` : null, required: Boolean(doubt) },
    element("option", { value: "" }, inferred),
    ...KINDS.map((other) => element("option", { value: other }, other)),
    element("option", { value: "drop" }, "leave out"),
  );
  select.addEventListener("change", targetHint);
  return select;
}

const examplesOf = ({ examples }) =>
  element("span", {}, ...examples.flatMap((value, place) => [place ? " · " : "", typeof value === "string" ? cell(value) : String(value)]));

/** Why a column is left out, or asked about, in a cell of its own below the others. */
function remark(row, { dropped, doubt }, place) {
  if (!dropped && !doubt) return;
  row.classList.add("remarked");
  const words = doubt ? sentence(doubt) : `Left out: ${dropped}.`;
  row.after(element("tr", { class: `remark ${doubt ? "doubtful" : "faint"}` }, element("td", { colspan: 4, id: `remark-${place}` }, words)));
}

const kindFields = () => [...byId("columns").querySelectorAll("[data-column]")];
const kindsSaid = () => Object.fromEntries(kindFields().filter(({ value }) => value).map((field) => [field.dataset.column, field.value]));
const missingWords = () => byId("learn-missing").value.split(",").map((word) => word.trim()).filter(Boolean);

/** What kind of answer is learned, as the server will decide. */
function targetHint() {
  const column = chosen.columns.find(({ name }) => name === byId("learn-target").value);
  byId("learn-target-hint").textContent = column ? answersOf(column) : "the column that is to be answered";
}

function answersOf({ name, kind, labels, distinct, doubt }) {
  const task = byId("learn-task").value;
  const said = kindsSaid()[name];
  if (!task && ((doubt && !said) || (said && said !== kind))) return "numbers or labels, as the column then shows";
  const isLabels = task ? task === "classification" : labels;
  return isLabels ? `labels: one of ${distinct} different values is answered` : "numbers are answered";
}

/** A doubt is settled by a kind, or by what cells mean: then the server reads the table again. */
function settle() {
  const isSaid = missingWords().length > 0 || byId("learn-dates").value !== "";
  for (const field of kindFields()) {
    const { doubt } = chosen.columns.find(({ name }) => name === field.dataset.column);
    field.required = Boolean(doubt) && !isSaid;
  }
}

function tableSpec() {
  const value = (id) => byId(id).value || undefined;
  return {
    name: byId("learn-name").value,
    data: {
      kind: "table",
      dataset: chosen.id,
      target: byId("learn-target").value,
      columns: kindsSaid(),
      task: value("learn-task"),
      dates: value("learn-dates"),
      missing: missingWords(),
    },
    cross_validate: value("learn-folds") && { folds: byId("learn-folds").valueAsNumber },
  };
}

async function learn(submitted) {
  submitted.preventDefault();
  mark(byId("learn"), "", []);
  await train({ spec: tableSpec() }, byId("learn-problem"), byId("learn"));
  // A message on a column begins with its name; one on kinds in general is about the target's.
  const ofColumns = kindFields().map((field) => [field, field.dataset.column]);
  const ofTarget = ofColumns.filter(([, name]) => name === byId("learn-target").value).map(([field]) => [field, "data.columns"]);
  mark(byId("learn"), byId("learn-problem").textContent, [...placesIn(byId("learn")), ...ofColumns, ...ofTarget]);
}

// -- the key ---------------------------------------------------------------------------------------------------------

let keyAsked = null;

/** True when there is a new key to try; requests that are refused together are answered together. */
function askForKey(refusal) {
  keyAsked ??= new Promise((resolve) => {
    const dialog = byId("key-dialog");
    byId("key-why").textContent = refusal ? sentence(refusal.message) : "Needed only where the server asks for one.";
    byId("key").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => resolve(keyGiven(dialog.returnValue)), { once: true });
  }).finally(() => (keyAsked = null));
  return keyAsked;
}

function keyGiven(choice) {
  if (choice === "use") sessionStorage.setItem(KEY_NAME, byId("key").value);
  if (choice === "forget") sessionStorage.removeItem(KEY_NAME);
  byId("key").value = "";
  showKey();
  return choice === "use";
}

function showKey() {
  byId("key-open").textContent = sessionStorage.getItem(KEY_NAME) ? "Key ✓" : "Key";
}

// -- the page begins -------------------------------------------------------------------------------------------------

byId("predict").addEventListener("submit", predict);
byId("curl-copy").addEventListener("click", copyCurl);
byId("rollback").addEventListener("click", rollBack);
byId("again").addEventListener("submit", trainAgain);
byId("training-cancel").addEventListener("click", cancel);
byId("training-close").addEventListener("click", closeTraining);
byId("train-first").addEventListener("click", () => train({ pattern: "add-ten" }, byId("empty-problem")));
byId("create").addEventListener("submit", create);
for (const id of ["new-name", "learn-name"]) byId(id).addEventListener("input", () => nameHint(byId(id)));
byId("upload").addEventListener("submit", upload);
byId("upload-file").addEventListener("change", () => tell(byId("upload-problem"), null));
byId("learn").addEventListener("submit", learn);
byId("learn").addEventListener("input", settle);
for (const id of ["learn-target", "learn-task"]) byId(id).addEventListener("change", targetHint);
byId("add-input").addEventListener("click", addInput);
byId("add-output").addEventListener("click", addOutput);
byId("key-open").addEventListener("click", () => askForKey(null));
byId("skip").addEventListener("click", (event) => {
  // The hash names what is shown, so the link may not change it.
  event.preventDefault();
  byId("main").focus();
});
window.addEventListener("hashchange", () => go());
// Others train as well: who comes back to the page sees what there is now.
document.addEventListener("visibilitychange", () => document.hidden || listPatterns());

addLine("input", { name: "x", distribution: "uniform", low: -3, high: 3 });
addLine("output", { name: "y", formula: "x**2 + sin(3*x)" });
showKey();
await listPatterns();
await go({ focus: false });
await followWhatRuns();
