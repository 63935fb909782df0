import type { ReactNode } from "react";

/** A region for wide content that scrolls horizontally, also by keyboard. */
export function ScrollRegion({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable regions must be focusable.
    <section className="scrolls" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
