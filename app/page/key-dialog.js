// @ts-check
/** The dialog that asks for a key, and the button that opens it. */
import { storedKey } from "./api.js";
import { find } from "./dom.js";
import { sentence } from "./format.js";

export class KeyDialog {
  #dialog = find(document, "#key-dialog", HTMLDialogElement);
  #key = find(document, "#key", HTMLInputElement);
  #opener = find(document, "#key-open");
  /** @type {Promise<boolean> | null} */
  #asking = null;

  constructor() {
    this.#opener.addEventListener("click", () => this.ask(null));
    this.#show();
  }

  /**
   * Return true if there is a new key to try; requests that are refused together are answered together.
   * @param {import("./api.js").Refusal | null} refusal
   * @returns {Promise<boolean>}
   */
  ask(refusal) {
    this.#asking ??= this.#asked(refusal).finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** @param {import("./api.js").Refusal | null} refusal */
  async #asked(refusal) {
    const words = refusal ? sentence(refusal.message) : "Needed only where the server asks for one.";
    find(this.#dialog, "#key-why").textContent = words;
    this.#key.value = "";
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    await new Promise((closed) => this.#dialog.addEventListener("close", closed, { once: true }));
    return this.#taken(this.#dialog.returnValue);
  }

  /** @param {string} choice */
  #taken(choice) {
    if (choice === "use") storedKey.write(this.#key.value);
    if (choice === "forget") storedKey.forget();
    this.#key.value = "";
    this.#show();
    return choice === "use";
  }

  #show() {
    this.#opener.textContent = storedKey.read() ? "Key ✓" : "Key";
  }
}
