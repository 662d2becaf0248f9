// <drop-zone>: take one file, by dropping it anywhere on the page or by choosing it; ask for the app's name; send it
// with progress; open the deploy's page. The browser streams the file from the disk, so its size does not matter here.

/** How often the name is checked while somebody types it. */
const CHECK_MS = 250;

export function bytes(count) {
  if (count < 1e3) return `${count} B`;
  if (count < 1e6) return `${Math.round(count / 1e3)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(1)} MB`;
  return `${(count / 1e9).toFixed(1)} GB`;
}

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

class DropZone extends HTMLElement {
  #file = null;
  #upload = null;
  #check = 0;
  #checks = 0;
  #started = 0;
  #stop = new AbortController();

  connectedCallback() {
    const part = (name) => this.querySelector(`[data-drop=${name}]`);
    this.ask = part("ask");
    this.confirm = part("confirm");
    this.sending = part("sending");
    this.problem = part("problem");
    this.picker = part("picker");
    this.hint = part("hint");
    this.form = this.confirm;
    const on = (target, name, run) => target.addEventListener(name, run, { signal: this.#stop.signal });
    on(part("choose"), "click", () => this.picker.click());
    on(this.picker, "change", () => this.picker.files.length && this.#take(this.picker.files[0]));
    on(this.form, "submit", (event) => (event.preventDefault(), this.#send()));
    on(this.form.elements.app, "input", () => this.#checkSoon());
    on(part("discard"), "click", () => this.#reset());
    on(part("cancel"), "click", () => this.#upload?.abort());
    on(window, "dragover", (event) => hasFiles(event) && (event.preventDefault(), this.toggleAttribute("data-over", true)));
    on(window, "dragleave", (event) => event.relatedTarget === null && this.removeAttribute("data-over"));
    on(window, "drop", (event) => hasFiles(event) && this.#dropped(event));
    on(window, "beforeunload", (event) => this.#upload && event.preventDefault());
  }

  disconnectedCallback() {
    this.#stop.abort();
    this.#upload?.abort();
  }

  #dropped(event) {
    event.preventDefault();
    this.removeAttribute("data-over");
    if (this.#upload) return;
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const folder = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    if (folder) return this.#fail("A folder cannot be sent as it is.", "Pack it first: tar -czf site.tar.gz -C FOLDER .");
    if (items.length > 1) return this.#fail("That is more than one file.", "Drop one artifact, or an archive of the files.");
    const file = event.dataTransfer.files[0];
    if (file) this.#take(file);
  }

  #take(file) {
    this.#show(this.confirm);
    if (file.size === 0) return this.#fail(`${file.name} is empty.`, "Choose the file your build wrote.", true);
    const limit = Number(this.dataset.limit);
    if (file.size > limit) {
      return this.#fail(`${file.name} has ${bytes(file.size)}; the limit is ${bytes(limit)}.`, "Leave out what the app does not need to run.", true);
    }
    this.#file = file;
    this.querySelector("[data-drop=file]").textContent = `${file.name} · ${bytes(file.size)}`;
    this.form.elements.app.value = this.dataset.app ?? "";
    this.#checkName(this.dataset.app ? {} : { file_name: file.name });
    this.form.querySelector("button[type=submit]").focus();
  }

  #checkSoon() {
    clearTimeout(this.#check);
    this.#check = setTimeout(() => this.#checkName({}), CHECK_MS);
  }

  /** Asks what a name would mean: a new app, a new version, or not possible and why. */
  async #checkName(query) {
    const turn = ++this.#checks;
    const input = this.form.elements.app;
    const params = new URLSearchParams({ name: input.value, ...query });
    try {
      const answer = await fetch(`/ui/name?${params}`);
      const said = await answer.json();
      if (turn !== this.#checks) return false;
      if (query.file_name) input.value = said.name;
      this.hint.textContent = said.hint;
      input.setAttribute("aria-invalid", said.ok ? "false" : "true");
      return said.ok;
    } catch {
      return true;
    }
  }

  async #send() {
    if (!this.#file || this.#upload) return;
    if (!(await this.#checkName({}))) return this.form.elements.app.focus();
    const query = new URLSearchParams({ file_name: this.#file.name });
    if (this.form.elements.kind.value) query.set("kind", this.form.elements.kind.value);
    const request = new XMLHttpRequest();
    this.#upload = request;
    this.#started = performance.now();
    request.open("PUT", `/ui/apps/${encodeURIComponent(this.form.elements.app.value)}/artifact?${query}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => this.#progress(event.loaded, event.total));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#broken());
    request.addEventListener("abort", () => this.#ended("Upload cancelled.", "Nothing was changed."));
    this.#progress(0, this.#file.size);
    this.#show(this.sending);
    this.querySelector("[data-drop=cancel]").focus();
    request.send(this.#file);
  }

  #progress(sent, total) {
    const bar = this.querySelector("progress");
    bar.max = total;
    bar.value = sent;
    const seconds = (performance.now() - this.#started) / 1000;
    const rate = sent / Math.max(seconds, 0.001);
    const left = sent > 0 && sent < total ? ` · ${Math.ceil((total - sent) / rate)} s left` : "";
    const words = sent >= total ? "Sent. Waiting for the answer…" : `${Math.floor((sent / total) * 100)} % of ${bytes(total)} · ${bytes(rate)}/s${left}`;
    this.querySelector("[data-drop=progress]").textContent = words;
  }

  #answered(request) {
    this.#upload = null;
    let said = {};
    try {
      said = JSON.parse(request.responseText);
    } catch {
      // A proxy's error page is no JSON; the status says enough.
    }
    if (request.status === 202 && said.location) return location.assign(said.location);
    if (request.status === 401) return location.reload();
    this.#ended(said.detail ?? `The server answered ${request.status}.`, said.suggestion ?? "Try again.");
  }

  #broken() {
    this.#ended("The connection broke before the file had arrived.", "Nothing was changed. Try again.");
  }

  #ended(why, fix) {
    this.#upload = null;
    this.#show(this.confirm);
    this.#fail(why, fix, true);
  }

  #fail(why, fix, keep = false) {
    if (!keep || !this.#file) this.#show(this.ask);
    this.problem.hidden = false;
    this.problem.querySelector("b").textContent = why;
    this.problem.querySelector("span").textContent = fix;
  }

  #reset() {
    this.#file = null;
    this.picker.value = "";
    this.#show(this.ask);
    this.querySelector("[data-drop=choose]").focus();
  }

  #show(part) {
    for (const each of [this.ask, this.confirm, this.sending]) each.hidden = each !== part;
    this.problem.hidden = true;
  }
}

customElements.define("drop-zone", DropZone);
