"""Request and response bodies."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Format = Literal["json", "csv"]


class SignInRequest(BaseModel):
    """An operator's name and password."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class PasswordRequest(BaseModel):
    """An operator's current password and the new one."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    current: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    new: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class PasswordRulesReply(BaseModel):
    """What a new password needs. `reason` says why passwords cannot be changed, if they cannot."""

    reason: str
    min_characters: int
    min_different: int


class PasswordReply(BaseModel):
    """The number of sessions that a change of the password has ended, with the one that asked for it."""

    ended_sessions: int


class DeletedReply(BaseModel):
    """The number of concepts deleted."""

    deleted: int


class ImportReply(BaseModel):
    """The number of lines of an import, those skipped included, and of concepts that it created and replaced."""

    lines: int
    created: int
    updated: int


class SignInReply(BaseModel):
    """The operator who has signed in."""

    operator: str


class SessionReply(BaseModel):
    """The signed-in operator, or null. `reason` says why signing in is impossible, if it is."""

    operator: str | None
    reason: str = ""
