// @ts-check
/**
 * The page for people: lists the patterns, asks them, trains them, through the same API that programs use.
 *
 *     location.hash    "" all patterns · "#quadratic" one of them
 *                      "#/new" a new one · "#/new/table" one from a table
 *
 * @typedef {object} Page                    what every view works with
 * @property {Server} server
 * @property {PatternList} patterns
 * @property {Training} training
 * @typedef {object} View
 * @property {string} kind
 * @property {string} pattern                its name; empty where none is shown
 * @property {string} title
 * @property {HTMLElement} root
 * @property {HTMLElement} heading           where a reader who comes here begins
 * @property {() => Promise<void>} show      draws what the server says, also again
 */
import { Server } from "./api.js";
import { find } from "./dom.js";
import { KeyDialog } from "./key-dialog.js";
import { Training } from "./training.js";
import { NewFormula } from "./views/new-formula.js";
import { NewTable } from "./views/new-table.js";
import { Overview } from "./views/overview.js";
import { PatternView } from "./views/pattern.js";
import { PatternList } from "./views/patterns.js";

const keys = new KeyDialog();
const server = new Server((refusal) => keys.ask(refusal));
const patterns = new PatternList(server);
const training = new Training(server, published);
/** @type {Page} */
const page = { server, patterns, training };
/**
 * Made once: what was typed stays, wherever the reader goes meanwhile.
 * @type {Map<string, View>}
 */
const lasting = new Map([
  ["", new Overview(page)],
  ["/new", new NewFormula(page)],
  ["/new/table", new NewTable(page)],
]);
/** @type {View | undefined} */
let shown;

async function go({ focus = true } = {}) {
  const target = location.hash.slice(1);
  const view = lasting.get(target) ?? new PatternView(target, page);
  shown = view;
  find(document, "#view").replaceChildren(view.root);
  document.body.dataset.view = view.kind;
  document.title = view.title;
  patterns.choose(view.pattern);
  await view.show();
  if (focus && view === shown) {
    window.scrollTo(0, 0);
    view.heading.focus({ preventScroll: true });
  }
}

/**
 * A pattern has a new version: the reader sees it, unless another pattern is being looked at.
 * @param {string} pattern
 */
async function published(pattern) {
  await patterns.load();
  if (shown?.pattern === pattern) await shown.show();
  else if (shown?.kind !== "pattern") location.hash = pattern;
}

window.addEventListener("hashchange", () => go());
// Others train as well: who comes back to the page sees what there is now.
document.addEventListener("visibilitychange", () => document.hidden || patterns.load());
find(document, "#skip").addEventListener("click", (event) => {
  // The hash names what is shown, so the link may not change it.
  event.preventDefault();
  find(document, "#main").focus();
});

patterns.load();
training.followWhatRuns();
go({ focus: false });
