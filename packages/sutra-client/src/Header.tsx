import type { MouseEvent } from "react";
import type { Route } from "./shared/useRoute";

const PAGES: { route: Route; name: string }[] = [
  { route: "/", name: "Ask" },
  { route: "/topics", name: "Topics" },
  { route: "/teach", name: "Teach" },
  { route: "/texts", name: "Texts" },
];

interface Props {
  route: Route;
  navigate(to: Route): void;
  /** Whether the edition has topics. */
  hasTopics: boolean;
  hasKey: boolean;
  onChange(): void;
  onForget(): void;
}

/** The page header: name, navigation and key actions. */
export function Header({ route, navigate, hasTopics, hasKey, onChange, onForget }: Props) {
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
        {PAGES.filter((page) => page.route !== "/topics" || hasTopics).map((page) => (
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
