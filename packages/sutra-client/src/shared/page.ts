import type { RefObject } from "react";

/** What every page needs. */
export interface PageProps {
  /** The page heading, which gets the focus after navigation. */
  title: RefObject<HTMLHeadingElement | null>;
  apiKey: string;
  /** Called when a request needs a key or was rejected because of it. */
  onNeedKey(): void;
  /** Called when a request has ended; `failed` if the service could not be reached or failed. */
  onSettled(failed: boolean): void;
}
