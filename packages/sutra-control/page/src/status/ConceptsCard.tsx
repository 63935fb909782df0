import type { Status } from "../api/types";
import { bytes, count, words } from "../shared/format";

/** Names of sizes: `bytes_on_disk`, `vector_bytes_limit`. */
const IS_BYTES = /(^|_)bytes(_|$)/;

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
                <dd>{IS_BYTES.test(name) ? bytes(value) : count(value)}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <p className="hint">
        <a href="#/concepts">Browse and delete texts</a>
      </p>
    </section>
  );
}
