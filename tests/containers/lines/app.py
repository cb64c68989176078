"""Logs as Python's logging does unless it is told otherwise, and dies of an exception."""

import json
import logging

logging.basicConfig(level=logging.DEBUG)
log = logging.getLogger("app.orders")


def divide(total, parts):
    return total / parts


log.debug("reading the orders")
log.info('caf\u00e9 opens, "quoted" and C:\\path')
log.warning("an order\nof two lines")
print("Error handling is on", flush=True)
print(json.dumps({"level": "warning", "msg": "said as JSON"}), flush=True)
try:
    divide(7, 0)
except ZeroDivisionError:
    log.exception("order 7 is left out")
log.info("closing the books")
try:
    divide(8, 0)
except ZeroDivisionError as error:
    raise RuntimeError("cannot close the books") from error
