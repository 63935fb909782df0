import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { sentence } from "../src/shared/format";
import { lost, refusal, serve, status } from "./service";

const nobody = { body: { operator: null, reason: "" } };
const over = refusal(401, "unauthorized", "nobody is signed in");
const whole = { "GET /api/status": { body: status() } };

async function give(name: string, password: string) {
  const user = userEvent.setup();
  await user.type(await screen.findByLabelText("Name"), name);
  await user.type(screen.getByLabelText("Password"), password);
  await user.click(screen.getByRole("button", { name: "Sign in" }));
}

describe("signing in", () => {
  it("sends name and password once, and shows the services", async () => {
    const seen = serve({ ...whole, "GET /api/session": nobody, "POST /api/session": { body: { operator: "anna" } } });
    render(<App />);
    expect(await screen.findByLabelText("Name")).toHaveFocus();
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
    await give("anna", "secret");
    expect(await screen.findAllByRole("article")).toHaveLength(8);
    expect(seen.filter(({ method }) => method === "POST")).toEqual([
      { path: "/api/session", method: "POST", body: { name: "anna", password: "secret" } },
    ]);
    expect(screen.getByText("anna")).toBeVisible();
    expect(screen.getByRole("heading", { level: 1 })).toHaveFocus();
    expect(localStorage.length + sessionStorage.length).toBe(0);
  });

  it.each([
    refusal(401, "wrong_password", "the name or the password is wrong; try again"),
    refusal(429, "too_many_requests", "too many failed sign-ins from 10.0.0.1; try again in 12 s"),
    refusal(503, "no_operators", "no operator is configured; make one with `python -m sutra_control.users new NAME`"),
  ])("says why it is refused (%#)", async (reply) => {
    serve({ "GET /api/session": nobody, "POST /api/session": reply });
    render(<App />);
    await give("anna", "wrong");
    expect(await screen.findByRole("alert")).toHaveTextContent(sentence(reply.body.error.message));
    expect(screen.getByLabelText("Name")).toHaveValue("anna");
    const isWrong = reply.status === 401;
    expect(screen.getByLabelText("Password").getAttribute("aria-invalid")).toBe(String(isWrong));
  });

  it("sends nothing while a field is empty", async () => {
    const seen = serve({ "GET /api/session": nobody });
    render(<App />);
    const user = userEvent.setup();
    await user.type(await screen.findByLabelText("Name"), "anna{Enter}");
    expect(screen.getByLabelText("Password")).toHaveFocus();
    expect(seen.some(({ method }) => method === "POST")).toBe(false);
  });

  it("says beforehand when nobody can sign in", async () => {
    const reason = "no operator is configured; set SUTRA_CONTROL_USERS";
    serve({ "GET /api/session": { body: { operator: null, reason } } });
    render(<App />);
    expect(await screen.findByText(/set SUTRA_CONTROL_USERS/)).toBeVisible();
  });
});

describe("a session", () => {
  it("ends when the person says so", async () => {
    const seen = serve({ ...whole, "DELETE /api/session": { status: 204 } });
    render(<App />);
    await userEvent.click(await screen.findByRole("button", { name: "Sign out" }));
    expect(await screen.findByLabelText("Name")).toHaveFocus();
    expect(seen.at(-1)).toMatchObject({ method: "DELETE", path: "/api/session" });
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
  });

  it("does not seem to end when control could not be told", async () => {
    serve({ ...whole, "DELETE /api/session": lost });
    render(<App />);
    await userEvent.click(await screen.findByRole("button", { name: "Sign out" }));
    expect(await screen.findByText(/You are still signed in/)).toBeVisible();
    expect(screen.getByRole("button", { name: "Sign out" })).toBeVisible();
  });

  it("that is over leads back to the sign-in and says so", async () => {
    serve({ "GET /api/status": over });
    render(<App />);
    expect(await screen.findByText(/Your session is over/)).toBeVisible();
    expect(screen.getByLabelText("Name")).toHaveFocus();
  });
});

describe("control that does not answer at first", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is named, and asked again until it does", async () => {
    vi.useFakeTimers();
    let up = false;
    serve({ ...whole, "GET /api/session": () => (up ? { body: { operator: "anna" } } : lost) });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByRole("alert")).toHaveTextContent("Sutra control is not answering.");
    up = true;
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    vi.useRealTimers();
    await waitFor(() => expect(screen.getAllByRole("article")).toHaveLength(8));
  });
});
