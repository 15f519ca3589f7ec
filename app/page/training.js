// @ts-check
/**
 * The panel that follows a training, epoch by epoch: one at a time, the last one asked for.
 *
 * @typedef {import("./api.js").Job} Job
 * @typedef {{ job: Job, source: EventSource, loss: number[], valLoss: number[], isDrawn: boolean,
 *            promotion?: string }} Followed
 */
import { address, Refusal } from "./api.js";
import { drawCurve } from "./curve.js";
import { fill, find, findAll } from "./dom.js";
import { counted, scoreOf, short } from "./format.js";
import { attempt, tell } from "./problem.js";

const RETRY_MS = 1000;
// Another process of the server may hear of a version a moment later than the one that told us.
const SEEN_TRIES = 10;
const SEEN_PAUSE_MS = 300;

export class Training {
  #panel = find(document, "#training");
  #state = find(this.#panel, "#training-state");
  #problem = find(this.#panel, "#training-problem");
  #live = find(this.#panel, "#training-live");
  #cancel = find(this.#panel, "#training-cancel", HTMLButtonElement);
  #close = find(this.#panel, "#training-close", HTMLButtonElement);
  #server;
  #published;
  /** @type {Followed | null} */
  #followed = null;

  /**
   * @param {import("./api.js").Server} server
   * @param {(pattern: string) => unknown} published   called when the server serves what was learned
   */
  constructor(server, published) {
    this.#server = server;
    this.#published = published;
    this.#cancel.addEventListener("click", () => this.#cancelled());
    this.#close.addEventListener("click", () => this.#closed());
  }

