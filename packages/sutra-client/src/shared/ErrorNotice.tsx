import { type ApiError, remedy } from "../api/error";

interface Props {
  error: ApiError;
  /** Offered when the key is what was refused. */
  onChangeKey?: (() => void) | undefined;
}

/** An error in the words of whoever refused, and what to do about it. */
export function ErrorNotice({ error, onChangeKey }: Props) {
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{error.message}</strong>
      </p>
      <p>{remedy(error)}</p>
      <p className="hint">
        {error.status >= 400 && `Status ${error.status}, `}code <code>{error.code}</code>
      </p>
      {error.isAboutTheKey && onChangeKey && (
        <button type="button" onClick={onChangeKey}>
          Change the key
        </button>
      )}
    </div>
  );
}
