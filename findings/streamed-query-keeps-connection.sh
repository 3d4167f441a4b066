#!/bin/sh
# Flask 3.1.3, Flask-SQLAlchemy 3.1.1, SQLAlchemy 2.1.9: rows of a query that a view began and stream_with_context sends. The context
# comes back for the stream, the session does not: it ended with the request, the query begins it again, and nobody ends
# it a second time. A connection stays out of the pool after the whole answer was read, until garbage is collected.
# A session taken within the stream is ended with it. Needs Python and a package index. Fails once that changes.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flask==3.1.3 flask-sqlalchemy==3.1.1 sqlalchemy==2.1.9
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import gc
import os

from flask import Flask, stream_with_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import QueuePool

app = Flask(__name__, instance_path=os.getcwd())
app.config |= {"SQLALCHEMY_DATABASE_URI": "sqlite:///rows.db", "SQLALCHEMY_ENGINE_OPTIONS": {"poolclass": QueuePool}}
db = SQLAlchemy(app)


class Row(db.Model):
    id = db.Column(db.Integer, primary_key=True)


@app.get("/of-the-view")
def of_the_view():
    rows = db.session.query(Row)
    return app.response_class(stream_with_context(f"{row.id}\n" for row in rows))


@app.get("/of-the-stream")
def of_the_stream():
    def rows():
        yield from (f"{row.id}\n" for row in db.session.query(Row))

    return app.response_class(stream_with_context(rows()))


with app.app_context():
    db.create_all()
    db.session.add_all(Row() for _ in range(3))
    db.session.commit()
gc.disable()
held = {}
for path in ("/of-the-stream", "/of-the-view"):
    with app.app_context():
        before = db.engine.pool.checkedout()
    answer = app.test_client().get(path, buffered=True)
    assert answer.text == "1\n2\n3\n", answer.text
    answer.close()
    with app.app_context():
        held[path] = db.engine.pool.checkedout() - before
print("connections held after the answer was read:", held)
gc.enable()
gc.collect()
with app.app_context():
    print("after the collection:", db.engine.pool.checkedout())
assert held == {"/of-the-stream": 0, "/of-the-view": 1}
PYTHON
echo "as described: a query of the view keeps its connection behind the stream"
