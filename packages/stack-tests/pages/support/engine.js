import http from "node:http";
import { PROJECT, SOCKET } from "./environment.js";
import { until } from "./until.js";

/**
 * Runs `body` while the Compose service `service` is stopped. Restarts the service and waits until it is healthy, even if
 * `body` fails.
 */
export async function without(visitor, service, body) {
  let id;
  await visitor.step(`stops ${service}`, async () => {
    id = await containerOf(service);
    await request("POST", `/containers/${id}/stop?t=10`);
  });
  let failure;
  try {
    await body();
  } catch (error) {
    failure = error;
  }
  await visitor.step(`restarts ${service}`, async () => {
    await request("POST", `/containers/${id}/start`);
    await until(`${service} to be healthy after its restart`, async () => {
      const { State: state } = await request("GET", `/containers/${id}/json`);
      if (state.Health?.Status === "healthy") return true;
      throw new Error(`${state.Status}, ${state.Health?.Status ?? "without a health check"}`);
    });
  });
  if (failure) throw failure;
}

async function containerOf(service) {
  const label = [`com.docker.compose.project=${PROJECT}`, `com.docker.compose.service=${service}`];
  const found = await request("GET", `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify({ label }))}`);
  if (found.length === 1) return found[0].Id;
  throw new Error(`project ${PROJECT} has ${found.length} containers of ${service}, expected 1`);
}

function request(method, path) {
  return new Promise((resolve, reject) => {
    const call = http.request({ socketPath: SOCKET, method, path, headers: { Host: "docker" } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("error", reject);
      response.on("end", () => {
        // 304: already stopped or started.
        if (response.statusCode >= 400) {
          reject(new Error(`the Docker engine returned ${response.statusCode} for ${method} ${path}: ${text.trim()}`));
        } else resolve(text ? JSON.parse(text) : undefined);
      });
    });
    call.on("error", (error) => {
      const remedy = error.code === "EACCES" ? "; add the group of the socket to the container with --group-add" : "";
      reject(new Error(`cannot reach the Docker engine at ${SOCKET}: ${error.message}${remedy}`));
    });
    call.end();
  });
}
