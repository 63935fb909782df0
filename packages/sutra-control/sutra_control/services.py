"""The watched services and their addresses."""

from dataclasses import dataclass

from sutra_service.settings import Environment

SERVICE = "control"
PORT = 9000
STORAGE = "storage"
API = "api"
CLIENT = "client"
HYBRID = "hybrid"
INGESTER = "bulk-ingester"


@dataclass(frozen=True)
class Service:
    """A watched service. `name` is its name in `/health`; `variable` holds its URL."""

    name: str
    does: str
    variable: str
    url: str


# In the order in which a question passes through the services.
DEFAULTS = (
    Service(CLIENT, "web page for users", "CLIENT_URL", "http://sutra-client:8080"),
    Service(API, "public API with keys", "API_URL", "http://sutra-api:8000"),
    Service(HYBRID, "learns texts and answers questions", "HYBRID_URL", "http://sutra-hybrid:8001"),
    Service("embedding", "computes text embeddings", "EMBEDDING_URL", "http://embedding-single:8888"),
    Service(STORAGE, "stores and searches concepts", "STORAGE_URL", "http://storage-server:50051"),
    Service("nlg", "generates answers", "NLG_URL", "http://nlg-service:8003"),
    Service(INGESTER, "ingests files", "INGESTER_URL", "http://bulk-ingester:8005"),
)


def read_services(environment: Environment, own_port: int) -> tuple[Service, ...]:
    """Read the URLs of the other seven services and of this one.

    This service checks itself on the loopback interface unless CONTROL_URL is set. Raises SettingError
    for an invalid URL.
    """
    own = Service(SERVICE, "this dashboard", "CONTROL_URL", f"http://127.0.0.1:{own_port}")
    return tuple(
        Service(service.name, service.does, service.variable, environment.url(service.variable, service.url))
        for service in (*DEFAULTS, own)
    )
