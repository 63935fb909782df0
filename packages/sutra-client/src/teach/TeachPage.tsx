import { FilesForm } from "../files/FilesForm";
import type { PageProps } from "../shared/page";
import { TextForm } from "./TextForm";

/** The forms for teaching texts and files. */
export function TeachPage({ title, ...page }: PageProps) {
  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        Teach a text
      </h1>
      <TextForm {...page} />
      <FilesForm {...page} />
    </>
  );
}
