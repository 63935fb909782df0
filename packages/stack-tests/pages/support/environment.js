/** Settings from the environment. All missing variables are reported before the first test. */

const NEEDED = {
  URL_CLIENT: "URL of the client page, such as http://127.0.0.1:8080",
  URL_CONTROL: "URL of the control page, such as http://127.0.0.1:9000",
  SUTRA_API_KEY: "API key of the api service",
  SUTRA_CONTROL_PASSWORD: "password of the operator",
  PROJECT: "Compose project whose services are stopped and started",
};

const missing = Object.keys(NEEDED).filter((name) => !process.env[name]);
if (missing.length > 0) {
  console.error(`missing environment variables:\n${missing.map((name) => `  ${name}: ${NEEDED[name]}`).join("\n")}`);
  process.exit(1);
}

/** The operator that `deploy` creates. */
export const OPERATOR = "operator";
export const API_KEY = process.env.SUTRA_API_KEY;
export const PASSWORD = process.env.SUTRA_CONTROL_PASSWORD;
export const PROJECT = process.env.PROJECT;
/** Socket of the Docker engine. */
export const SOCKET = process.env.DOCKER_SOCKET ?? "/var/run/docker.sock";
/** Folder for screenshots. */
export const OUT = process.env.OUT ?? "/out";
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The URL of each service by name: `URL_BULK_INGESTER` is the one of `bulk-ingester`. */
export const URLS = new Map(
  Object.entries(process.env)
    .filter(([name, url]) => name.startsWith("URL_") && url)
    .map(([name, url]) => [name.slice("URL_".length).toLowerCase().replaceAll("_", "-"), url.replace(/\/+$/, "")]),
);

/** Replaces the secrets in `text`. */
export function withoutSecrets(text) {
  return [API_KEY, PASSWORD].reduce((rest, secret) => rest.replaceAll(secret, "•••"), text);
}
