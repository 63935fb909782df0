import { useState } from "react";
import type { Topic } from "../api/types";
import { SourceName } from "../shared/SourceName";
import { countOf, excerptOf } from "../shared/words";

/** Texts shown at first. */
const FIRST = 3;
/** Characters shown of a text. */
const EXCERPT = 280;

/** A topic: its terms and its texts, best first. */
export function TopicView({ topic }: { topic: Topic }) {
  const [isOpen, setIsOpen] = useState(false);
  const texts = isOpen ? topic.texts : topic.texts.slice(0, FIRST);
  return (
    <section className="card topic">
      <h2>
        {topic.terms.join(" · ") || "Other texts"} <span className="hint">{countOf(topic.texts.length, "text")}</span>
      </h2>
      <ul>
        {texts.map((text) => (
          <li key={text.id}>
            {text.title && <strong>{text.title}: </strong>}
            {excerptOf(text.text, EXCERPT)}
            {text.source && (
              <span className="hint">
                {" "}
                Source: <SourceName source={text.source} />
              </span>
            )}
          </li>
        ))}
      </ul>
      {topic.texts.length > FIRST && (
        <div>
          <button type="button" className="small" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            {isOpen ? "Show fewer" : `Show all ${topic.texts.length}`}
          </button>
        </div>
      )}
    </section>
  );
}
