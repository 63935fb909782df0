import type { Route } from "./shared/useRoute";

const VIEWS: { route: Route; name: string }[] = [
  { route: "#/", name: "Services" },
  { route: "#/jobs", name: "Jobs" },
  { route: "#/concepts", name: "Concepts" },
];

interface Props {
  /** Undefined before signing in. */
  operator: string | undefined;
  route: Route;
  onSignOut(): void;
}

/** The page header: name, navigation and the operator. */
export function Header({ operator, route, onSignOut }: Props) {
  return (
    <header>
      <span className="brand">
        Sutra <span className="soft">control</span>
      </span>
      {operator !== undefined && (
        <>
          <nav aria-label="Pages">
            {VIEWS.map((view) => (
              <a key={view.route} href={view.route} aria-current={view.route === route ? "page" : undefined}>
                {view.name}
              </a>
            ))}
          </nav>
          <div className="who">
            <span className="hint">
              Signed in as <strong>{operator}</strong>
            </span>
            <a href="#/password" aria-current={route === "#/password" ? "page" : undefined}>
              Change password
            </a>
            <button type="button" onClick={onSignOut}>
              Sign out
            </button>
          </div>
        </>
      )}
    </header>
  );
}
