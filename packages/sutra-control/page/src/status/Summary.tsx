import type { ApiError } from "../api/error";
import type { Status } from "../api/types";
import { localTime } from "../shared/format";

interface Props {
  status: Status | undefined;
  /** Why the last check failed. */
  error: ApiError | undefined;
}

/** Whether all services are up; if not, which ones are down and why. */
export function Summary({ status, error }: Props) {
  // The regions are always present, or assistive technology would miss the first message.
  return (
    <>
      <div role="status">{status && !error && <Verdict status={status} />}</div>
      <div role="alert">
        {error && (
          <p className="notice bad">
            <strong>Sutra control itself is not responding.</strong> {error.message}{" "}
            {status
              ? `The data below is from ${localTime(status.checked_at)}. This page keeps retrying.`
              : "This page keeps retrying."}
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
  const unavailable = services.filter((service) => down.includes(service.name));
  return (
    <div className="notice bad">
      <p>
        <strong>
          {down.length} of {services.length} services {down.length === 1 ? "is" : "are"} unavailable: {down.join(", ")}.
        </strong>
      </p>
      <ul className="reasons">
        {unavailable.map((service) => (
          <li key={service.name}>
            <strong>{service.name}</strong>: {service.reason}
          </li>
        ))}
      </ul>
    </div>
  );
}
