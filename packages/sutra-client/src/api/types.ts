/** Where a text comes from. */
export interface Origin {
  source?: string;
  title?: string;
}

/** A source of an answer. */
export interface Citation extends Origin {
  id: string;
  /** The found passages of the text; gaps between them are marked ` … `. */
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
  /** The question with its spelling corrected, if it differs. */
  corrected?: string;
}

/** A text to teach. */
export interface Text extends Origin {
  text: string;
}

/** The result of teaching. */
export interface Learned {
  learned: number;
  ids: string[];
}

/** The limits of one request to teach. */
export interface Limits {
  max_texts: number;
  max_text_characters: number;
  max_body_bytes: number;
}

/** A taught text. */
export interface StoredText extends Text {
  id: string;
  /** The number of passages, if there are several; in a list, `text` is then the first one. */
  passages?: number;
}

/** A source and how many passages are stored from it. */
export interface Source {
  source: string;
  passages: number;
}

/** A part of a list. */
export interface Page<T> {
  items: T[];
  /** The cursor of the next part, if there is one. */
  next?: string;
}

/** A line of a file that was not taught. */
export interface BadLine {
  line: number;
  reason: string;
}

/** The state of a job; `waiting` while another service blocks it. */
export type JobState = "queued" | "running" | "waiting" | "done" | "failed" | "cancelled";

/** A file that the service teaches itself. */
export interface Job {
  id: string;
  state: JobState;
  /** Why it waits or has failed. */
  reason?: string;
  bytesTotal: number;
  bytesDone: number;
  taught: number;
  /** The number of bad lines; `badLines` lists the first ones. */
  bad: number;
  badLines: BadLine[];
}

/** Related texts, best first, and the terms that distinguish them from other topics. */
export interface Topic {
  terms: string[];
  texts: StoredText[];
}
