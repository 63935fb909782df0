import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

// A busy machine may need seconds for what takes milliseconds; nothing is waited for longer than needed.
configure({ asyncUtilTimeout: 60_000 });

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
  window.history.replaceState(null, "", "/");
});

afterEach(cleanup);
