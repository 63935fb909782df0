import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { loadKey, saveKey } from "../src/key/store";
import { refusal, serve } from "./service";

const accepts = { "/api/stats": { body: { concepts: 3 } } };

async function submit(key: string) {
  await userEvent.type(screen.getByLabelText("API key"), key);
  await userEvent.click(screen.getByRole("button", { name: "Use this key" }));
}

describe("the API key", () => {
  it("is checked, then stored for this tab only", async () => {
    const seen = serve(accepts);
    render(<App />);
    await submit("  my-key ");
    await waitFor(() => expect(screen.queryByLabelText("API key")).not.toBeInTheDocument());
    expect(seen.find(({ path }) => path === "/api/stats")?.key).toBe("Bearer my-key");
    expect(sessionStorage.length).toBe(1);
    expect(localStorage.length).toBe(0);
    expect(loadKey()).toBe("my-key");
  });

  it("is stored on the device if selected, with a hint where", async () => {
    serve(accepts);
    render(<App />);
    expect(screen.getByText(/Stored for this tab only, until you close it/)).toBeVisible();
    await userEvent.click(screen.getByLabelText("Remember on this device"));
    expect(screen.getByText(/Stored in this browser until you press “Forget key”/)).toBeVisible();
    await submit("my-key");
    await waitFor(() => expect(localStorage.length).toBe(1));
    expect(sessionStorage.length).toBe(0);
  });

  it("is not stored if the service rejects it", async () => {
    serve({ "/api/stats": refusal(401, "invalid_key", "Unknown API key.") });
    render(<App />);
    await submit("wrong");
    expect(await screen.findByRole("alert")).toHaveTextContent(/^Sutra rejected this API key\./);
    expect(screen.getByRole("alert")).toHaveTextContent("Unknown API key.");
    expect(loadKey()).toBe("");
    await waitFor(() => expect(screen.getByLabelText("API key")).toHaveFocus());
    expect(screen.getByLabelText("API key")).toBeInvalid();
  });

  it("is stored without a check while the service is down", async () => {
    serve({ "/api/stats": refusal(502, "api_unreachable", "Cannot reach the api service.") });
    render(<App />);
    await submit("my-key");
    await waitFor(() => expect(loadKey()).toBe("my-key"));
  });

  it.each(["   ", "two words", "schlüssel"])("is not sent if it is invalid: %j", async (key) => {
    const seen = serve(accepts);
    render(<App />);
    await submit(key);
    expect(await screen.findByRole("alert")).toBeVisible();
    expect(seen.some(({ path }) => path === "/api/stats")).toBe(false);
  });

  it("is deleted from all storage on request", async () => {
    serve(accepts);
    saveKey("my-key", "device");
    render(<App />);
    await userEvent.click(screen.getByRole("button", { name: "Forget key" }));
    expect(localStorage.length + sessionStorage.length).toBe(0);
    expect(screen.getByLabelText("API key")).toBeVisible();
    expect(screen.getByText("API key deleted from this browser.")).toBeVisible();
  });

  it("is requested before a question is sent", async () => {
    const seen = serve(accepts);
    render(<App />);
    await userEvent.type(screen.getByLabelText("Your question"), "Why?{Enter}");
    await waitFor(() => expect(screen.getByLabelText("API key")).toHaveFocus());
    expect(seen.some(({ path }) => path === "/api/query")).toBe(false);
    expect(screen.getByLabelText("Your question")).toHaveValue("Why?");
  });

  it("works until reload if the browser blocks storage", async () => {
    serve(accepts);
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("denied", "SecurityError");
    });
    render(<App />);
    await submit("my-key");
    expect(await screen.findByText(/lost when you reload the page/)).toBeVisible();
    expect(screen.queryByLabelText("API key")).not.toBeInTheDocument();
  });
});
