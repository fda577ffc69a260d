"""Tokens are checked, remembered for a while, and forgotten when told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kilonova.kernel.context import Context
from kilonova.kernel.errors import Unauthorized
from kilonova.kernel.testing import FakeClock
from kilonova.kernel.web.auth import TokenAuth


class Identity:
    """Knows tokens and counts how often it was asked."""

    def __init__(self, clock: FakeClock):
        self.asked = 0
        base = Context(user_id="u", roles=("member",), expires_at=clock.now() + timedelta(seconds=60))
        self.tokens = {"good": base, "service": replace(base, roles=("service",))}

    async def validate(self, token: str) -> Context | None:
        self.asked += 1
        return self.tokens.get(token)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def identity(clock: FakeClock) -> Identity:
    return Identity(clock)


@pytest.fixture
def auth(identity: Identity, clock: FakeClock) -> TokenAuth:
    return TokenAuth(identity.validate, clock, auth_url="http://x/identity", cache_s=5)


async def test_a_token_is_asked_about_once_in_a_while(auth: TokenAuth, identity: Identity, clock: FakeClock) -> None:
    for _ in range(3):
        assert (await auth({"x-auth-token": "good"})).user_id == "u"
    assert identity.asked == 1
    await clock.advance(6)
    await auth({"x-auth-token": "good"})
    assert identity.asked == 2


async def test_a_revoked_token_is_refused_at_once_when_told(auth: TokenAuth, identity: Identity) -> None:
    await auth({"x-auth-token": "good"})
    del identity.tokens["good"]
    auth.forget()
    with pytest.raises(Unauthorized):
        await auth({"x-auth-token": "good"})


async def test_an_answer_that_a_revocation_overtook_is_not_remembered(clock: FakeClock, identity: Identity) -> None:
    async def validate(token: str) -> Context | None:
        found = await identity.validate(token)
        identity.tokens.pop(token, None)
        auth.forget()
        return found

    auth = TokenAuth(validate, clock, auth_url="http://x/identity")
    await auth({"x-auth-token": "good"})
    with pytest.raises(Unauthorized):
        await auth({"x-auth-token": "good"})


async def test_a_remembered_token_does_not_outlive_its_end(auth: TokenAuth, clock: FakeClock) -> None:
    await clock.advance(58)
    await auth({"x-auth-token": "good"})
    await clock.advance(3)
    with pytest.raises(Unauthorized):
        await auth({"x-auth-token": "good"})


@pytest.mark.parametrize("headers", [{}, {"x-auth-token": ""}, {"x-auth-token": "bad"}, {"x-auth-token": "x" * 9000}])
async def test_no_token_and_bad_tokens_are_refused(auth: TokenAuth, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized) as refused:
        await auth(headers)
    assert "WWW-Authenticate" in refused.value.headers


async def test_identity_headers_of_the_caller_are_not_read(auth: TokenAuth) -> None:
    context = await auth(
        {"x-auth-token": "good", "x-roles": "admin", "x-user-id": "root", "x-identity-status": "Confirmed"}
    )
    assert (context.user_id, context.roles) == ("u", ("member",))


async def test_a_service_token_adds_its_roles_beside_the_users(auth: TokenAuth) -> None:
    context = await auth({"x-auth-token": "good", "x-service-token": "service"})
    assert (context.roles, context.service_roles) == (("member",), ("service",))
    with pytest.raises(Unauthorized):
        await auth({"x-auth-token": "good", "x-service-token": "forged"})
