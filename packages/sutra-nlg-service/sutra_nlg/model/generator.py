"""Generates an answer with an engine and finds the facts that it cites."""

from logging import getLogger
from pathlib import Path
from typing import Any

from sutra_service.errors import ServiceError

from sutra_nlg import marks
from sutra_nlg.limits import Limits
from sutra_nlg.model import chat, engine
from sutra_nlg.model.prompt import ENDS, Prompt, build
from sutra_nlg.replies import NO_ANSWER, NO_FACTS
from sutra_nlg.requests import Citation, GenerateReply, GenerateRequest, cite
from sutra_nlg.work import Stop

logger = getLogger(__name__)

# How often to check whether the model has started another question.
CHECK_EVERY_TOKENS = 8


class Generator:
    """Answers in `model` mode."""

    def __init__(self, model: engine.Engine, limits: Limits, chat_format: str) -> None:
        self._engine = model
        self._chat_format = chat_format
        # If the model's context is small, keep at least three quarters of it for the prompt.
        self._answer_tokens = min(limits.max_answer_tokens, max(1, model.context // 4))
        self._prompt_tokens = min(limits.max_prompt_tokens, model.context - self._answer_tokens)

    @classmethod
    def load(cls, folder: Path, limits: Limits, chat_format: str, threads: int) -> "Generator":
        """Load the model in `folder`, which takes seconds. Raises StartError if the folder cannot be used."""
        context = limits.max_prompt_tokens + limits.max_answer_tokens
        generator = cls(engine.load(folder, context, threads), limits, chat_format)
        logger.info("model loaded", extra=generator.describe())
        return generator

    def describe(self) -> dict[str, Any]:
        """The model, as shown by `/health`."""
        return {
            "engine": self._engine.name,
            "architecture": self._engine.architecture,
            "prompt_tokens": self._prompt_tokens,
            "answer_tokens": self._answer_tokens,
        }

    def answer(self, request: GenerateRequest, stop: Stop) -> GenerateReply:
        """Answer with the model, citing the facts whose marks it wrote.

        Raises work.Stopped if `stop` requests it, and ServiceError 422 if the question leaves no room for a fact.
        """
        if not request.facts:
            return GenerateReply(answer=NO_FACTS, citations=[], mode="model")
        prompt = build(
            request.question, request.facts, lambda text: len(self._tokens(text, stop)) <= self._prompt_tokens
        )
        if prompt is None:
            room = self._prompt_tokens
            message = f"body.question: too long, no fact fits into the prompt of {room} tokens; ask a shorter question"
            raise ServiceError(422, "beyond_limit", message)
        text, citations = _cite(self._generate(prompt, stop).strip(), prompt)
        return GenerateReply(answer=text or NO_ANSWER, citations=citations, mode="model")

    def _tokens(self, text: str, stop: Stop) -> list[int]:
        stop.check()
        return self._engine.tokenize(chat.wrap(text, self._chat_format))

    def _generate(self, prompt: Prompt, stop: Stop) -> str:
        tokens: list[int] = []
        for token in self._engine.generate(self._tokens(prompt.text, stop), stop):
            tokens.append(token)
            if len(tokens) == self._answer_tokens:
                break
            if len(tokens) % CHECK_EVERY_TOKENS == 0 and any(end in self._engine.text(tokens) for end in ENDS):
                break
        text = self._engine.text(tokens)
        ends = [position for end in ENDS if (position := text.find(end)) >= 0]
        return text[: min(ends, default=len(text))]


def _cite(text: str, prompt: Prompt) -> tuple[str, list[Citation]]:
    """Renumber the marks of `text` in order of appearance, remove marks without a fact, and list the citations."""
    numbers: dict[int, int] = {}

    def renumbered(number: int) -> int | None:
        if not 1 <= number <= len(prompt.facts):
            return None
        return numbers.setdefault(number, len(numbers) + 1)

    text = marks.replace(text, renumbered).strip()
    return text, [cite(new, prompt.facts[old - 1]) for old, new in numbers.items()]
