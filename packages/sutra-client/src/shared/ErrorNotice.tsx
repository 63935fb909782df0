import type { ReactNode } from "react";
import { type ApiError, headline, remedy } from "../api/error";

interface Props {
  error: ApiError;
  /** Offered if the key was rejected. */
  onChangeKey?: (() => void) | undefined;
  /** Details, shown below the remedy. */
  children?: ReactNode;
}

/** An error in plain words, its remedy, and the service's message and code for support. */
export function ErrorNotice({ error, onChangeKey, children }: Props) {
  const title = headline(error);
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{title}</strong>
      </p>
      <p>{remedy(error)}</p>
      {children}
      <p className="hint">
        {title.toLowerCase() !== error.message.toLowerCase() && `${error.message} · `}
        {error.status >= 400 && `Status ${error.status}, `}code <code>{error.code}</code>
      </p>
      {error.isKeyError && onChangeKey && (
        <button type="button" onClick={onChangeKey}>
          Use a different key
        </button>
      )}
    </div>
  );
}
