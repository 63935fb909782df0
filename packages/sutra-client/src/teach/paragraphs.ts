/** The texts in `written`: one for each paragraph (a blank line parts them), or all of it as one. */
export function textsOf(written: string, byParagraph: boolean): string[] {
  const parts = byParagraph ? written.split(/\r?\n[^\S\n]*(?:\r?\n)+/) : [written];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
