// What a run is told, by its environment.

const need = (name, why) => {
  const value = process.env[name];
  if (!value) {
    console.log(`${name} is not set: ${why}`);
    process.exit(2);
  }
  return value;
};

/** A one-time link into the dashboard; its origin is where the pages are. */
export const link = need("DINP_LINK", "the one-time link of `dinp open --dashboard`");
export const base = new URL(link).origin;
/** An access token, for the flow by keyboard alone, which signs in on the login page. */
export const token = need("DINP_TOKEN", "an access token (dinp tokens create)");
/** An artifact that runs and answers on $PORT, and its next version. */
export const file = need("DINP_FILE", "the path of an artifact that runs");
export const secondFile = process.env.DINP_SECOND_FILE ?? file;
/** One that fails. Where it is not set, the app is told by its environment to listen on loopback only. */
export const brokenFile = process.env.DINP_BROKEN_FILE;
/** Whether apps answer through a router: not on the fake API of dash's preview. */
export const traffic = process.env.DINP_TRAFFIC !== "0";
/** Where the README's pictures go; none are taken where it is not set. */
export const pictures = process.env.DINP_PICTURES;
export const chromium = process.env.DINP_CHROMIUM ?? "/usr/bin/chromium";
/** A deploy, its first base image included. */
export const deployMs = Number(process.env.DINP_DEPLOY_SECONDS ?? 180) * 1000;
/** The app the mouse makes, and the one the keyboard makes. */
export const app = "shop";
export const keyboardApp = "typed";
