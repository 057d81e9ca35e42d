"""What one can change in a client's sound; it holds for the call that runs and for those that come."""

from __future__ import annotations

import contextlib

from attrs import define, evolve

from palaver_media.sound_settings import Capture, Encoding, PersonVolume, RecordingForm, Transmit
from palaver_protocol.models import UserId
from palaver_protocol.table import Code, Refusal, refusal

from .asking import Asking
from .errors import Disconnected
from .events import EchoTestChanged, RecordingWanted, SoundSettingsChanged, TalkingChanged
from .sound_choices import SoundSettings, with_person, with_transmit


@define(eq=False)
class Sounding(Asking):
    """A client's sound, as far as it is chosen. A call that runs follows the events, and tells the engine."""

    @property
    def sound_settings(self) -> SoundSettings:
        """What is chosen now."""
        return self.state.choices

    def choose(self, settings: SoundSettings) -> None:
        """Treat our sound, and that of others, like this from now on."""
        if settings != self.state.choices:
            self._session.happen(SoundSettingsChanged(settings))

    def set_capture(self, capture: Capture) -> None:
        """Treat the microphone's sound like this."""
        self.choose(evolve(self.state.choices, capture=capture))

    def set_encoding(self, encoding: Encoding) -> None:
        """Encode like this."""
        self.choose(evolve(self.state.choices, encoding=encoding))

    def set_transmit(self, transmit: Transmit) -> None:
        """Send always, by voice, or while `set_talking` says so, which has to be said anew."""
        if self.state.doing.is_talking:
            self.set_talking(False)
        self.choose(with_transmit(self.state.choices, transmit))

    def set_talking(self, is_talking: bool) -> None:
        """The push-to-talk key is down, or up again."""
        self._session.happen(TalkingChanged(is_talking))

    def set_volume(self, volume_db: float) -> None:
        """How loud all are heard, in dB. Raises ValueError where that is too much or too little."""
        self.choose(evolve(self.state.choices, volume=evolve(self.state.choices.volume, volume_db=volume_db)))

    def set_person_volume(self, user: UserId, volume: PersonVolume) -> None:
        """How somebody is heard, wherever we meet him."""
        self.choose(with_person(self.state.choices, user, volume))

    def deafen(self, is_deaf: bool = True) -> None:
        """Hear nobody, or hear again."""
        self.choose(evolve(self.state.choices, volume=evolve(self.state.choices.volume, is_deaf=is_deaf)))

    def use_headset(self, is_headset: bool) -> None:
        """Have the least delay, as it is good for ears that the microphone does not hear; or no more."""
        self.choose(evolve(self.state.choices, is_headset=is_headset))

    def set_echo_test(self, is_on: bool) -> None:
        """Hear ourselves as others would, a moment later; or no more. Raises Refusal."""
        self._need_call()
        self._session.happen(EchoTestChanged(is_on))

    def set_recordings(self, folder: str) -> None:
        """Where recordings go from now on; "" is the usual folder."""
        self.choose(evolve(self.state.choices, recordings=folder))

    def set_talk_key(self, key: str) -> None:
        """Which key is that for push-to-talk."""
        self.choose(evolve(self.state.choices, talk_key=key))

    async def start_recording(self, form: RecordingForm | None = None) -> None:
        """Record the call; `RecordingBegan` says where its files are. Raises Refusal."""
        self._need_call()
        try:
            await self._tell_recording(True)
        except Refusal:
            self._session.is_recording = False
            raise
        self._session.happen(RecordingWanted(form or self.state.choices.form))

    async def stop_recording(self) -> None:
        """Record no more; `RecordingEnded` says that the files are whole. Raises Refusal."""
        self._session.happen(RecordingWanted(None))
        await self._tell_recording(False)

    async def _tell_recording(self, is_recording: bool) -> None:
        """Let everybody know, in this room and in those that come; without a connection the next one tells it."""
        if not self.state.sound.sink.spec.startswith("file:"):  # which records all the time, and tells so
            with contextlib.suppress(Disconnected):
                await self.set_recording(is_recording)

    def _need_call(self) -> None:
        if not self.state.is_talking_possible:
            raise no_call()


def no_call() -> Refusal:
    """There is no sound that could do it."""
    return refusal(Code.NOT_MEMBER, "there is no call")
