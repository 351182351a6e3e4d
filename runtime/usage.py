"""Mistakes in the arguments of a command are told as JSON too, where a program reads its output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

_WORDS = f"{__name__}.words"


class Telling(click.Command):
    """A command, or a group of commands, that may be given `--json`."""

    def make_context(
        self, info_name: str | None, args: list[str], *given: Any, **extra: Any
    ) -> click.Context:
        """Read the arguments."""
        words = list(args)
        with _told(words):
            context = super().make_context(info_name, args, *given, **extra)
        context.meta[_WORDS] = words
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; a group reads the arguments of its command here."""
        with _told(ctx.meta[_WORDS]):
            return super().invoke(ctx)


@contextmanager
def _told(words: Sequence[str]) -> Iterator[None]:
    """Print `{"errors": [{"message"}]}` before click says what is wrong with these arguments."""
    try:
        yield
    except click.UsageError as error:
        if "--json" in words:
            click.echo(json.dumps({"errors": [{"message": error.format_message()}]}))
        raise
