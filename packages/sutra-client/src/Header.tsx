import type { MouseEvent } from "react";
import type { Route } from "./shared/useRoute";

const PAGES: { route: Route; name: string }[] = [
  { route: "/", name: "Ask" },
  { route: "/teach", name: "Teach" },
];

interface Props {
  route: Route;
  navigate(to: Route): void;
  hasKey: boolean;
  onChange(): void;
  onForget(): void;
}

/** The page header: name, navigation and key actions. */
export function Header({ route, navigate, hasKey, onChange, onForget }: Props) {
  function follow(event: MouseEvent, to: Route) {
    // Leave clicks that open a new tab or window to the browser.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
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
