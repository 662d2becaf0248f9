// <log-view data-src="…">: lines of NDJSON as they come. It follows until the reader scrolls up, keeps a bounded
// window, and takes up where it was after a lost connection or a hidden tab.

/** Lines in the window, and lines held back while it is paused; older ones go. */
const WINDOW_LINES = 5_000;
/** Wait between connections, doubled up to the limit while they fail. */
const RETRY_MS = 1_000;
const RETRY_LIMIT_MS = 15_000;
/** A reader this near to the end is following. */
const END_PX = 24;

const level = (text) => /\b(ERROR|FATAL|PANIC|Exception|panicked)\b/.exec(text) ? "error" : /\bWARN(ING)?\b/.exec(text) ? "warn" : "";
// Colours are the terminal's business; the codes would stand between the words.
const plain = (text) => text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");

class LogView extends HTMLElement {
  #waiting = [];
  #held = 0;
  #frame = 0;
  #paused = false;
  #seen = new Map();
  #stop = new AbortController();
  #request = null;
  #retry = RETRY_MS;
  #timer = 0;
  #ended = false;

  connectedCallback() {
    this.box = this.querySelector("[role=log]");
    this.state = this.querySelector("[data-log-state]");
    this.jump = this.querySelector("[data-log-jump]");
    const on = (target, name, run) => target.addEventListener(name, run, { signal: this.#stop.signal });
    on(this.box, "scroll", () => this.#scrolled());
    on(this.jump, "click", () => this.#resume());
    on(document, "visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    const wrap = this.querySelector("[data-log-wrap]");
    if (wrap) on(wrap, "change", () => this.box.classList.toggle("wrap", wrap.checked));
    const instance = this.querySelector("[data-log-instance]");
    if (instance) on(instance, "change", () => this.#choose(instance.value));
    if (!document.hidden) this.#open();
  }

  disconnectedCallback() {
    this.#stop.abort();
    this.#close();
  }

  #choose(instance) {
    const url = new URL(this.dataset.src, location.href);
    if (instance) url.searchParams.set("instance", instance);
    else url.searchParams.delete("instance");
    this.dataset.src = url.pathname + url.search;
    this.#close();
    this.#seen.clear();
    this.#waiting = [];
    this.#held = 0;
    this.box.replaceChildren();
    this.#paused = false;
    this.#open();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    this.#request = null;
  }

  async #open() {
    if (this.#request || this.#ended) return;
    const request = (this.#request = new AbortController());
    try {
      const answer = await fetch(this.dataset.src, { signal: request.signal, headers: { accept: "application/x-ndjson" } });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.#retry = RETRY_MS;
      this.#say("● following");
      await this.#read(answer.body.getReader());
      // A build's log has an end; an app's has not, so there an end is a lost connection.
      if (this.dataset.ends !== undefined) {
        this.#ended = true;
        this.#say("end of log");
        return;
      }
    } catch (error) {
      if (request.signal.aborted) return;
    }
    if (request.signal.aborted) return;
    this.#request = null;
    this.#say("not connected, trying again…");
    this.#timer = setTimeout(() => this.#open(), this.#retry);
    this.#retry = Math.min(this.#retry * 2, RETRY_LIMIT_MS);
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.trim() !== "") this.#take(line);
    }
  }

  #take(line) {
    let item;
    try {
      item = JSON.parse(line);
    } catch {
      return;
    }
    // After a reconnect the server repeats its last lines; what was shown already is skipped.
    const order = item.n !== undefined ? item.n : item.at;
    const key = item.instance ?? "";
    const seen = this.#seen.get(key);
    if (seen !== undefined && order <= seen) return;
    this.#seen.set(key, order);
    this.#waiting.push(item);
    if (this.#paused) this.#held += 1;
    if (this.#waiting.length > WINDOW_LINES) this.#waiting.shift();
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    if (this.#paused) {
      this.jump.textContent = `Paused · ${this.#held} new · Jump to live`;
      this.jump.hidden = false;
      return;
    }
    const rows = document.createDocumentFragment();
    for (const item of this.#waiting) rows.append(this.#row(item));
    this.#waiting = [];
    this.box.querySelector("[data-log-empty]")?.remove();
    this.box.append(rows);
    while (this.box.childElementCount > WINDOW_LINES) this.box.firstElementChild.remove();
    this.box.scrollTop = this.box.scrollHeight;
  }

  #row(item) {
    const row = document.createElement("div");
    row.className = `line ${item.stderr ? "err" : ""} ${level(item.text)}`;
    const time = document.createElement("time");
    time.dateTime = item.at;
    time.textContent = (item.at.split("T")[1] ?? item.at).slice(0, 12).replace(/Z$/, "");
    row.append(time);
    if (item.instance) {
      const who = document.createElement("b");
      who.textContent = item.instance;
      row.append(who);
    }
    const text = document.createElement("span");
    text.textContent = plain(item.text);
    row.append(text);
    return row;
  }

  #atEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < END_PX;
  }

  #scrolled() {
    if (this.#atEnd()) {
      if (this.#paused) this.#resume();
    } else if (!this.#paused) {
      this.#paused = true;
      this.#held = 0;
      this.jump.textContent = "Paused · Jump to live";
      this.jump.hidden = false;
      this.#say("paused");
    }
  }

  #resume() {
    this.#paused = false;
    this.#held = 0;
    this.jump.hidden = true;
    this.#say(this.#request ? "● following" : this.#ended ? "end of log" : "not connected, trying again…");
    this.#draw();
    this.box.scrollTop = this.box.scrollHeight;
    if (document.activeElement === document.body) this.box.focus();
  }

  #say(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
  }
}

customElements.define("log-view", LogView);
