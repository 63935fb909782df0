import type { MouseEvent } from "react";
import type { Route } from "./shared/useRoute";

const PAGES: { route: Route; name: string }[] = [
  { route: "/", name: "Ask" },
  { route: "/teach", name: "Teach" },
];

interface Props {
  route: Route;
  go(to: Route): void;
  hasKey: boolean;
  onChange(): void;
  onForget(): void;
}

/** The page's head: its name, its two parts, and what can be done about the key. */
export function Head({ route, go, hasKey, onChange, onForget }: Props) {
  function follow(event: MouseEvent, to: Route) {
    // A click that asks for a new tab or window stays the browser's.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  }

  return (
    <header>
      <span className="brand">Sutra</span>
      <nav aria-label="Pages">
        {PAGES.map((page) => (
          <a
            key={page.route}
            href={page.route}
            aria-current={page.route === route ? "page" : undefined}
            onClick={(event) => follow(event, page.route)}
          >
            {page.name}
          </a>
        ))}
      </nav>
      {hasKey && (
        <div className="key-actions">
          <button type="button" onClick={onChange}>
            Change key
          </button>
          <button type="button" onClick={onForget}>
            Forget key
          </button>
        </div>
      )}
    </header>
  );
}
