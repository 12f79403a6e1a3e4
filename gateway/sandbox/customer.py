"""What the sandbox's provider keeps of its one customer beside the messages: users, levels, cost centres and credits. Pure.

`gateway.sandbox.provider_state` charges the credits; `gateway.sandbox.httpapi` serves the functions that list, add and change. The starting
rows are like those of the manual's examples. Nothing is ever deleted: the manual has no function for it.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.sandbox.settings import Distribution, WebSettings

_LOGIN = re.compile(r"[0-9A-Za-z_.@-]+")
_CENTRE_NAME_LENGTH = 50
_MAIL_LENGTH = 999


class CreditKind(IntEnum):
    """What a credit pays for, in the order of `crdtf`."""

    LONG_CODE = 0
    FLASH = 1
    SHORT_CODE = 2


@dataclass(slots=True)
class User:
    """One user of the provider's web page."""

    id: int
    active: bool
    login: str
    name: str
    level: int
    centres: tuple[int, ...] = ()


@dataclass(slots=True)
class CostCentre:
    """One cost centre."""

    id: int
    name: str
    active: bool = True
    mails: str = ""


@dataclass(slots=True)
class Customer:
    """The account: everything that the functions beside the messages read and change."""

    settings: WebSettings
    levels: dict[int, str] = field(default_factory=lambda: {0: "USUARIO", 1: "ADMINISTRADOR", 6: "NIVEL 1", 7: "NIVEL 2"})
    users: dict[int, User] = field(default_factory=dict)
    centres: dict[int, CostCentre] = field(default_factory=dict)
    credits: dict[int, list[int]] = field(default_factory=dict)  # by account: 0, a user's or a cost centre's id

    def __post_init__(self) -> None:
        for user in (User(1, False, "master@example.com", "MASTER", 0), User(2, True, "operador@example.com", "OPERADOR", 1)):
            self.users[user.id] = user
        self._add_centre("PRINCIPAL", self.settings.first_centre)
        self._add_centre("SECUNDARIO", self.settings.first_centre + 1)
        by = {Distribution.GENERAL: [0], Distribution.USER: list(self.users), Distribution.COST_CENTRE: list(self.centres)}
        accounts = by[self.settings.distribution]
        self.credits = {account: list(self.settings.credits) for account in accounts}

    # --- credits ---

    def account(self, centre: int | None) -> int | None:
        """Return which account pays for a message of this cost centre; None where none does."""
        match self.settings.distribution:
            case Distribution.GENERAL:
                return 0
            case Distribution.USER:
                return 2  # the integration user is the active one
            case Distribution.COST_CENTRE:
                return centre

    def charge(self, account: int | None, kind: CreditKind) -> bool:
        """Take a credit; tell whether there was one."""
        if self.settings.post_paid:
            return True
        left = self.credits.get(account, [0, 0, 0]) if account is not None else [0, 0, 0]
        if left[kind] <= 0:
            return False
        left[kind] -= 1
        return True

    def give_back(self, account: int | None, kind: CreditKind, number: int = 1) -> None:
        """Add credits."""
        if account is not None and not self.settings.post_paid:
            self.credits.setdefault(account, [0, 0, 0])[kind] += number

    # --- users ---

    def add_user(self, login: str, name: str, password: str, level: str, centres: str) -> int:
        """Add a user (`cadus`); return the id, or the manual's code where it is negative."""
        if not _LOGIN.fullmatch(login):
            return -2
        if any(user.login.lower() == login.lower() for user in self.users.values()):
            return -1
        if level and self._level(level) is None:
            return -3
        if not name.strip():
            return -4
        if not password.strip():
            return -6
        permitted = self._centres(centres)
        if permitted is None:
            return -5
        id = max(self.users) + 1
        self.users[id] = User(id, True, login, name.strip(), self._level(level) or 0, permitted)
        return id

    def change_user(self, id: str, changes: dict[str, str]) -> int:
        """Change a user (`altus`) by its parameters n, s, p, t, c; return the manual's code."""
        user = self.users.get(int(id)) if _is_number(id) else None
        if user is None:
            return -1
        if "t" in changes and self._level(changes["t"]) is None:
            return -2
        if "s" in changes and changes["s"] not in {"0", "1"}:
            return -3
        if "n" in changes and not changes["n"].strip():
            return -4
        centres = self._centres(changes.get("c", ""))
        if centres is None or not changes.get("p", "unchanged").strip():
            return 0
        user.level = self._level(changes["t"]) or 0 if "t" in changes else user.level
        user.active = changes["s"] == "1" if "s" in changes else user.active
        user.name = changes["n"].strip() if "n" in changes else user.name
        user.centres = centres if "c" in changes else user.centres
        return 1

    def _level(self, text: str) -> int | None:
        return int(text) if _is_number(text) and int(text) in self.levels else None

    def _centres(self, text: str) -> tuple[int, ...] | None:
        ids = [each for each in text.split("|") if each]
        if not all(_is_number(each) and int(each) in self.centres for each in ids):
            return None
        return tuple(map(int, ids))

    # --- cost centres ---

    def add_centre(self, name: str, mails: str) -> int:
        """Add a cost centre (`cict`); return its id, -1 where the name is taken, 0 where it is none."""
        name = name.strip()
        if not 0 < len(name) <= _CENTRE_NAME_LENGTH or len(mails) > _MAIL_LENGTH:
            return 0
        if any(centre.name.lower() == name.lower() for centre in self.centres.values()):
            return -1
        return self._add_centre(name, max(self.centres) + 1, mails)

    def change_centre(self, id: str, changes: dict[str, str]) -> int:
        """Change a cost centre (`cact`) by its parameters s, e; return the manual's code."""
        centre = self.centres.get(int(id)) if _is_number(id) else None
        if centre is None or changes.get("s", "0") not in {"0", "1"} or len(changes.get("e", "")) > _MAIL_LENGTH:
            return 0
        centre.active = changes["s"] == "1" if "s" in changes else centre.active
        centre.mails = changes.get("e", centre.mails)
        return 1

    def knows_centre(self, id: int) -> bool:
        """Tell whether messages may name this cost centre."""
        return id in self.centres and self.centres[id].active

    def _add_centre(self, name: str, id: int, mails: str = "") -> int:
        self.centres[id] = CostCentre(id, name, mails=mails)
        if self.settings.distribution is Distribution.COST_CENTRE and self.credits:
            self.credits[id] = [0, 0, 0]
        return id


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
