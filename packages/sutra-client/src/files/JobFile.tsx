import { useEffect, useEffectEvent } from "react";
import type { Format } from "../api/jobs";
import { ErrorNotice } from "../shared/ErrorNotice";
import { FileName } from "./FileName";
import type { FileProps } from "./FilesForm";
import { JobStatus } from "./JobStatus";
import { useJob } from "./useJob";

interface Props extends FileProps {
  format: Format;
  /** Poll interval of the job in milliseconds. */
  interval: number;
}

/** A file that is uploaded and then taught by the service. */
export function JobFile({ file, format, interval, mayStart, onSent, onDone, ...page }: Props) {
  const { upload, start, stop } = useJob(file, format, interval, page);
  const begin = useEffectEvent(start);
  const sent = useEffectEvent(onSent);
  const done = useEffectEvent(onDone);
  const jobState = upload.state === "accepted" ? upload.job.state : undefined;

  useEffect(() => {
    if (mayStart) begin();
  }, [mayStart]);

  useEffect(() => {
    if (upload.state === "stopped" || upload.state === "failed") done();
    else if (jobState === "done" || jobState === "failed" || jobState === "cancelled") done();
    else if (jobState !== undefined) sent();
  }, [upload.state, jobState]);

  return (
    <>
      <FileName file={file}>
        {upload.state === "sending" && (
          <button type="button" className="push" aria-label={`Stop uploading ${file.name}`} onClick={stop}>
            Stop
          </button>
        )}
        {(upload.state === "stopped" || upload.state === "failed") && (
          <button type="button" className="push" aria-label={`Upload ${file.name} again`} onClick={start}>
            Upload again
          </button>
        )}
      </FileName>
      <div role="status">
        {upload.state === "waiting" && <p className="hint">Waiting for earlier files.</p>}
        {upload.state === "sending" && <p className="working">Uploading…</p>}
        {upload.state === "stopped" && <p className="notice wait">Stopped. Nothing from this file was kept.</p>}
        {upload.state === "accepted" && <JobStatus job={upload.job} isStale={upload.error !== undefined} />}
      </div>
      {upload.state === "failed" && <ErrorNotice error={upload.error} onChangeKey={page.onNeedKey} />}
    </>
  );
}
