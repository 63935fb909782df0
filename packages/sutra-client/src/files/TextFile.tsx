import { useEffect, useEffectEvent, useState } from "react";
import { TeachingStatus } from "../teach/TeachingStatus";
import { useTeaching } from "../teach/useTeaching";
import { FileName } from "./FileName";
import type { FileProps } from "./FilesForm";

/** A file that is taught as a text; the service cuts it into passages. */
export function TextFile({ file, mayStart, apiKey, onNeedKey, onSettled, onDone }: FileProps) {
  const { teaching, start, resume, stop } = useTeaching(apiKey, onSettled);
  const [fault, setFault] = useState("");
  const teach = useEffectEvent(async (text: string | undefined) => {
    if (text === undefined) setFault("This file is not UTF-8. Save it as UTF-8, then choose it again.");
    else if (text.trim() === "") setFault("This file is empty.");
    else await start([{ text, source: file.name }]);
    onDone();
  });

  useEffect(() => {
    if (!mayStart) return;
    let isGone = false;
    readUtf8(file).then((text) => {
      if (!isGone) teach(text);
    });
    return () => {
      isGone = true;
    };
  }, [mayStart, file]);

  return (
    <>
      <FileName file={file}>
        {teaching.state === "running" && (
          <button type="button" className="push" aria-label={`Stop teaching ${file.name}`} onClick={stop}>
            Stop
          </button>
        )}
      </FileName>
      {teaching.state === "idle" && fault === "" && <p className="hint">Waiting for earlier files.</p>}
      {fault && (
        <p className="notice bad" role="alert">
          {fault}
        </p>
      )}
      <TeachingStatus teaching={teaching} onResume={resume} onNeedKey={onNeedKey} />
    </>
  );
}

/** The text of a file; undefined if it is not UTF-8 or cannot be read. */
async function readUtf8(file: File): Promise<string | undefined> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}
