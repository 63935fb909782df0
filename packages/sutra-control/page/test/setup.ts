import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// Build machines may be slow; passing tests do not wait longer.
configure({ asyncUtilTimeout: 60_000 });

afterEach(() => {
  cleanup();
  window.history.replaceState(null, "", "/");
});
