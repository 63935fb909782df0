/** What the tests are told by their environment; all that is missing is named at once, before any test (`npm test`). */

const NEEDED = {
  URL_CLIENT: "where the client's page is, such as http://127.0.0.1:8080",
  URL_CONTROL: "where control's page is, such as http://127.0.0.1:9000",
  SUTRA_API_KEY: "an API key that the api service accepts",
  SUTRA_CONTROL_PASSWORD: "the password of the operator",
  PROJECT: "the Compose project whose services are stopped and started",
};

const missing = Object.keys(NEEDED).filter((name) => !process.env[name]);
if (missing.length > 0) {
  console.error(`set in the environment:\n${missing.map((name) => `  ${name}: ${NEEDED[name]}`).join("\n")}`);
  process.exit(1);
}

/** The operator whose password is given; `deploy` makes this one. */
export const OPERATOR = "operator";
export const API_KEY = process.env.SUTRA_API_KEY;
export const PASSWORD = process.env.SUTRA_CONTROL_PASSWORD;
export const PROJECT = process.env.PROJECT;
/** Where the engine listens. */
export const SOCKET = process.env.DOCKER_SOCKET ?? "/var/run/docker.sock";
/** Where screenshots go. */
export const OUT = process.env.OUT ?? "/out";
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The address of each service by its name: `URL_BULK_INGESTER` is that of `bulk-ingester`. */
export const URLS = new Map(
  Object.entries(process.env)
    .filter(([name, url]) => name.startsWith("URL_") && url)
    .map(([name, url]) => [name.slice("URL_".length).toLowerCase().replaceAll("_", "-"), url.replace(/\/+$/, "")]),
);

/** `text` without what is secret. */
export function withoutSecrets(text) {
  return [API_KEY, PASSWORD].reduce((rest, secret) => rest.replaceAll(secret, "•••"), text);
}
