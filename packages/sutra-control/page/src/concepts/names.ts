import type { Concept } from "../api/types";

/** Characters of a name made from a text. */
const LENGTH = 60;

/** A short name of a text: its title or its first words. */
export function nameOf({ title, text }: Concept): string {
  const name = (title ?? text).replace(/\s+/g, " ").trim();
  const characters = [...name];
  if (characters.length <= LENGTH) return name || "empty text";
  const cut = characters.slice(0, LENGTH).join("");
  // Between words, unless a word is very long.
  return `${cut.replace(/\s\S{0,20}$/, "")} …`;
}

/** `5 passages`, `1 concept`. */
export function passagesOf({ passages }: Concept): string {
  return passages === undefined || passages === 1 ? "1 concept" : `${passages.toLocaleString("en")} passages`;
}
