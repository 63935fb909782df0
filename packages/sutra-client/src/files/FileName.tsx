import type { ReactNode } from "react";
import { sizeOf } from "../shared/words";

interface Props {
  file: File;
  /** Actions on the file. */
  children?: ReactNode;
}

/** The name and size of a file, with actions. */
export function FileName({ file, children }: Props) {
  return (
    <div className="file-name">
      <strong>{file.name}</strong>
      <span className="hint">{sizeOf(file.size)}</span>
      {children}
    </div>
  );
}
