"""The switch's commands, as `cli/main.py` mounts them; each lives in `server/commands`."""

from server.commands.accounts import account
from server.commands.devices import device
from server.commands.folder import init, serve
from server.commands.ledger import ledger
from server.commands.merchants import merchant

__all__ = ["account", "device", "init", "ledger", "merchant", "serve"]
