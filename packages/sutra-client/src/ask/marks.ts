import type { Answer, Citation } from "../api/types";

/** A part of an answer: plain text, or a mark that refers to a citation. */
export type Piece = { text: string } | { mark: Citation };

/**
 * Splits an answer at its `[1]` marks. A number without a citation stays text. Citations without a mark are added at the
 * end.
 */
export function pieces({ answer, citations }: Answer): Piece[] {
  const byNumber = new Map(citations.map((citation) => [citation.number, citation]));
  const marked = new Set<number>();
  const result: Piece[] = [];
  let rest = 0;
  for (const match of answer.matchAll(/\[(\d+(?:\s*,\s*\d+)*)\]/g)) {
    const cited = (match[1] ?? "").split(",").map((number) => byNumber.get(Number(number)));
    if (!cited.every((citation) => citation !== undefined)) continue;
    if (match.index > rest) result.push({ text: answer.slice(rest, match.index) });
    for (const mark of cited) {
      result.push({ mark });
      marked.add(mark.number);
    }
    rest = match.index + match[0].length;
  }
  if (rest < answer.length) result.push({ text: answer.slice(rest) });
  for (const mark of citations) if (!marked.has(mark.number)) result.push({ mark });
  return result;
}
