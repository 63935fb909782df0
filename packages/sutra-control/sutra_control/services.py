"""Which services there are, and where."""

from dataclasses import dataclass

from sutra_service.settings import Environment

SERVICE = "control"
PORT = 9000
STORAGE = "storage"
INGESTER = "bulk-ingester"


@dataclass(frozen=True)
class Service:
    """A service that is watched. `name` is what it calls itself in `/health`; `variable` holds its address."""

    name: str
    does: str
    variable: str
    url: str


# In the order in which a question passes through them.
DEFAULTS = (
    Service("client", "the page for people", "CLIENT_URL", "http://sutra-client:8080"),
    Service("api", "the public door, with keys", "API_URL", "http://sutra-api:8000"),
    Service("hybrid", "learns texts and answers questions", "HYBRID_URL", "http://sutra-hybrid:8001"),
    Service("embedding", "turns texts into vectors", "EMBEDDING_URL", "http://embedding-single:8888"),
    Service(STORAGE, "keeps and finds concepts", "STORAGE_URL", "http://storage-server:50051"),
    Service("nlg", "words answers", "NLG_URL", "http://nlg-service:8003"),
    Service(INGESTER, "teaches files", "INGESTER_URL", "http://bulk-ingester:8005"),
)


def read_services(environment: Environment, own_port: int) -> tuple[Service, ...]:
    """The seven others and this one, each at the address that its variable gives.

    This one asks itself through its own door on this machine unless CONTROL_URL says otherwise.
    Raises SettingError for what is no address.
    """
    own = Service(SERVICE, "this dashboard", "CONTROL_URL", f"http://127.0.0.1:{own_port}")
    return tuple(
        Service(service.name, service.does, service.variable, environment.url(service.variable, service.url))
        for service in (*DEFAULTS, own)
    )