  /**
   * Submit `body`, and follow it; while it is submitted, the buttons of `form` take no second click.
   * @param {unknown} body
   * @param {HTMLElement} problem
   * @param {HTMLElement} form
   */
  async submit(body, problem, form) {
    const buttons = findAll(form, "button:enabled", HTMLButtonElement);
    for (const button of buttons) button.disabled = true;
    await attempt(problem, async () => this.#follow(await this.#server.ask("/train", { method: "POST", body })));
    for (const button of buttons) button.disabled = false;
  }

  /** A page that is opened while something trains shows it. */
  async followWhatRuns() {
    const { jobs } = await this.#server.ask("/train").catch(() => ({ jobs: [] }));
    const running = /** @type {Job[]} */ (jobs).find(isUnderWay);
    if (running && !this.#followed) this.#follow(running, { scroll: false });
  }

  /** @param {Job} job */
  #follow(job, { scroll = true } = {}) {
    this.#followed?.source.close();
    find(this.#panel, "#training-title").textContent = `Training ${job.pattern}`;
    tell(this.#problem, null);
    this.#state.textContent = "Waiting for its turn …";
    this.#panel.hidden = this.#live.hidden = this.#cancel.hidden = false;
    this.#close.hidden = true;
    this.#followed = { job, source: new EventSource(job.links.events), loss: [], valLoss: [], isDrawn: true };
    this.#listen(this.#followed);
    this.#draw(this.#followed);
    if (scroll) this.#panel.scrollIntoView({ block: "start" });
  }

  /** @param {Followed} mine */
  #listen(mine) {
    /**
     * @param {string} kind
     * @param {(told: any) => unknown} heard
     */
    const on = (kind, heard) =>
      mine.source.addEventListener(kind, (event) => mine === this.#followed && heard(JSON.parse(event.data)));
    /** @param {string} words */
    const say = (words) => (this.#state.textContent = words);
    on("started", () => say("Training …"));
    on("fold", ({ fold, folds }) => say(`Cross-validating: fold ${fold} of ${folds} …`));
    on("trial_epoch", ({ trial, epoch, loss }) => say(`Trial ${trial}: epoch ${epoch}, loss ${short(loss)} …`));
    on("trial", ({ number, of, best }) => say(`Trial ${number + 1} of ${of} is done; the best is ${best ?? "none"} …`));
    on("finishing", () => say("The search has taken as long as it may; its best trial so far is trained …"));
    on("resumed", ({ trials }) => {
      if (trials !== undefined) return say(`The search goes on after ${counted(trials, "trial")} …`);
      mine.loss.length = mine.valLoss.length = 0;
      return say("The training begins again …");
    });
    on("epoch", (epoch) => this.#heard(mine, epoch));
    on("evaluated", ({ metrics }) => say(`Measured on the test rows: ${scoreOf(metrics.test)}. Publishing …`));
    on("compared", ({ why }) => {
      mine.promotion = why;
      say(`${why} Publishing …`);
    });
    on("published", ({ version }) => this.#succeeded(mine, version));
    on("failed", (error) => this.#ended(mine, "The training failed; nothing has changed.", error));
    on("cancelled", () => this.#ended(mine, "Cancelled; nothing has changed."));
    on("interrupted", (error) => this.#ended(mine, "The training was interrupted; nothing has changed.", error));
    mine.source.addEventListener("error", () => this.#lost(mine));
    mine.source.addEventListener("open", () => mine === this.#followed && tell(this.#problem, null));
  }

  /**
   * @param {Followed} mine
   * @param {{ epoch: number, loss: number, val_loss: number | null }} told
   */
  #heard(mine, { epoch, loss, val_loss: valLoss }) {
    mine.loss[epoch - 1] = loss;
    if (valLoss !== null) mine.valLoss[epoch - 1] = valLoss;
    // Epochs come faster than anybody can look: one picture a frame.
    if (mine.isDrawn) requestAnimationFrame(() => this.#draw(mine));
    mine.isDrawn = false;
  }

  /** @param {Followed} mine */
  #draw(mine) {
    mine.isDrawn = true;
    if (mine !== this.#followed) return;
    const { loss, valLoss, job } = mine;
    const total = job.progress.epochs;
    const progress = find(this.#live, "progress", HTMLProgressElement);
    [progress.max, progress.value] = [total, loss.length];
    fill(find(this.#live, "#training-facts"), [
      ["epoch", `${loss.length} of ${total}`],
      ["loss", loss.length ? short(loss[loss.length - 1]) : "–"],
      ["validation loss", valLoss.length ? short(valLoss[valLoss.length - 1]) : null],
    ]);
    drawCurve(find(this.#live, "figure"), { loss, valLoss, total });
  }

  /**
   * The browser comes back by itself from a lost connection, but not from a refusal, such as of a server that is
   * starting: then the record of the training says how it stands.
   * @param {Followed} mine
   */
  async #lost(mine) {
    if (mine !== this.#followed) return;
    tell(this.#problem, new Refusal("reconnecting", "the connection is lost; waiting for it to come back"));
    if (mine.source.readyState !== EventSource.CLOSED) return;
    const job = await this.#server.ask(mine.job.links.self).catch((/** @type {unknown} */ refusal) => refusal);
    if (mine !== this.#followed) return;
    if (job instanceof Error) this.#lostFor(mine, job);
    else if (isUnderWay(job)) this.#listenAgain(mine);
    else if (job.status === "succeeded") {
      mine.promotion = job.promotion?.why;
      await this.#succeeded(mine, job.version);
    } else this.#ended(mine, `The training ended: ${job.status}.`, job.error);
  }

  /**
   * @param {Followed} mine
   * @param {Error} reason
   */
  #lostFor(mine, reason) {
    const isForgotten = reason instanceof Refusal && reason.code === "unknown_job";
    if (isForgotten) this.#ended(mine, "The server no longer knows this training.");
    else setTimeout(() => this.#lost(mine), RETRY_MS);
  }

  /**
   * The server tells all of it again.
   * @param {Followed} mine
   */
  #listenAgain(mine) {
    mine.source = new EventSource(mine.job.links.events);
    this.#listen(mine);
  }

  /**
   * @param {Followed} mine
   * @param {number} version
   */
  async #succeeded(mine, version) {
    mine.source.close();
    await this.#seen(mine.job.pattern, version);
    const words = [`Version ${version} of ${mine.job.pattern} is published.`, mine.promotion];
    this.#ended(mine, words.filter(Boolean).join(" "));
    await this.#published(mine.job.pattern);
  }

  /**
   * @param {string} pattern
   * @param {number} version
   */
  async #seen(pattern, version) {
    for (let tries = 0; tries < SEEN_TRIES; tries += 1) {
      const summary = await this.#server.ask(address(pattern)).catch(() => null);
      if (summary?.versions.includes(version)) return;
      await new Promise((resolve) => setTimeout(resolve, SEEN_PAUSE_MS));
    }
  }

  /**
   * @param {Followed} mine
   * @param {string} words
   * @param {{ code: string, message: string } | null} [error]
   */
  #ended(mine, words, error) {
    mine.source.close();
    if (mine !== this.#followed) return;
    this.#draw(mine);
    this.#state.textContent = words;
    tell(this.#problem, error?.message ? new Refusal(error.code, error.message) : null);
    this.#live.hidden = mine.loss.length === 0;
    this.#cancel.hidden = true;
    this.#close.hidden = false;
  }

  async #cancelled() {
    const mine = this.#followed;
    if (mine === null) return;
    await attempt(this.#problem, async () => {
      await this.#server.ask(mine.job.links.cancel, { method: "DELETE" });
      if (mine === this.#followed && !this.#cancel.hidden) this.#state.textContent = "Cancelling …";
    });
  }

  #closed() {
    this.#panel.hidden = true;
    find(document, "#main").focus({ preventScroll: true });
  }
}

/** @param {Job} job */
const isUnderWay = ({ status }) => status === "running" || status === "queued";
