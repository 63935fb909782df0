import { useSyncExternalStore } from "react";

const ROUTES = ["#/", "#/jobs", "#/concepts", "#/password"] as const;

/** The views of the page, as fragments of its URL: the service knows only `/`. */
export type Route = (typeof ROUTES)[number];

/** The current route; unknown fragments are the first route. */
export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

function current(): Route {
  return ROUTES.find((route) => route === window.location.hash) ?? "#/";
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}
