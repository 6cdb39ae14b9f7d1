"""Release 2 of the web application."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def page():
    return "release 2\n"
