import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { sentence } from "../src/shared/format";
import { connectionError, refusal, serve, status } from "./service";

const signedOut = { body: { operator: null, reason: "" } };
const ended = refusal(401, "unauthorized", "not signed in");
const allUp = { "GET /api/status": { body: status() } };

async function signIn(name: string, password: string) {
  const user = userEvent.setup();
  await user.type(await screen.findByLabelText("Name"), name);
  await user.type(screen.getByLabelText("Password"), password);
  await user.click(screen.getByRole("button", { name: "Sign in" }));
}

describe("signing in", () => {
  it("sends name and password once, and shows the services", async () => {
    const seen = serve({
      ...allUp,
      "GET /api/session": signedOut,
      "POST /api/session": { body: { operator: "anna" } },
    });
    render(<App />);
    await waitFor(() => expect(screen.getByLabelText("Name")).toHaveFocus());
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
    await signIn("anna", "secret");
    expect(await screen.findAllByRole("article")).toHaveLength(8);
    expect(seen.filter(({ method }) => method === "POST")).toEqual([
      { path: "/api/session", method: "POST", body: { name: "anna", password: "secret" } },
    ]);
    expect(screen.getByText("anna")).toBeVisible();
    await waitFor(() => expect(screen.getByRole("heading", { level: 1 })).toHaveFocus());
    expect(localStorage.length + sessionStorage.length).toBe(0);
  });

  it.each([
    refusal(401, "wrong_password", "wrong name or password"),
    refusal(429, "too_many_requests", "too many failed sign-ins from 10.0.0.1; try again in 12 s"),
    refusal(503, "no_operators", "no operator is configured; create one with `python -m sutra_control.users new NAME`"),
  ])("shows why it failed (%#)", async (reply) => {
    serve({ "GET /api/session": signedOut, "POST /api/session": reply });
    render(<App />);
    await signIn("anna", "wrong");
    expect(await screen.findByRole("alert")).toHaveTextContent(sentence(reply.body.error.message));
    expect(screen.getByLabelText("Name")).toHaveValue("anna");
    const isWrong = reply.status === 401;
    expect(screen.getByLabelText("Password").getAttribute("aria-invalid")).toBe(String(isWrong));
  });

  it("sends nothing while a field is empty", async () => {
    const seen = serve({ "GET /api/session": signedOut });
    render(<App />);
    const user = userEvent.setup();
    await user.type(await screen.findByLabelText("Name"), "anna{Enter}");
    await waitFor(() => expect(screen.getByLabelText("Password")).toHaveFocus());
    expect(seen.some(({ method }) => method === "POST")).toBe(false);
  });

  it("shows in advance that sign-in is impossible", async () => {
    const reason = "no operator is configured; set SUTRA_CONTROL_USERS";
    serve({ "GET /api/session": { body: { operator: null, reason } } });
    render(<App />);
    expect(await screen.findByText(/set SUTRA_CONTROL_USERS/)).toBeVisible();
  });
});

describe("a session", () => {
  it("ends on sign-out", async () => {
    const seen = serve({ ...allUp, "DELETE /api/session": { status: 204 } });
    render(<App />);
    await userEvent.click(await screen.findByRole("button", { name: "Sign out" }));
    await waitFor(() => expect(screen.getByLabelText("Name")).toHaveFocus());
    expect(seen.at(-1)).toMatchObject({ method: "DELETE", path: "/api/session" });
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
  });

  it("stays open if signing out fails", async () => {
    serve({ ...allUp, "DELETE /api/session": connectionError });
    render(<App />);
    await userEvent.click(await screen.findByRole("button", { name: "Sign out" }));
    expect(await screen.findByText(/You are still signed in/)).toBeVisible();
    expect(screen.getByRole("button", { name: "Sign out" })).toBeVisible();
  });

  it("returns to the sign-in form when it has ended", async () => {
    serve({ "GET /api/status": ended });
    render(<App />);
    expect(await screen.findByText(/Your session has ended/)).toBeVisible();
    await waitFor(() => expect(screen.getByLabelText("Name")).toHaveFocus());
  });
});

describe("control that does not respond at first", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is reported and retried", async () => {
    vi.useFakeTimers();
    let up = false;
    serve({ ...allUp, "GET /api/session": () => (up ? { body: { operator: "anna" } } : connectionError) });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByRole("alert")).toHaveTextContent("Sutra control is not responding.");
    up = true;
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    vi.useRealTimers();
    await waitFor(() => expect(screen.getAllByRole("article")).toHaveLength(8));
  });
});
