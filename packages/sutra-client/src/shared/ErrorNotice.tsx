import { type ApiError, headline, remedy } from "../api/error";

interface Props {
  error: ApiError;
  /** Offered when the key is what was refused. */
  onChangeKey?: (() => void) | undefined;
}

/** An error in plain words, what to do about it, and what whoever refused has said, for whoever is asked for help. */
export function ErrorNotice({ error, onChangeKey }: Props) {
  const words = headline(error);
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{words}</strong>
      </p>
      <p>{remedy(error)}</p>
      <p className="hint">
        {words.toLowerCase() !== error.message.toLowerCase() && `${error.message} · `}
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
