"""The window in which one chooses microphone and speaker; a choice works at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, OptionList, Static

from palaver_client.state import ClientState, SideState
from palaver_media.engine_messages import Device, Devices, Side
from palaver_tui import labels
from palaver_tui.messages import Asked
from palaver_tui.widgets.cells import plain, spread
from palaver_tui.widgets.choices import Choices
from palaver_tui.widgets.follow import follow
from palaver_tui.widgets.meter import meter
from palaver_tui.wishes import Choose, ListDevices

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

DEVICE = "device"  # the spec of the system's default
NONE = "null"


class ChooseDevices(Window[None]):
    """Inputs and outputs side by side, what is in use marked, and the microphone's level."""

    BINDINGS = [("escape,s", "dismiss", "Close"), ("r", "look_again", "Look again")]

    def compose(self) -> ComposeResult:
        """Two lists, a level, and what is wrong."""
        with Vertical(classes="box wide") as box:
            box.border_title = Content("Sound")
            box.border_subtitle = Content("Enter or click chooses · r looks again · Esc closes")
            with Horizontal(id="sides"):
                yield DeviceList(Side.SOURCE)
                yield DeviceList(Side.SINK)
            yield Level()
            yield Problems(id="problems", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Ask the engine which devices there are."""
        self.action_look_again()

    def on_button_pressed(self) -> None:
        """Close."""
        self.dismiss()

    def action_look_again(self) -> None:
        """Ask the engine again: something may have been plugged in."""
        self.post_message(Asked(ListDevices()))


class DeviceList(Choices):
    """The devices of one side."""

    def __init__(self, side: Side) -> None:
        super().__init__(labels.side(side), labels.NO_DEVICES_YET, id=side.value)
        self._side = side
        self._specs: tuple[str, ...] = ()

    def on_mount(self) -> None:
        """Watch the devices and what is in use."""
        follow(self, self.look, self.show)

    def look(self, state: ClientState) -> tuple[Devices | None, SideState]:
        """The devices, and the one in use."""
        return state.devices, state.sound.source if self._side is Side.SOURCE else state.sound.sink

    def show(self, seen: tuple[Devices | None, SideState]) -> None:
        """Show them."""
        devices, used = seen
        if devices is None:
            return
        there = devices.inputs if self._side is Side.SOURCE else devices.outputs
        choices = offered(there, used.spec, self._side)
        self._specs = tuple(spec for spec, _ in choices)
        lines = [(f"choice-{n}", partial(line_of, name, spec == used.spec)) for n, (spec, name) in enumerate(choices)]
        self.show_lines(lines, is_counted=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Use the chosen one."""
        event.stop()
        if event.option_id is not None:
            self.post_message(Asked(Choose(self._side, self._specs[event.option_index])))


class Level(Static):
    """One's own level, to see that the microphone works."""

    def on_mount(self) -> None:
        """Watch the level, and whether there is any: outside of a room no microphone is open."""
        follow(self, lambda state: state.sound.input_dbfs if state.room is not None else None, self.show)

    def show(self, dbfs: float | None) -> None:
        """Show the level."""
        if dbfs is None:
            self.update(Content.styled(labels.LEVEL_LATER, "$foreground-muted"))
        else:
            self.update(Content.assemble(f"{labels.LEVEL} ", meter(dbfs, 24, track="$panel")))


class Problems(Static):
    """What does not work, and what would mend it."""

    def on_mount(self) -> None:
        """Watch for problems."""
        follow(self, problems, self.show)

    def show(self, lines: tuple[str, ...]) -> None:
        """Show them, or nothing."""
        self.display = bool(lines)
        self.update(Content("\n").join([plain(line, "$text-warning") for line in lines]))


def offered(there: tuple[Device, ...], used: str, side: Side) -> list[tuple[str, str]]:
    """What can be chosen, as spec and name: the default, every device, nothing, and what else is in use."""
    default = next((f" ({device.name})" for device in there if device.is_default), "")
    choices = [(DEVICE, f"System default{default}")]
    choices += [(f"{DEVICE}:{device.name}", device.name) for device in there]
    choices += [(NONE, "None: only listen" if side is Side.SOURCE else "None: hear nothing")]
    return choices if not used or used in dict(choices) else [(used, used), *choices]


def line_of(name: str, is_used: bool, width: int) -> Content:
    """A device, marked if it is in use."""
    shown = Content.assemble("● " if is_used else "  ", plain(" ".join(name.split()), "bold" if is_used else ""))
    return spread(shown, Content(""), width)


def problems(state: ClientState) -> tuple[str, ...]:
    """What is wrong with devices and sides; what the list of devices explains is said once."""
    listing = state.devices.problem if state.devices is not None else ""
    sides = [side for side in (state.sound.source, state.sound.sink) if not side.remedy or side.remedy not in listing]
    return tuple(labels.sentence(line) for line in (listing, labels.troubles(sides)) if line)
