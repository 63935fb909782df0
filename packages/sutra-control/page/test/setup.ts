import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// A build machine may do several things at once; a test that passes waits no longer for it.
configure({ asyncUtilTimeout: 10_000 });

afterEach(cleanup);
