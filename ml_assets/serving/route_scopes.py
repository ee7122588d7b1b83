"""Scopes of routes: each declares the token scope that it requires, and none can be added that does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request, Security
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from ml_assets.serving.auth import Authenticator
from ml_assets.serving.tokens import Scope

_BEARER = HTTPBearer(
    auto_error=False,
    description="`ml-assets token add NAME --scope SCOPE`; each route names the scope that it asks for. Not asked for "
    "where nobody has ever made one",
)


@dataclass(frozen=True)
class ScopeRequirement:
    """A dependency of FastAPI that checks the token before a route runs.

    Args:
        guard: of the server.
        scope: that a token must have; None: anybody may.
    """

    guard: Authenticator | None
    scope: Scope | None

    async def __call__(self, request: Request) -> None:
        """Return if the request may; raises as `Authenticator.require` does."""
        if self.guard is not None:
            self.guard.require(request.scope, self.scope)


def require_scope(guard: Authenticator, scope: Scope) -> list[Dependency]:
    """The dependencies of a route that asks for a token with a scope; its document names the scope."""
    return [Security(_BEARER, scopes=[scope]), Depends(ScopeRequirement(guard, scope))]


def require_no_token() -> list[Dependency]:
    """The dependencies of a route that anybody may ask who may speak to the server at all."""
    return [Depends(ScopeRequirement(None, None))]


class ScopedRoute(APIRoute):
    """A route that says what it asks for; see APIRoute."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        dependencies: Sequence[Dependency] | None = None,
        **more: Any,  # noqa: ANN401 - of FastAPI
    ) -> None:
        required = [each.dependency for each in dependencies or () if isinstance(each.dependency, ScopeRequirement)]
        if len(required) != 1:
            raise TypeError(
                f"route {path}: say what it asks for, by dependencies=require_scope(…) or require_no_token()"
            )
        self.scope = required[0].scope
        super().__init__(path, endpoint, dependencies=dependencies, **more)
