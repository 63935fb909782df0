import { chromium } from "playwright-core";
import { CHROMIUM } from "./environment.js";

// Chromium cannot create a sandbox in an unprivileged container. The other flags disable background network traffic.
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

/** Starts Debian's Chromium in headless mode. */
export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}
