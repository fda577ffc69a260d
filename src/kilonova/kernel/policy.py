"""Access rules: rows with upstream's names and defaults, decided by oslo.policy, overridable by policy.yaml.

Decisions that only look at the caller's roles and at ``project_id``/``user_id`` of the target are remembered, because
they are most of the checks of a busy service.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy as oslo

from kilonova.kernel.context import Context
from kilonova.kernel.errors import PolicyForbids

LOG = logging.getLogger(__name__)

ANYBODY = "@"
NOBODY = "!"
ADMIN = "role:admin"
SERVICE = "role:service"
PROJECT_READER = "role:reader and project_id:%(project_id)s"
PROJECT_MEMBER = "role:member and project_id:%(project_id)s"
PROJECT_MANAGER = "role:manager and project_id:%(project_id)s"
PROJECT_READER_OR_ADMIN = f"({PROJECT_READER}) or {ADMIN}"
PROJECT_MEMBER_OR_ADMIN = f"({PROJECT_MEMBER}) or {ADMIN}"
PROJECT_MANAGER_OR_ADMIN = f"({PROJECT_MANAGER}) or {ADMIN}"
ADMIN_OR_SERVICE = f"{ADMIN} or {SERVICE}"


@oslo.register("field")
class FieldCheck(oslo.Check):  # type: ignore[misc]
    """``field:noun:attribute=value`` holds when the target's attribute equals value; ``=~`` compares by pattern.

    The attribute may itself hold colons (``field:networks:router:external=True``). Booleans compare as True, False.
    """

    def __init__(self, kind: str, match: str):
        super().__init__(kind, match)
        _, _, rest = match.partition(":")
        self._name, _, wanted = rest.partition("=")
        self._pattern = re.compile(wanted[1:]) if wanted.startswith("~") else None
        self._wanted = wanted

    def __call__(
        self, target: Mapping[str, Any], creds: Mapping[str, Any], enforcer: Any, current_rule: Any = None
    ) -> bool:
        value = target.get(self._name)
        if value is None:
            return False
        if self._pattern is not None:
            return self._pattern.match(str(value)) is not None
        return str(value) == self._wanted


Question = Callable[[Context, Mapping[str, Any]], bool]
"""Something that a rule asks about a caller and a target."""

_FROM_ROLES = ("role", "service_roles", "system_scope", "is_admin", "is_admin_project", "and", "or", "not", "@", "!")
"""Words whose answer follows from what a remembered decision is filed under: roles, service roles, system scope."""

_OWNER = re.compile(r"%\(([^)]+)\)s\Z")


def _question(kind: str, match: str) -> Question | None:
    """The question behind ``kind:match``, where its answer alone decides."""
    if kind == "field":
        field = FieldCheck(kind, match)
        return lambda context, target: field(target, {}, None)
    named = _OWNER.match(match)
    if kind not in ("project_id", "user_id", "domain_id") or named is None:
        return None
    key = named[1]
    return lambda context, target: getattr(context, kind) is not None and target.get(key) == getattr(context, kind)


def _fits(context: Context, scope_types: tuple[str, ...]) -> bool:
    """Whether the scope of the caller's token is one of ``scope_types``; a token without a scope counts as project."""
    scope = "system" if context.system_scope else "domain" if context.domain_id else "project"
    return not scope_types or scope in scope_types


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a service's policies.py: upstream's name, the default check string, what it guards."""

    name: str
    check: str
    summary: str = ""
    operations: tuple[tuple[str, str], ...] = ()
    scope_types: tuple[str, ...] = ("project",)


class Policies:
    """The rules of one service. ``file``: a policy.yaml whose rows replace defaults; it need not exist.

    ``enforce_scope``: a token whose scope (system, domain, or else project) is not among a row's ``scope_types``
    does not pass it, whatever its roles.
    """

    def __init__(self, rules: Iterable[Rule], *, file: Path | None = None, enforce_scope: bool = False):
        self._enforce_scope = enforce_scope
        self.rules = {rule.name: rule for rule in rules}
        conf = cfg.ConfigOpts()
        conf([], project="kilonova", default_config_files=[], default_config_dirs=[])
        policy_opts.set_defaults(conf, policy_file=str(file) if file else None)
        with_file = file is not None and file.exists()
        self._enforcer = oslo.Enforcer(conf, policy_file=str(file) if with_file else None, use_conf=with_file)
        for rule in self.rules.values():
            self._enforcer.register_default(oslo.RuleDefault(rule.name, rule.check))
        if with_file:
            self._enforcer.load_rules()
        else:
            self._enforcer.set_rules({n: r.check for n, r in self._enforcer.registered_rules.items()}, use_conf=False)
        self._questions = {name: self._asks(name) for name in self.rules}
        self._remembered: dict[tuple[Any, ...], bool] = {}

    def _asks(self, name: str) -> tuple[Question, ...] | None:
        """What a rule asks about a target beside the caller's roles; None when it asks something else."""
        checks = [name]
        seen: set[str] = set()
        found: dict[str, Question] = {}
        while checks:
            current = checks.pop()
            if current in seen:
                continue
            seen.add(current)
            if current not in self._enforcer.rules:
                return None
            for word in str(self._enforcer.rules[current]).split():
                word = word.lstrip("(").rstrip(")")
                kind, _, match = word.partition(":")
                if kind == "rule":
                    checks.append(match)
                elif kind not in _FROM_ROLES:
                    question = _question(kind, match)
                    if question is None:
                        return None
                    found[word] = question
        return tuple(found[word] for word in sorted(found))

    def may(self, rule: str, context: Context, target: Mapping[str, Any]) -> bool:
        """Whether ``context`` passes ``rule`` for ``target`` (its ``project_id``, ``user_id``, ...)."""
        if rule not in self.rules:
            raise LookupError(f"no policy row named {rule}")
        if self._enforce_scope and not _fits(context, self.rules[rule].scope_types):
            return False
        questions = self._questions[rule]
        if questions is None:
            return bool(self._enforcer.enforce(rule, dict(target), context.credentials()))
        answers = tuple([question(context, target) for question in questions])
        key = (rule, context.roles, context.service_roles, context.system_scope, answers)
        known = self._remembered.get(key)
        if known is None:
            known = bool(self._enforcer.enforce(rule, dict(target), context.credentials()))
            if len(self._remembered) > 5000:
                self._remembered.clear()
            self._remembered[key] = known
        return known

    def check(self, rule: str, context: Context, target: Mapping[str, Any]) -> None:
        """Raise PolicyForbids unless ``context`` passes ``rule`` for ``target``."""
        if not self.may(rule, context, target):
            LOG.info("refused: rule %s for user %s of project %s", rule, context.user_id, context.project_id)
            raise PolicyForbids(rule=rule)
