import { useEffect, useEffectEvent } from "react";
import { FileName } from "./FileName";
import type { FileProps } from "./FilesForm";

/** A file of an unsupported type. */
export function UnsupportedFile({ file, onDone }: FileProps) {
  const done = useEffectEvent(onDone);
  useEffect(() => done(), []);
  return (
    <>
      <FileName file={file} />
      <p className="notice bad" role="alert">
        This file type is not supported. Save it as .txt, .md, .jsonl or .csv, then choose it again.
      </p>
    </>
  );
}
