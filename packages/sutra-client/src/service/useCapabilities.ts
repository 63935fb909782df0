import { useEffect, useState } from "react";
import { readCapabilities } from "../api/sutra";

/** What the edition can do; undefined while unknown. Read again when the service has recovered. */
export function useCapabilities(apiKey: string, isUp: boolean): string[] | undefined {
  const [capabilities, setCapabilities] = useState<string[]>();
  const isKnown = capabilities !== undefined;

  useEffect(() => {
    if (apiKey === "" || !isUp || isKnown) return;
    const controller = new AbortController();
    readCapabilities({ key: apiKey, signal: controller.signal }).then(setCapabilities, () => {
      // Topics are not offered then; other pages report what is wrong.
    });
    return () => controller.abort();
  }, [apiKey, isUp, isKnown]);

  return capabilities;
}
