import { act, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { keep } from "../src/key/store";
import { refusal, serve } from "./service";

describe("the service's health", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is told while it is down, and no longer once it is back", async () => {
    let up = false;
    serve({
      "/api/health": () => (up ? { body: { status: "ok" } } : refusal(502, "api_unreachable", "not there")),
    });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is not answering/)).toBeVisible();
    up = true;
    await act(() => vi.advanceTimersByTimeAsync(10_000));
    expect(screen.queryByText(/Sutra is not answering/)).not.toBeInTheDocument();
    expect(screen.getByText("Sutra is answering again.")).toBeVisible();
    // Another look a moment later does not take the word back.
    await act(async () => window.dispatchEvent(new Event("online")));
    expect(screen.getByText("Sutra is answering again.")).toBeVisible();
    await act(() => vi.advanceTimersByTimeAsync(60_000));
    expect(screen.queryByText("Sutra is answering again.")).not.toBeInTheDocument();
  });

  it("names the services that are missing while it is up itself", async () => {
    const dependencies = { hybrid: "unreachable", storage: "ok", nlg: "unknown" };
    serve({ "/api/health": { body: { status: "ok", dependencies } } });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/A part of Sutra is not well: hybrid\./)).toBeVisible();
  });

  it("is asked for at once when a request fails for want of it, and when one succeeds again", async () => {
    let up = true;
    serve({
      "/api/health": () => (up ? { body: { status: "ok" } } : refusal(502, "api_unreachable", "not there")),
      "/api/query": () =>
        up ? { body: { answer: "Yes.", citations: [] } } : refusal(502, "api_unreachable", "not there"),
    });
    keep("my-key", "tab");
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    fireEvent.change(screen.getByLabelText("Your question"), { target: { value: "Why?" } });
    up = false;
    fireEvent.keyDown(screen.getByLabelText("Your question"), { key: "Enter" });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is not answering/)).toBeVisible();
    up = true;
    fireEvent.keyDown(screen.getByLabelText("Your question"), { key: "Enter" });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText("Sutra is answering again.")).toBeVisible();
  });

  it("tells starting from down", async () => {
    serve({ "/api/health": { status: 503, body: { status: "starting", service: "api" } } });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is starting/)).toBeVisible();
  });

  it("is asked for once a minute while all is well, and not by a hidden page", async () => {
    const seen = serve({});
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(59_000));
    expect(seen).toHaveLength(1);
    await act(() => vi.advanceTimersByTimeAsync(2_000));
    expect(seen).toHaveLength(2);
    vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await act(() => vi.advanceTimersByTimeAsync(600_000));
    expect(seen).toHaveLength(2);
  });
});

describe("the two parts", () => {
  it("follow the address, keep what was typed and move the focus", async () => {
    serve({});
    keep("my-key", "tab");
    render(<App />);
    await userEvent.type(screen.getByLabelText("Your question"), "Half a");
    await userEvent.click(screen.getByRole("link", { name: "Teach" }));
    expect(window.location.pathname).toBe("/teach");
    expect(screen.getByRole("heading", { level: 1, name: "Teach a text" })).toHaveFocus();
    expect(screen.getByRole("link", { name: "Teach" })).toHaveAttribute("aria-current", "page");
    expect(screen.queryByRole("textbox", { name: "Your question" })).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole("link", { name: "Ask" }));
    expect(screen.getByLabelText("Your question")).toHaveValue("Half a");
    expect(document.title).toBe("Sutra");
  });

  it("show the first for an address nobody knows", () => {
    serve({});
    window.history.replaceState(null, "", "/no/such/page");
    render(<App />);
    expect(screen.getByRole("heading", { level: 1, name: "Ask a question" })).toBeVisible();
  });
});
