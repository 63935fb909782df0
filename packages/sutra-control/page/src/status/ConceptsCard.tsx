import type { Status } from "../api/types";
import { bytes, count, words } from "../shared/format";

/** Statistics of the storage service. */
export function ConceptsCard({ concepts }: Pick<Status, "concepts">) {
  const { concepts: total, ...others } = concepts.numbers;
  return (
    <section className="card" aria-labelledby="concepts">
      <h2 id="concepts">Concepts</h2>
      {concepts.reason || total === undefined ? (
        <p className="notice wait">Unavailable: {concepts.reason}</p>
      ) : (
        <>
          <p className="figure">{count(total)}</p>
          <dl className="facts">
            {Object.entries(others).map(([name, value]) => (
              <div key={name}>
                <dt>{words(name)}</dt>
                <dd>{name.startsWith("bytes") ? bytes(value) : count(value)}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <p className="hint">
        <a href="#/concepts">Browse and delete what was taught</a>
      </p>
    </section>
  );
}
