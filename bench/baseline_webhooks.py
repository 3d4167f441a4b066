"""The bare route for webhooks: Stripe's package verifies, one statement inserts, and that is all."""

import os
from queue import LifoQueue
from typing import Any

import psycopg
import stripe
from flask import Flask, request

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
CONNECTIONS = 10
TABLE = "CREATE TABLE IF NOT EXISTS bare_events (stripe_id text PRIMARY KEY, type text, body text)"
INSERT = "INSERT INTO bare_events VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"

app = Flask(__name__)
idle: LifoQueue[psycopg.Connection] = LifoQueue()
with psycopg.connect(os.environ["BARE_DATABASE_URL"]) as first:
    first.execute(TABLE)
for _ in range(CONNECTIONS):
    idle.put(psycopg.connect(os.environ["BARE_DATABASE_URL"], autocommit=True))


@app.post("/webhooks/stripe")
def receive() -> Any:
    body = request.get_data()
    event = stripe.Webhook.construct_event(body, request.headers["Stripe-Signature"], SECRET)
    connection = idle.get()
    connection.execute(INSERT, (event.id, event.type, body.decode()))
    idle.put(connection)
    return {}
