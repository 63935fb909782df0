import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { keep, kept } from "../src/key/store";
import { refusal, serve } from "./service";

const accepts = { "/api/stats": { body: { concepts: 3 } } };

async function give(key: string) {
  await userEvent.type(screen.getByLabelText("API key"), key);
  await userEvent.click(screen.getByRole("button", { name: "Use this key" }));
}

describe("the API key", () => {
  it("is tried, then kept for this tab only", async () => {
    const seen = serve(accepts);
    render(<App />);
    await give("  my-key ");
    await waitFor(() => expect(screen.queryByLabelText("API key")).not.toBeInTheDocument());
    expect(seen.find(({ path }) => path === "/api/stats")?.key).toBe("Bearer my-key");
    expect(sessionStorage.length).toBe(1);
    expect(localStorage.length).toBe(0);
    expect(kept()).toBe("my-key");
  });

  it("is kept on the device when the person says so, after telling where", async () => {
    serve(accepts);
    render(<App />);
    expect(screen.getByText(/session storage: gone when you close the tab/)).toBeVisible();
    await userEvent.click(screen.getByLabelText(/Remember it/));
    expect(screen.getByText(/local storage until you press “Forget key”/)).toBeVisible();
    await give("my-key");
    await waitFor(() => expect(localStorage.length).toBe(1));
    expect(sessionStorage.length).toBe(0);
  });

  it("is not kept when the service refuses it", async () => {
    serve({ "/api/stats": refusal(401, "invalid_key", "The API key is not known.") });
    render(<App />);
    await give("wrong");
    expect(await screen.findByRole("alert")).toHaveTextContent(/^Sutra does not accept this key\./);
    expect(screen.getByRole("alert")).toHaveTextContent("The API key is not known.");
    expect(kept()).toBe("");
    expect(screen.getByLabelText("API key")).toHaveFocus();
    expect(screen.getByLabelText("API key")).toBeInvalid();
  });

  it("is kept untried while the service is down", async () => {
    serve({ "/api/stats": refusal(502, "api_unreachable", "The client cannot reach the api service.") });
    render(<App />);
    await give("my-key");
    await waitFor(() => expect(kept()).toBe("my-key"));
  });

  it.each(["   ", "two words", "schlüssel"])("is not sent when it cannot be one: %j", async (key) => {
    const seen = serve(accepts);
    render(<App />);
    await give(key);
    expect(await screen.findByRole("alert")).toBeVisible();
    expect(seen.some(({ path }) => path === "/api/stats")).toBe(false);
  });

  it("is forgotten everywhere on demand", async () => {
    serve(accepts);
    keep("my-key", "device");
    render(<App />);
    await userEvent.click(screen.getByRole("button", { name: "Forget key" }));
    expect(localStorage.length + sessionStorage.length).toBe(0);
    expect(screen.getByLabelText("API key")).toBeVisible();
    expect(screen.getByText(/no longer holds it/)).toBeVisible();
  });

  it("is asked for before a question goes out", async () => {
    const seen = serve(accepts);
    render(<App />);
    await userEvent.type(screen.getByLabelText("Your question"), "Why?{Enter}");
    await waitFor(() => expect(screen.getByLabelText("API key")).toHaveFocus());
    expect(seen.some(({ path }) => path === "/api/query")).toBe(false);
    expect(screen.getByLabelText("Your question")).toHaveValue("Why?");
  });

  it("works for this page where the browser denies storage", async () => {
    serve(accepts);
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("denied", "SecurityError");
    });
    render(<App />);
    await give("my-key");
    expect(await screen.findByText(/gone on reload/)).toBeVisible();
    expect(screen.queryByLabelText("API key")).not.toBeInTheDocument();
  });
});
