"""Errors of identity, one row each: status and the sentence that its reader sees."""

from __future__ import annotations

from kilonova.kernel.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized


class NoSuch(NotFound):
    """Any noun that is not there; ``what`` is its word, ``id`` what was asked for."""

    text = "There is no {what} {id}."


class NoSuchToken(NotFound):
    """The subject token is expired, revoked, malformed or of a user or project that is gone or disabled."""

    text = "The token in X-Subject-Token is not valid."


class NotAuthenticated(Unauthorized):
    """One answer for each way to fail, so that it tells nothing about which accounts exist."""

    text = "The credentials or the scope in this request were not accepted."


class UnknownMethod(Unauthorized):
    text = "The authentication method {method} is not offered here."


class PasswordExpired(Unauthorized):
    text = "The password of user {user_id} has expired and must be changed."


class Taken(Conflict):
    text = "There is already a {what} called {name}."


class InUse(Conflict):
    text = "The {what} {id} is still used: {why}."


class DomainIsEnabled(Forbidden):
    text = "Domain {id} is enabled; disable it before deleting it."


class DefaultDomainStays(Forbidden):
    text = "The default domain {id} cannot be deleted."


class Immutable(Forbidden):
    text = "The {what} {id} is marked immutable; unset the option first."


class HasChildren(Forbidden):
    text = "Project {id} has projects below it; remove them first."


class RestrictedCredential(Forbidden):
    text = "This token comes from a restricted application credential, which may not manage credentials or trusts."


class NoRescope(Forbidden):
    text = "This token may not be exchanged for another one: {why}."


class CannotChange(BadRequest):
    text = "The {member} of a {what} cannot be changed."


class NotAllowedHere(Forbidden):
    text = "{why}"


class Unscoped(Forbidden):
    text = "An unscoped token has no catalog; ask for a token with a scope."


class WeakPassword(BadRequest):
    text = "The password does not fulfil the rules: {rules}"


class UnknownReference(BadRequest):
    """A body names an object that is not there."""

    text = "The {what} {id} in the request does not exist."


class NotRegistered(BadRequest):
    text = "There is no registered limit for {name} of this service and region."
