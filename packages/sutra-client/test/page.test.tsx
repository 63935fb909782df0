import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { refusal, serve } from "./service";

describe("the health banner", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("shows an outage and the recovery", async () => {
    let up = false;
    serve({
      "/api/health": () => (up ? { body: { status: "ok" } } : refusal(502, "api_unreachable", "unreachable")),
    });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is not responding/)).toBeVisible();
    up = true;
    await act(() => vi.advanceTimersByTimeAsync(10_000));
    expect(screen.queryByText(/Sutra is not responding/)).not.toBeInTheDocument();
    expect(screen.getByText("Sutra is responding again.")).toBeVisible();
    // Another check shortly after does not hide the notice.
    await act(async () => window.dispatchEvent(new Event("online")));
    expect(screen.getByText("Sutra is responding again.")).toBeVisible();
    await act(() => vi.advanceTimersByTimeAsync(60_000));
    expect(screen.queryByText("Sutra is responding again.")).not.toBeInTheDocument();
  });

  it("names the unavailable dependencies", async () => {
    const dependencies = { hybrid: "unreachable", storage: "ok", nlg: "unknown" };
    serve({ "/api/health": { body: { status: "ok", dependencies } } });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Some services are unavailable: hybrid\./)).toBeVisible();
  });

  it("is updated at once when a request fails and when one succeeds again", async () => {
    let up = true;
    serve({
      "/api/health": () => (up ? { body: { status: "ok" } } : refusal(502, "api_unreachable", "unreachable")),
      "/api/query": () =>
        up ? { body: { answer: "Yes.", citations: [] } } : refusal(502, "api_unreachable", "unreachable"),
    });
    saveKey("my-key", "tab");
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    fireEvent.change(screen.getByLabelText("Your question"), { target: { value: "Why?" } });
    up = false;
    fireEvent.keyDown(screen.getByLabelText("Your question"), { key: "Enter" });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is not responding/)).toBeVisible();
    up = true;
    fireEvent.keyDown(screen.getByLabelText("Your question"), { key: "Enter" });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText("Sutra is responding again.")).toBeVisible();
  });

  it("distinguishes starting from down", async () => {
    serve({ "/api/health": { status: 503, body: { status: "starting", service: "api" } } });
    render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(screen.getByText(/Sutra is starting/)).toBeVisible();
  });

  it("polls once a minute while the service is up, and never while the page is hidden", async () => {
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

describe("navigation", () => {
  it("follows the URL, keeps the input and moves the focus", async () => {
    serve({});
    saveKey("my-key", "tab");
    render(<App />);
    await userEvent.type(screen.getByLabelText("Your question"), "Half a");
    await userEvent.click(screen.getByRole("link", { name: "Teach" }));
    expect(window.location.pathname).toBe("/teach");
    await waitFor(() => expect(screen.getByRole("heading", { level: 1, name: "Teach a text" })).toHaveFocus());
    expect(document.title).toBe("Teach · Sutra");
    expect(screen.getByRole("link", { name: "Teach" })).toHaveAttribute("aria-current", "page");
    expect(screen.queryByRole("textbox", { name: "Your question" })).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole("link", { name: "Ask" }));
    expect(screen.getByLabelText("Your question")).toHaveValue("Half a");
    await waitFor(() => expect(document.title).toBe("Sutra"));
  });

  it("shows the first view for an unknown path", () => {
    serve({});
    window.history.replaceState(null, "", "/no/such/page");
    render(<App />);
    expect(screen.getByRole("heading", { level: 1, name: "Ask a question" })).toBeVisible();
  });
});
