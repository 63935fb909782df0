import http from "node:http";
import { PROJECT, SOCKET } from "./environment.js";
import { until } from "./until.js";

/**
 * Runs `body` while the Compose service `service` is stopped; afterwards it runs and is healthy again, whatever became of
 * `body`.
 */
export async function without(visitor, service, body) {
  let id;
  await visitor.step(`stops ${service}`, async () => {
    id = await containerOf(service);
    await ask("POST", `/containers/${id}/stop?t=10`);
  });
  let failure;
  try {
    await body();
  } catch (error) {
    failure = error;
  }
  await visitor.step(`starts ${service} again`, async () => {
    await ask("POST", `/containers/${id}/start`);
    await until(`${service} is healthy after its start`, async () => {
      const { State: state } = await ask("GET", `/containers/${id}/json`);
      if (state.Health?.Status === "healthy") return true;
      throw new Error(`${state.Status}, ${state.Health?.Status ?? "without a health check"}`);
    });
  });
  if (failure) throw failure;
}

async function containerOf(service) {
  const label = [`com.docker.compose.project=${PROJECT}`, `com.docker.compose.service=${service}`];
  const found = await ask("GET", `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify({ label }))}`);
  if (found.length === 1) return found[0].Id;
  throw new Error(`project ${PROJECT} has ${found.length} containers of ${service}; the tests need one`);
}

function ask(method, path) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath: SOCKET, method, path, headers: { Host: "docker" } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("error", reject);
      response.on("end", () => {
        // 304: it was stopped or started already.
        if (response.statusCode >= 400) {
          reject(new Error(`the engine answered ${response.statusCode} to ${method} ${path}: ${text.trim()}`));
        } else resolve(text ? JSON.parse(text) : undefined);
      });
    });
    request.on("error", (error) => {
      const remedy = error.code === "EACCES" ? "; give the container the socket's group with --group-add" : "";
      reject(new Error(`no engine at ${SOCKET}: ${error.message}${remedy}`));
    });
    request.end();
  });
}
