/** Marks a gap between two passages of a text. */
const GAP = " … ";

/** A cited text: its passages as paragraphs, with a mark where something was left out between them. */
export function Passages({ text }: { text: string }) {
  const passages = text.split(GAP);
  return (
    <blockquote>
      {passages.map((passage, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the passages of a citation never change
        <p key={index}>
          {index > 0 && <span className="gap">… </span>}
          {passage}
        </p>
      ))}
    </blockquote>
  );
}
