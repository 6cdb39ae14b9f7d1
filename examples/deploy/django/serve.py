"""Serves the Django site whose urls.py lies in the current directory by FastCGI, and ends on TERM when every request has its answer."""

import os
import sys
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver
from flup.server.fcgi import WSGIServer

READY = 10  # As the file notification-fd says.

sys.path.insert(0, os.getcwd())
settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], SECRET_KEY="for this example only")


class Server(WSGIServer):
    def shutdown(self):
        # flup would drop the requests that wait for a thread.
        while self._threadPool._workQueue:
            time.sleep(0.01)
        super().shutdown()


# During a replacement both copies wait for the same connections, so one must not block when the other was faster.
os.set_blocking(0, False)
application = get_wsgi_application()
# Load the URLs now. Django would load them at the first request, when it is too late to find out that they are broken.
get_resolver().url_patterns
os.write(READY, b"\n")
Server(application, minSpare=4, maxSpare=8, maxThreads=64).run()
