/** A source of an answer. */
export interface Citation {
  id: string;
  text: string;
  /** Relevance to the question; higher is better. Only comparable within one answer. */
  score: number;
  /** The number in the answer's citation marks, counted from 1. */
  number: number;
}

/** An answer to a question. */
export interface Answer {
  /** The text; `[1]` refers to the citation with that number. */
  answer: string;
  citations: Citation[];
  /** How the text was generated, such as `grounded`. */
  mode?: string;
}

/** The result of teaching. */
export interface Learned {
  learned: number;
  ids: string[];
}
