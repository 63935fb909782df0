/** One text an answer rests on. */
export interface Citation {
  id: string;
  text: string;
  /** How well the text fits the question; higher is better, and only comparable within one answer. */
  score: number;
  /** The number the answer's marks use, counted from 1. */
  number: number;
}

/** What the service says to a question. */
export interface Answer {
  /** The answer's text; `[1]` in it points to the citation with that number. */
  answer: string;
  citations: Citation[];
  /** How the text was made, for example `grounded`; the service may leave it out. */
  mode?: string;
}

/** What became of texts that were taught. */
export interface Learned {
  learned: number;
  ids: string[];
}
