"""The lines of `palaver call --json`, for the readers of its --help."""

from __future__ import annotations

from typing import Final

EVENTS: Final = """\
with --json, each line is one object with event, time (ms since the epoch) and:
  connected       userId name isResumed: the server has kept all that was ours
  connectionLost  reason retryIn (s, or null: for good)
  carrier         isPolling reason: no WebSocket comes through, HTTP requests do
  waiting         (without --room) nobody talks with us yet
  joined          roomId roomName roomType participants (userId name isHost isMuted isRecording) isAgain
  left            reason
  incomingCall    callId userId name roomId roomType ringsFor (ms); roomId is null but for invitations
  calling         callId userId name: it rings at somebody
  callAccepted    callId userId name
  callRejected    callId userId name reason isOwnWords: whether the reason is what the callee wrote
  callOver        callId reason: it rings no longer (cancelled, timeout, ...; nobody's own words)
  invited         roomId userIds
  hungUp          (without --room) reason seconds
  userJoined, userLeft, mediaStarted   userId name
  mediaState      userId name isMuted isVideoEnabled isAway
  recording       userId name isRecording: somebody records the call, or no longer does
  hostChanged     userId name reason
  roomHostless    message
  message         messageId userId name text timestamp replyTo
  messageEdited, messageDeleted, reactions   messageId, and what it is now
  older           roomId messages more
  muted           isMuted
  media           state (connecting, connected, lost, failed) reason
  soundStarted, soundProblem   side, and name, or reason remedy
  speaking        userId name isSpeaking
  sending         isSending: whether the microphone is sent now
  soundSettings   transmit echo noise agc highpass gain_db bitrate frame_ms isHeadset volume_db isDeaf
  echoTest        isOn
  recordingBegan, recordingEnded   folder, and problem remedy (empty when it was stopped) goesOn (in another folder)
  stats           rtt_ms jitter_ms loss playout_ms mouth_to_ear_ms (estimated) in_kbps out_kbps input_ms output_ms
                  encoding (what we send: bitrate frame_ms expectedLoss copies spacing complexity, or null)
                  users (userId name, and of each voice also concealed, late: the share that came too late to be heard)
  notice          level code message
  who             isConnected, here (userId name isHost isMuted isRecording), online (userId name
                  isInCall): the answer to /who
  rooms           isConnected, rooms (roomId roomName participants, how many): the answer to /rooms
  help            message: the answer to what was typed
  error           message code canRetry retryAfter (s): what was typed was not done; code may be null
  ended           reason seconds: the last line, also where no connection came about"""
