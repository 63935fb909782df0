"""The status: everything that the dashboard shows."""

from typing import Any

from sutra_service.settings import Settings

from sutra_control.health import OK
from sutra_control.images import ImagesRecord
from sutra_control.limits import CAPABILITIES, LIMITS
from sutra_control.watch import Sweep, Watch


class Status:
    """Combines the results of the watch and the recorded image sizes."""

    def __init__(self, settings: Settings, watch: Watch, record: ImagesRecord) -> None:
        self._settings = settings
        self._watch = watch
        self._record = record

    async def now(self) -> dict[str, Any]:
        """The current status."""
        sweep = await self._watch.fresh()
        return {
            "checked_at": sweep.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "version": self._settings.version,
            "edition": self._settings.edition,
            "capabilities": list(CAPABILITIES[self._settings.edition]),
            "limits": LIMITS[self._settings.edition].fields(),
            "sample_every_s": self._watch.every_s,
            "down": [name for name, report in sweep.reports.items() if report.state != OK],
            "services": self._services(sweep),
            "concepts": sweep.concepts.fields(),
            "jobs": sweep.jobs.fields(),
            "images": self._record.read().fields(),
        }

    def _services(self, sweep: Sweep) -> list[dict[str, Any]]:
        services = []
        for watched in self._watch.watched:
            service = watched.service
            up, of = self._watch.history.availability(service.name)
            services.append(
                {
                    "name": service.name,
                    "does": service.does,
                    "url": service.url,
                    **sweep.reports[service.name].fields(),
                    "availability": {"up": up, "of": of},
                    "metrics": sweep.figures[service.name].fields(),
                }
            )
        return services
