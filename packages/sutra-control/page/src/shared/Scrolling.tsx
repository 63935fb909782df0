import type { ReactNode } from "react";

/** What may be wider than its place: it scrolls by itself, by keyboard too, and the page does not. */
export function Scrolling({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard.
    <section className="scrolls" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
