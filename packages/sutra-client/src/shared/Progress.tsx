import { type ReactNode, useId } from "react";

interface Props {
  label: string;
  done: number;
  total: number;
  /** Details, such as how much is done. */
  children?: ReactNode;
}

/** Work in progress, to be placed in a status region. The bar appears once a part is done. */
export function Progress({ label, done, total, children }: Props) {
  const id = useId();
  return (
    <div className="progress">
      <p id={id} className="working">
        {label}
      </p>
      {done > 0 && total > 0 && <progress aria-labelledby={id} max={total} value={done} />}
      {/* Changes too often to be announced. */}
      {children && (
        <p className="hint" aria-live="off">
          {children}
        </p>
      )}
    </div>
  );
}
