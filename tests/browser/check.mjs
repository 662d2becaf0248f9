// Counting checks: one line each, a picture of the page where one fails, and a last line that adds up.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

let passed = 0;
const failed = [];

/** Runs one check. A failure is told and thrown on, since what follows in a flow builds on it. */
export async function check(name, page, run) {
  const began = Date.now();
  try {
    await run();
    passed += 1;
    console.log(`ok      ${name}  (${Date.now() - began} ms)`);
  } catch (error) {
    failed.push(name);
    console.log(`FAILED  ${name}: ${String(error.message ?? error).split("\n").slice(0, 6).join("\n        ")}`);
    await picture(name, page);
    throw new Stop();
  }
}

/** A check on which nothing builds: the flow goes on after it has failed. */
export const glance = (name, page, run) => check(name, page, run).catch(() => {});

/** Ends a flow whose failure has been told. */
class Stop extends Error {}

/** Runs a flow to its end or its first failure; the other flows still run. */
export async function flow(name, run) {
  console.log(`-- ${name}`);
  try {
    await run();
  } catch (error) {
    if (error instanceof Stop) return;
    failed.push(name);
    console.log(`FAILED  ${name}: ${error.stack ?? error}`);
  }
}

async function picture(name, page) {
  if (!page) return;
  const folder = process.env.DINP_FAILURES ?? "/tmp/dinp-browser-failures";
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name.replace(/\W+/g, "-")}.png`);
  await page.screenshot({ path, fullPage: true }).then(() => console.log(`        ${page.url()}, see ${path}`), () => {});
}

export function finish() {
  for (const name of failed) console.log(`failed: ${name}`);
  console.log(`test result: ${failed.length === 0 ? "ok" : "FAILED"}. ${passed} passed; ${failed.length} failed`);
  return failed.length === 0 && passed > 0 ? 0 : 1;
}

export function that(condition, words) {
  if (!condition) throw new Error(words);
}

/** Waits until `probe` gives something true; the error holds what it gave last. */
export async function until(words, probe, limitMs = 30_000) {
  const end = Date.now() + limitMs;
  let last;
  for (;;) {
    last = await probe();
    if (last) return last;
    if (Date.now() > end) throw new Error(`${words}: not within ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
