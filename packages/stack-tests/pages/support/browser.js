import { chromium } from "playwright-core";
import { CHROMIUM } from "./environment.js";

// No sandbox: in a container without privileges Chromium cannot make one. The rest keeps it from calling home.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** Debian's Chromium, without a window. */
export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}
