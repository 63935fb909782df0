"""What may be sent to the dashboard's service."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Format = Literal["json", "csv"]


class SignInRequest(BaseModel):
    """An operator's name and password."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class SignInReply(BaseModel):
    """Who has signed in."""

    operator: str


class SessionReply(BaseModel):
    """Who is signed in; nobody where `operator` is null. `reason` says why nobody can be, where that is so."""

    operator: str | None
    reason: str = ""
