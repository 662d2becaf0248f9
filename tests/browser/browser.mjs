// One Chromium for the run.
import { chromium } from "playwright-core";
import * as settings from "./settings.mjs";

export const browser = await chromium.launch({
  executablePath: settings.chromium,
  // The tests run as root, where Chromium's own sandbox cannot.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});

/** A window of its own, with cookies of its own; errors of its pages' scripts are collected in `errors`. */
export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const errors = [];
  context.on("weberror", (error) => errors.push(String(error.error())));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text())) errors.push(message.text());
  });
  return { context, page, errors };
}
