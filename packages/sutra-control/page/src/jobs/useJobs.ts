import { useState } from "react";
import { type ApiError, asApiError } from "../api/error";
import { readJobs } from "../api/jobs";
import type { Job } from "../api/types";
import { usePolling } from "../shared/usePolling";

/** Milliseconds between polls. */
const INTERVAL = 5_000;

interface Read {
  jobs: Job[] | undefined;
  next: string | null;
  more: boolean;
  error: ApiError | undefined;
}

/** The jobs that have been read, and functions to read older ones and to read all again. */
export interface PolledJobs extends Read {
  isReadingMore: boolean;
  readMore(): void;
  refresh(): void;
}

/** Polls the first page of jobs, and as many more as were asked for, while the page is visible. */
export function useJobs(onSignedOut: () => void): PolledJobs {
  const [read, setRead] = useState<Read>({ jobs: undefined, next: null, more: false, error: undefined });
  const [asked, setAsked] = useState({ pages: 1, times: 0 });
  const [shownPages, setShownPages] = useState(0);

  usePolling(
    async (signal) => {
      try {
        const jobs: Job[] = [];
        let next: string | null = null;
        let more = false;
        for (let page = 0; page < asked.pages && (page === 0 || next !== null); page += 1) {
          const found = await readJobs(next, signal);
          jobs.push(...found.jobs);
          next = found.next;
          more = found.more;
        }
        if (signal.aborted) return;
        setRead({ jobs, next, more, error: undefined });
        setShownPages(asked.pages);
      } catch (cause) {
        if (signal.aborted) return;
        const error = asApiError(cause);
        if (error.isSignedOut) onSignedOut();
        // Keep the last jobs; the page says that they may be outdated.
        else setRead((before) => ({ ...before, error }));
      }
    },
    INTERVAL,
    asked,
  );

  return {
    ...read,
    isReadingMore: read.jobs !== undefined && shownPages < asked.pages && !read.error,
    readMore: () => setAsked(({ pages, times }) => ({ pages: pages + 1, times })),
    refresh: () => setAsked(({ pages, times }) => ({ pages, times: times + 1 })),
  };
}
