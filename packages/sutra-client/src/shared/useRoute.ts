import { useCallback, useSyncExternalStore } from "react";

const ROUTES = ["/", "/topics", "/teach", "/texts"] as const;

/** The routes of the page. */
export type Route = (typeof ROUTES)[number];

/** The current route and a function to navigate; unknown paths are the first route. */
export function useRoute(): [Route, (to: Route) => void] {
  const route = useSyncExternalStore(subscribe, current);
  const navigate = useCallback((to: Route) => {
    if (to === current()) return;
    window.history.pushState(null, "", to);
    // `pushState` does not fire popstate.
    window.dispatchEvent(new PopStateEvent("popstate"));
  }, []);
  return [route, navigate];
}

function current(): Route {
  const path = window.location.pathname.replace(/\/+$/, "");
  return ROUTES.find((route) => route === path) ?? "/";
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  return () => window.removeEventListener("popstate", changed);
}
