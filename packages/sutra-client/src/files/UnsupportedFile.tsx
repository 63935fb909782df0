import { useEffect, useEffectEvent } from "react";
import { FileName } from "./FileName";
import type { FileProps } from "./FilesForm";

/** A file that cannot be taught. */
export function UnsupportedFile({ file, onDone }: FileProps) {
  const done = useEffectEvent(onDone);
  useEffect(() => done(), []);
  return (
    <>
      <FileName file={file} />
      <p className="notice bad" role="alert">
        This kind of file cannot be taught. Save it as .txt, .md, .jsonl or .csv, then choose it again.
      </p>
    </>
  );
}
