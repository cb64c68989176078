"""The shop's worker: puts each order that was announced on RabbitMQ into Meilisearch."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import pika

HEARTBEAT = Path("/tmp/heartbeat")
is_stopped = False


def stop(*_):
    global is_stopped
    is_stopped = True


def index(order):
    request = urllib.request.Request(
        os.environ["MEILI_HOST"] + "/indexes/orders/documents",
        json.dumps([order]).encode(),
        {"Authorization": "Bearer " + os.environ["MEILI_MASTER_KEY"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        print(f"order {order['id']} can be found")


def main():
    signal.signal(signal.SIGTERM, stop)
    with pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"])) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True)
        # With None after a second without a message, so that the heartbeat goes on and a stop is seen.
        for method, _, body in channel.consume("orders", inactivity_timeout=1):
            HEARTBEAT.touch()
            if method is not None:
                index(json.loads(body))
                # Only now may the broker forget it: what was begun when the worker ended comes again.
                channel.basic_ack(method.delivery_tag)
            if is_stopped:
                break
        channel.cancel()
    print("the order in hand is done")


main()
