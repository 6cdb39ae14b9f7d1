"""Release 3, which somebody forgot to try: it cannot even be loaded."""

from flask import Flask

import no_such_module

app = Flask(__name__)


@app.get("/")
def page():
    return no_such_module.answer("release 3\n")
