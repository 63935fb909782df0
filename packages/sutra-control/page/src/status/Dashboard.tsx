import { useEffect, useState } from "react";
import { localTime } from "../shared/format";
import { Title } from "../shared/Title";
import { SpanPicker } from "../timeline/SpanPicker";
import { ConceptsCard } from "./ConceptsCard";
import { ImagesCard } from "./ImagesCard";
import { JobsCard } from "./JobsCard";
import { ServiceCard } from "./ServiceCard";
import { Summary } from "./Summary";
import { useStatus } from "./useStatus";
import "./dashboard.css";

/** The dashboard. */
export function Dashboard({ onSignedOut }: { onSignedOut(): void }) {
  const [samples, setSamples] = useState(60);
  const { status, history, error } = useStatus(samples, onSignedOut);
  const down = status?.down.length ?? 0;

  useEffect(() => {
    // A background tab stops polling, so its title shows the last known state.
    document.title = down > 0 ? `(${down}) Sutra control` : "Sutra control";
    return () => {
      document.title = "Sutra control";
    };
  }, [down]);

  return (
    <>
      <Title>Services</Title>
      <Summary status={status} error={error} />
      {!status && !error && <p className="working">Checking services…</p>}
      {status && (
        <div className={error ? "stale" : undefined}>
          <div className="actions bar-above">
            <p className="hint">
              Checked at {localTime(status.checked_at)} · edition {status.edition} · version {status.version}
            </p>
            {history && (
              <SpanPicker
                max={status.limits.history_samples}
                interval={status.sample_every_s}
                selected={samples}
                onSelect={setSamples}
              />
            )}
            {status.capabilities.includes("export") && (
              <p className="push">
                Export as{" "}
                <a href="/api/export?format=csv" download>
                  CSV
                </a>{" "}
                or{" "}
                <a href="/api/export?format=json" download>
                  JSON
                </a>
              </p>
            )}
          </div>
          <section className="services" aria-label="Services">
            {status.services.map((service) => (
              <ServiceCard
                key={service.name}
                service={service}
                history={history}
                image={status.images.images.find((image) => image.service === service.name)}
              />
            ))}
          </section>
          <div className="contents">
            <JobsCard jobs={status.jobs} />
            <ConceptsCard concepts={status.concepts} />
            <ImagesCard images={status.images} />
          </div>
        </div>
      )}
    </>
  );
}
