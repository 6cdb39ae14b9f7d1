"""Release 1 of the web application."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def page():
    return "release 1\n"
