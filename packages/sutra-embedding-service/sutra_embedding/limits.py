"""What one call may hold, by edition."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The size of one call. The two last are the public door's, so that what passes there passes here."""

    max_texts: int
    max_text_characters: int
    max_body_bytes: int

    def fields(self) -> dict[str, int]:
        """The limits as `/health` shows them."""
        return asdict(self)


LIMITS = {
    "simple": Limits(32, 10_000, 1_000_000),
    "community": Limits(64, 20_000, 4_000_000),
    "enterprise": Limits(128, 50_000, 16_000_000),
}
