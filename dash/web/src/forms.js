// Small conveniences on top of forms that work without scripts: a stepper, a busy state, copying,
// typing a name to confirm, toasts that go, and the set-up page's own submit.

/** How long a toast, and the Undo on it, stays. */
const TOAST_MS = 10_000;

function step(button) {
  const form = button.form;
  const input = form.elements.instances;
  const next = Number(input.value || 0) + Number(button.value);
  input.value = Math.min(Number(input.max), Math.max(Number(input.min), next));
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Shows "3 → 5" beside the stepper while the number differs from what is wanted now. */
function hint(input) {
  const note = input.form.querySelector("[data-change]");
  if (!note) return;
  const now = input.getAttribute("value");
  note.textContent = input.value !== "" && input.value !== now ? `${now} → ${input.value}` : "";
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without https the clipboard may be closed to scripts; a selection still copies.
    const area = document.createElement("textarea");
    area.value = button.dataset.copy;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1_500);
}

function busy(form, on) {
  for (const button of form.querySelectorAll("button[type=submit]")) {
    button.toggleAttribute("aria-busy", on);
    button.setAttribute("aria-disabled", on ? "true" : "false");
    if (!on) button.removeAttribute("aria-disabled");
  }
  form.toggleAttribute("data-busy", on);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  if (button.dataset.step !== undefined) {
    event.preventDefault();
    step(button);
  } else if (button.dataset.copy !== undefined) {
    copy(button);
  } else if (button.dataset.dismiss !== undefined) {
    button.closest(".toast, .callout")?.remove();
  }
});

document.addEventListener("input", (event) => {
  const input = event.target;
  if (input.name === "instances") hint(input);
  if (input.dataset.mustEqual !== undefined) {
    const button = input.form.querySelector("button[type=submit]");
    button.disabled = input.value !== input.dataset.mustEqual;
  }
});

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (form.hasAttribute("data-busy")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (form.method === "post") busy(form, true);
  },
  true,
);
document.addEventListener("htmx:finally:request", (event) => {
  const form = event.target.closest?.("form");
  if (!form) return;
  busy(form, false);
  form.closest(".toast")?.remove();
  for (const input of form.querySelectorAll("input[name=instances]")) hint(input);
});
// Back from the browser's own page cache, a form must not stay busy.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-busy]")) busy(form, false);
});

new MutationObserver((changes) => {
  for (const change of changes) {
    for (const toast of change.addedNodes) {
      if (toast.nodeType === Node.ELEMENT_NODE) setTimeout(() => leave(toast), TOAST_MS);
    }
  }
}).observe(document.getElementById("toasts"), { childList: true });

/** A toast under the pointer or with the focus stays until that ends. */
function leave(toast) {
  if (toast.matches(":hover, :focus-within")) setTimeout(() => leave(toast), 1_000);
  else toast.remove();
}

for (const input of document.querySelectorAll("[data-must-equal]")) {
  input.form.querySelector("button[type=submit]").disabled = input.value !== input.dataset.mustEqual;
}

// The one-time link is used when a person looks at the page, not when something fetches it ahead of time.
const auto = document.querySelector("form[data-autosubmit]");
if (auto) {
  if (document.prerendering) document.addEventListener("prerenderingchange", () => auto.requestSubmit(), { once: true });
  else auto.requestSubmit();
}
