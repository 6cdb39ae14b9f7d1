"""Serves app:app by waitress on the sockets that supervise holds, and ends on TERM when every request has its answer."""

import os
import signal
import socket
import sys

import waitress
from waitress import wasyncore

sys.path.insert(0, os.getcwd())
from app import app

FIRST = 3
READY = 10  # As the file notification-fd says.

sockets = [socket.socket(fileno=FIRST + number) for number in range(int(os.environ["LISTEN_FDS"]))]
channels = {}
servers = [waitress.create_server(app, map=channels, sockets=[listener]) for listener in sockets]
ending = False


def end(*_):
    global ending
    ending = True
    # The loop may be waiting for the next request.
    servers[0].pull_trigger()


signal.signal(signal.SIGTERM, end)
os.write(READY, b"\n")
while not ending:
    wasyncore.loop(timeout=30, use_poll=True, map=channels, count=1)
for server in servers:
    server.accepting = False
while any(server.active_channels for server in servers):
    wasyncore.loop(timeout=1, use_poll=True, map=channels, count=1)
for server in servers:
    server.task_dispatcher.shutdown()
