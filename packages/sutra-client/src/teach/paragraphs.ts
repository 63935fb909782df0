/** The texts in `input`: one per paragraph (separated by blank lines), or a single one. */
export function textsOf(input: string, byParagraph: boolean): string[] {
  const parts = byParagraph ? input.split(/\r?\n[^\S\n]*(?:\r?\n)+/) : [input];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
