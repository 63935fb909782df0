"""Checks requests against the edition's limits."""

from collections.abc import Sequence

from sutra_service.errors import ServiceError

from sutra_api.limits import Limits


class Checks:
    """The checks of an edition. Each raises ServiceError 422 beyond_limit that names the field."""

    def __init__(self, edition: str, limits: Limits) -> None:
        self.edition = edition
        self.limits = limits

    def texts(self, texts: Sequence[str]) -> None:
        """Check the number of texts and their lengths."""
        if len(texts) > self.limits.max_texts:
            raise self._over("body.texts", f"{len(texts)} texts", self.limits.max_texts)
        for index, text in enumerate(texts):
            self._length(f"body.texts[{index}]", text, self.limits.max_text_characters)

    def question(self, question: str) -> None:
        """Check the length of a question."""
        self._length("body.question", question, self.limits.max_question_characters)

    def citations(self, limit: int) -> None:
        """Check the number of citations."""
        if limit > self.limits.max_citations:
            raise self._over("body.limit", f"{limit}", self.limits.max_citations)

    def _length(self, field: str, text: str, most: int) -> None:
        if len(text) > most:
            raise self._over(field, f"{len(text)} characters", most)

    def _over(self, field: str, given: str, most: int) -> ServiceError:
        message = f"{field}: {given}, but edition {self.edition} allows at most {most}; send less per request"
        return ServiceError(422, "beyond_limit", message)
