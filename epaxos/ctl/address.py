"""Where a replica takes clients, as a parameter of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from epaxos.config.client_address import ClientAddress as Address
from epaxos.config.client_address import client_address, parse_address

__all__ = ["ADDRESS", "Address", "client_address", "parse_address"]


if TYPE_CHECKING:
    _AddressBase = click.ParamType[Address]
else:
    _AddressBase = click.ParamType  # before click 8.4 it is not generic


class _AddressType(_AddressBase):
    """An address as a parameter of the command line."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return parse_address(value)
        except ValueError as why:
            self.fail(str(why), param, ctx)


ADDRESS = _AddressType()
