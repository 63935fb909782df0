import type { ApiError } from "../api/error";
import type { Status } from "../api/types";
import { moment } from "../shared/format";

interface Props {
  status: Status | undefined;
  /** Why the last look failed. */
  error: ApiError | undefined;
}

/** In one sentence: whether all is well, and if not, which services are meant. */
export function Summary({ status, error }: Props) {
  // The regions themselves always stand, or assistive technology would miss the first message.
  return (
    <>
      <div role="status">{status && !error && <Verdict status={status} />}</div>
      <div role="alert">
        {error && (
          <p className="notice bad">
            <strong>Sutra control itself is not answering.</strong> {error.message}{" "}
            {status
              ? `What stands below was seen at ${moment(status.checked_at)}; this page keeps trying.`
              : "This page keeps trying."}
          </p>
        )}
      </div>
    </>
  );
}

function Verdict({ status }: { status: Status }) {
  const { down, services } = status;
  if (down.length === 0) {
    return (
      <p className="notice good">
        <strong>All {services.length} services are up.</strong>
      </p>
    );
  }
  const meant = services.filter((service) => down.includes(service.name));
  return (
    <div className="notice bad">
      <p>
        <strong>
          {down.length} of {services.length} services {down.length === 1 ? "is" : "are"} not up: {down.join(", ")}.
        </strong>
      </p>
      <ul className="reasons">
        {meant.map((service) => (
          <li key={service.name}>
            <strong>{service.name}</strong>: {service.reason}
          </li>
        ))}
      </ul>
    </div>
  );
}
