import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { type Reply, refusal, type SentRequest, serve } from "./service";

const RULES = { reason: "", min_characters: 15, min_different: 6 };
const NEW = "seven green umbrellas";

beforeEach(() => {
  window.history.replaceState(null, "", "/#/password");
});

async function show(reply: Reply = { body: { ended_sessions: 1 } }): Promise<SentRequest[]> {
  const seen = serve({ "GET /api/password": { body: RULES }, "POST /api/password": reply });
  render(<App />);
  await screen.findByLabelText("Current password");
  return seen;
}

async function change(current: string, next: string, again = next) {
  const user = userEvent.setup();
  const values: [string, string][] = [
    ["Current password", current],
    ["New password", next],
    ["Repeat new password", again],
  ];
  for (const [label, value] of values) if (value) await user.type(screen.getByLabelText(label), value);
  await user.click(screen.getByRole("button", { name: "Change password" }));
}

const sent = (seen: SentRequest[]) => seen.filter(({ method }) => method === "POST").map(({ body }) => body);

describe("the password page", () => {
  it.each([
    [1, "Password changed."],
    [2, "Password changed. 1 other session has ended."],
    [4, "Password changed. 3 other sessions have ended."],
  ])("changes the password and clears the fields (%d sessions)", async (ended, text) => {
    const seen = await show({ body: { ended_sessions: ended } });
    await change("old one", NEW);
    expect(await screen.findByText(text)).toBeVisible();
    expect(sent(seen)).toEqual([{ current: "old one", new: NEW }]);
    for (const label of ["Current password", "New password", "Repeat new password"]) {
      await waitFor(() => expect(screen.getByLabelText(label)).toHaveValue(""));
    }
    expect(localStorage.length + sessionStorage.length).toBe(0);
  });

  it.each([
    ["", NEW, NEW, "Current password", /Enter your current password/],
    ["old", "fourteen chars", "fourteen chars", "New password", /at least 15 characters/],
    ["old", NEW, `${NEW}!`, "Repeat new password", /do not match/],
  ])("refuses what cannot be right before sending it (%#)", async (current, next, again, label, text) => {
    const seen = await show();
    await change(current, next, again);
    expect(await screen.findByText(text)).toBeVisible();
    await waitFor(() => expect(screen.getByLabelText(label)).toHaveFocus());
    expect(screen.getByLabelText(label)).toBeInvalid();
    expect(screen.getByLabelText(label)).toHaveAccessibleDescription(text);
    expect(sent(seen)).toEqual([]);
  });

  it.each([
    [refusal(403, "wrong_password", "the current password is wrong"), "Current password"],
    [refusal(422, "weak_password", "the new password is too weak: it contains the name"), "New password"],
  ])("shows why control refused it, at the field (%#)", async (reply, label) => {
    await show(reply);
    await change("old", NEW);
    await waitFor(() => expect(screen.getByLabelText(label)).toBeInvalid());
    expect(screen.getByRole("alert")).toHaveTextContent(new RegExp(reply.body.error.message, "i"));
    expect(screen.getByLabelText("New password")).toHaveValue(NEW);
  });

  it.each([
    refusal(429, "too_many_requests", "too many failed sign-ins; try again in 12 s"),
    refusal(503, "cannot_store", "cannot store the password: no space left on device"),
  ])("shows other failures (%#)", async (reply) => {
    await show(reply);
    await change("old", NEW);
    expect(await screen.findByText(new RegExp(reply.body.error.message, "i"))).toBeVisible();
  });

  it("says what to do if control cannot store passwords", async () => {
    const reason = "control cannot store passwords: SUTRA_CONTROL_DATA is not set";
    serve({ "GET /api/password": { body: { ...RULES, reason } } });
    render(<App />);
    expect(await screen.findByText(/SUTRA_CONTROL_DATA is not set/)).toBeVisible();
    expect(screen.queryByLabelText("Current password")).not.toBeInTheDocument();
  });

  it("returns to the sign-in form when the session has ended", async () => {
    await show(refusal(401, "unauthorized", "not signed in"));
    await change("old", NEW);
    expect(await screen.findByText(/Your session has ended/)).toBeVisible();
  });
});

describe("navigation", () => {
  it("opens each view with its heading in focus, and marks it", async () => {
    await show();
    const user = userEvent.setup();
    serve({ "GET /api/jobs": { body: { jobs: [], next: null, more: false } } });
    await user.click(screen.getByRole("link", { name: "Jobs" }));
    await waitFor(() => expect(screen.getByRole("heading", { level: 1, name: "Ingest jobs" })).toHaveFocus());
    expect(screen.getByRole("link", { name: "Jobs" })).toHaveAttribute("aria-current", "page");
    expect(screen.getByRole("link", { name: "Services" })).not.toHaveAttribute("aria-current");
  });
});
