import { useEffect, useRef } from "react";

/** The heading of a view. It gets the focus when the view opens, so that screen readers announce it. */
export function Title({ children }: { children: string }) {
  const title = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    title.current?.focus();
  }, []);

  return (
    <h1 ref={title} tabIndex={-1}>
      {children}
    </h1>
  );
}
