"""`palaver devices`: what there is to hear with and to speak into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from attrs import asdict

from palaver_media.engine_messages import Device, Devices
from palaver_protocol import text

from . import running
from .arguments import Parser
from .engine import list_devices

NAME: Final = "palaver devices"
PURPOSE: Final = "Lists microphones and loudspeakers, as --input and --output take them."
EXAMPLE: Final = f'{NAME}, then palaver call URL --input "device:NAME"'


def main(argv: Sequence[str]) -> int:
    """Run `palaver devices`; its exit code."""
    parser = Parser(NAME, PURPOSE, EXAMPLE)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse(argv)

    async def show() -> int:
        devices = await list_devices()
        print(orjson.dumps(asdict(devices)).decode() if options.json else "\n".join(lines(devices)), flush=True)
        return 0

    return running.run(NAME, show, is_endless=False)


def lines(devices: Devices) -> list[str]:
    """The list, for people."""
    if devices.problem and not devices.inputs and not devices.outputs:
        return [f"no sound: {text.one_line(devices.problem)}"]
    return [
        "microphones (--input)",
        *(_line(device) for device in devices.inputs),
        "loudspeakers (--output)",
        *(_line(device) for device in devices.outputs),
    ]


def _line(device: Device) -> str:
    return f"  device:{text.one_line(device.name)}{' (default)' if device.is_default else ''}"
