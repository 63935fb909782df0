import { useCallback, useSyncExternalStore } from "react";

/** The pages there are. */
export type Route = "/" | "/teach";

/** The page the address names, and a way to go to another; addresses nobody knows mean the first page. */
export function useRoute(): [Route, (to: Route) => void] {
  const route = useSyncExternalStore(subscribe, current);
  const go = useCallback((to: Route) => {
    if (to === current()) return;
    window.history.pushState(null, "", to);
    // Only the browser's own buttons announce themselves.
    window.dispatchEvent(new PopStateEvent("popstate"));
  }, []);
  return [route, go];
}

function current(): Route {
  return window.location.pathname.replace(/\/+$/, "") === "/teach" ? "/teach" : "/";
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  return () => window.removeEventListener("popstate", changed);
}
