"""A small shop: orders are stored in Postgres, listed from the cache, announced on RabbitMQ and found by Meilisearch."""

import json
import os
import signal
import threading
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pika
import psycopg
import redis

DATABASE = os.environ["DATABASE_URL"]
QUEUE = pika.URLParameters(os.environ["RABBITMQ_URL"])
CACHE = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=1, socket_connect_timeout=1)
SECONDS_IN_CACHE = 30


def store(item):
    with psycopg.connect(DATABASE, connect_timeout=2) as database:
        row = database.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", (item,)).fetchone()
    try:
        CACHE.delete("orders")
    except redis.RedisError as error:
        print(f"WARNING: the cache keeps an old list: {error}")
    order = {"id": row[0], "item": item}
    with pika.BlockingConnection(QUEUE) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True)
        channel.basic_publish("", "orders", json.dumps(order))
    return order


def orders():
    """The list, and where it came from. Without its cache the shop is slower, and not down."""
    try:
        if (kept := CACHE.get("orders")) is not None:
            return json.loads(kept), "cache"
    except redis.RedisError as error:
        print(f"WARNING: no cache: {error}")
    with psycopg.connect(DATABASE, connect_timeout=2) as database:
        rows = database.execute("SELECT id, item FROM orders ORDER BY id DESC LIMIT 100").fetchall()
    found = [{"id": id, "item": item} for id, item in rows]
    try:
        CACHE.set("orders", json.dumps(found), ex=SECONDS_IN_CACHE)
    except redis.RedisError:
        pass
    return found, "database"


def search(words):
    request = urllib.request.Request(
        os.environ["MEILI_HOST"] + "/indexes/orders/search",
        json.dumps({"q": words}).encode(),
        {"Authorization": "Bearer " + os.environ["MEILI_MASTER_KEY"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=2) as answer:
        return json.load(answer)["hits"]


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        match path:
            case "/":
                self.answer(200, {"shop": "open", "see": ["/orders", "/search?q=tea"]})
            case "/orders":
                self.attempt(lambda: dict(zip(("orders", "from"), orders())))
            case "/search":
                words = urllib.parse.parse_qs(query).get("q", [""])[0]
                self.attempt(lambda: {"found": search(words)})
            case _:
                self.answer(404, {"error": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/orders":
            return self.answer(404, {"error": "not found"})
        try:
            item = str(json.loads(body)["item"])
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": 'send {"item": "tea"}'})
        self.attempt(lambda: store(item), 201)

    def attempt(self, work, status=200):
        try:
            self.answer(status, work())
        except (OSError, psycopg.Error, pika.exceptions.AMQPError) as error:
            print(f"ERROR: {self.command} {self.path}: {error!r}")
            self.answer(503, {"error": "a dependency is down"})

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """nginx writes the access log."""


class Server(ThreadingHTTPServer):
    # At the end each open request gets its answer.
    daemon_threads = False


def main():
    server = Server(("0.0.0.0", int(os.environ["PORT"])), Shop)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("the shop is open")
    server.serve_forever()
    server.server_close()
    print("the shop is closed")


main()
