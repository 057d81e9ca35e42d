// The events that scripts/bench signalling sends, on npm socket.io: the least that answers them as Palaver does.
'use strict';
const http = require('node:http');
const { randomUUID } = require('node:crypto');
const { Server } = require('socket.io');

const server = http.createServer();
const io = new Server(server, { transports: ['websocket'], serveClient: false });

io.on('connection', (socket) => {
  const { userId, name } = socket.handshake.auth;
  let room = null;
  socket.on('createRoom', ({ roomName }, answer) => {
    room = roomName;
    socket.join(room);
    answer({ success: true, room: { roomId: room } });
  });
  socket.on('mediaStateChanged', (state, answer) => {
    socket.to(state.roomId).emit('participantMediaStateUpdated', { userId, userName: name, ...state });
    answer({ success: true, message: '' });
  });
  socket.on('sendMessage', ({ roomId, content }, answer) => {
    const timestamp = Date.now();
    const message = { messageId: randomUUID(), userId, userName: name, content, timestamp, reactions: [] };
    io.to(roomId).emit('newMessage', message);
    answer({ success: true, message });
  });
  socket.on('disconnect', () => {
    if (room !== null) io.to(room).emit('userLeft', { userId, roomId: room });
  });
});

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
