import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    sourcemap: false,
    // The content security policy does not allow data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Licences of the bundled packages.
    license: { fileName: "licenses.txt" },
  },
  server: {
    port: 9001,
    proxy: { "/api": "http://127.0.0.1:9000" },
  },
  test: {
    environment: "jsdom",
    include: ["test/**/*.test.{ts,tsx}"],
    setupFiles: ["test/setup.ts"],
    testTimeout: 120_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
