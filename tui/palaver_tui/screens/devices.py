"""The window in which one chooses microphone, speaker, and how one's sound is treated; a choice works at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, OptionList, Static

from palaver_client.sound_choices import SoundSettings
from palaver_client.state import ClientState, SideState
from palaver_media.engine_messages import Device, Devices, Side
from palaver_tui import labels, sound_labels
from palaver_tui.knobs import Knob
from palaver_tui.messages import Asked
from palaver_tui.widgets.cells import plain, spread
from palaver_tui.widgets.choices import Choices
from palaver_tui.widgets.follow import follow
from palaver_tui.widgets.meter import meter
from palaver_tui.wishes import Audition, Choose, ListDevices, TestEcho, Turn

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.await_complete import AwaitComplete

DEVICE = "device"  # the spec of the system's default
NONE = "null"


class ChooseSound(Window[None]):
    """Inputs and outputs side by side, what is in use marked, the microphone's level, and all that can be turned."""

    BINDINGS = [("escape,s", "dismiss", "Close"), ("r", "look_again", "Look again"), ("e", "test_echo", "Echo test")]

    def compose(self) -> ComposeResult:
        """Two lists, a level, what can be turned, and what is wrong."""
        with Vertical(classes="box wide sound") as box:
            box.border_title = Content("Sound")
            box.border_subtitle = Content("Enter chooses · ← → turn · r looks again · Esc closes")
            with Horizontal(id="sides"):
                yield DeviceList(Side.SOURCE)
                yield DeviceList(Side.SINK)
            yield Level()
            yield Knobs()
            yield Problems(id="problems", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(sound_labels.ECHO_TEST[False], id="echo", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Ask the engine which devices there are, and let the level be seen."""
        self.action_look_again()
        self.post_message(Asked(Audition(True)))
        follow(self, echo_test, self.show_echo_test)

    def show_echo_test(self, seen: tuple[bool, bool]) -> None:
        """Say whether we hear ourselves, and offer it where there is a call."""
        can_test, is_on = seen
        button = self.query_one("#echo", Button)
        button.label = sound_labels.ECHO_TEST[is_on]
        button.variant = "warning" if is_on else "default"
        button.disabled = not can_test

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Test, or close."""
        if event.button.id == "echo":
            self.action_test_echo()
        else:
            self.dismiss()

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, and look at the level no longer."""
        if self.is_active:
            self.app.post_message(Asked(Audition(False)))  # this window may get nothing through any more
        return super().dismiss(result)

    def action_test_echo(self) -> None:
        """Hear ourselves as others would, or no longer."""
        button = self.query_one("#echo", Button)
        if not button.disabled:
            self.post_message(Asked(TestEcho(button.variant != "warning")))

    def action_look_again(self) -> None:
        """Ask the engine again: something may have been plugged in."""
        self.post_message(Asked(ListDevices()))


class DeviceList(Choices):
    """The devices of one side."""

    def __init__(self, side: Side) -> None:
        super().__init__(sound_labels.side(side), sound_labels.NO_DEVICES_YET, id=side.value)
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


class Knobs(Choices):
    """All that can be turned, with what it is now: Enter, a click or → goes on, ← goes back."""

    BINDINGS = [Binding("right", "turn(1)", show=False), Binding("left", "turn(-1)", show=False)]

    def __init__(self) -> None:
        super().__init__(sound_labels.TREATMENT, "", id="knobs")

    def on_mount(self) -> None:
        """Watch what is chosen."""
        follow(self, lambda state: state.choices, self.show)

    def show(self, choices: SoundSettings) -> None:
        """Show each with its value."""
        lines = [(knob.name, partial(line_of_knob, knob, sound_labels.value_of(knob, choices))) for knob in Knob]
        self.show_lines(lines, is_counted=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Turn the chosen one."""
        event.stop()
        self.action_turn(1)

    def action_turn(self, step: int) -> None:
        """Turn the one that is highlighted."""
        if self.highlighted_option is not None and self.highlighted_option.id is not None:
            self.post_message(Asked(Turn(Knob[self.highlighted_option.id], step)))


class Level(Static):
    """One's own level, to see that the microphone works."""

    def on_mount(self) -> None:
        """Watch the level, and whether there is any."""
        follow(self, level, self.show)

    def show(self, dbfs: float | None) -> None:
        """Show the level."""
        if dbfs is None:
            self.update(Content.styled(sound_labels.LEVEL_LATER, "$foreground-muted"))
        else:
            self.update(Content.assemble(f"{sound_labels.LEVEL} ", meter(dbfs, 24, track="$panel")))


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


def line_of_knob(knob: Knob, value: str, width: int) -> Content:
    """What can be turned, and its value."""
    return spread(Content(f" {sound_labels.KNOBS[knob]}"), Content.styled(f"{value} ", "bold"), width)


def level(state: ClientState) -> float | None:
    """Our level; None where no microphone is open, nor was tried."""
    source = state.sound.source
    return state.sound.input_dbfs if state.room is not None or source.name or source.problem else None


def echo_test(state: ClientState) -> tuple[bool, bool]:
    """Whether there is a call to test the echo in, and whether it is being done."""
    return state.is_talking_possible, state.doing.is_echo_test


def line_of(name: str, is_used: bool, width: int) -> Content:
    """A device, marked if it is in use."""
    shown = Content.assemble("● " if is_used else "  ", plain(" ".join(name.split()), "bold" if is_used else ""))
    return spread(shown, Content(""), width)


def problems(state: ClientState) -> tuple[str, ...]:
    """What is wrong with devices and sides; what the list of devices explains is said once."""
    listing = state.devices.problem if state.devices is not None else ""
    sides = [side for side in (state.sound.source, state.sound.sink) if not side.remedy or side.remedy not in listing]
    return tuple(labels.sentence(line) for line in (listing, sound_labels.troubles(sides)) if line)
