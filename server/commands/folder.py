"""`kessai init` and `kessai serve`: a data folder is made, a switch runs on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import told_if_stopped
from kessai.console import Console, styled
from server import data_folder, main
from server.commands.options import DataFolder, address_without_password
from server.config import CONFIG_FILE, check_config, load_config
from server.shards.address import sqlite_urls

init = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
serve = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

ShardAddresses = Annotated[
    list[str] | None,
    typer.Option(
        help="Address of an account store, sqlite:///FILE or postgresql://ROLE@HOST/DATABASE; "
        "once for each, instead of --shards. Leave passwords to ~/.pgpass."
    ),
]
ForTests = Annotated[
    bool,
    typer.Option(
        "--test-amounts",
        help="Make books for tests only: certain totals are declined or late on purpose.",
    ),
]

_NEXT_STEPS = """\
[bold green]{0}[/] is ready: {1} shards, keys and certificates of {2}.
  1. Move [bold]{0}/offline-root[/] to a safe place, off this machine.
  2. Look at [bold]{0}/kessai.toml[/].
  3. kessai serve --data {0}"""

_out = Console()


@init.command()
def make_folder(
    data: DataFolder,
    domain: Annotated[
        str, typer.Option(help="Name of the switch in all identities, such as pay.example.")
    ] = "kessai.example",
    shards: Annotated[int, typer.Option(help="How many account stores, 1 to 1000.")] = 4,
    shard: ShardAddresses = None,
    listen: Annotated[str, typer.Option(help="host:port for terminals and phones.")] = (
        "127.0.0.1:7443"
    ),
    pairing_listen: Annotated[str, typer.Option(help="host:port for pairing.")] = "127.0.0.1:7444",
    metrics_listen: Annotated[str, typer.Option(help='host:port for /metrics, or "".')] = (
        "127.0.0.1:7445"
    ),
    public_host: Annotated[str, typer.Option(help="How devices reach this machine.")] = (
        "127.0.0.1"
    ),
    test_amounts: ForTests = False,
) -> None:
    """Make a data folder: certificates, keys, shards and a commented config.

    Example: kessai init --data /var/lib/kessai --domain pay.example
    """
    config = check_config(
        {
            "listen": listen,
            "pairing_listen": pairing_listen,
            "metrics_listen": metrics_listen,
            "public_host": public_host,
            "test_amounts": test_amounts,
        },
        "the settings",
    )
    urls = [address_without_password(url) for url in shard or sqlite_urls(shards)]
    with told_if_stopped(lambda: _made(data)):
        data_folder.create(data, domain, urls, config, main.now_us, os.urandom)
    _out.print(styled(_NEXT_STEPS, data, len(urls), domain))


@serve.command()
def serve_folder(data: DataFolder) -> None:
    """Run the switch on a data folder until SIGTERM or Ctrl-C.

    Example: kessai serve --data /var/lib/kessai
    """
    main.run(data, load_config(data))


def _made(data: Path) -> str:
    if (data / CONFIG_FILE).exists():
        return f"{data} is made, and whole."
    return f"{data} was not made; nothing was left behind."
