"""Serves one of each kind of metric with prometheus_client, for the test that scrapes it.

Usage: serve.py PORT [multi]

With `multi` the metrics are those of other processes, which leave them in PROMETHEUS_MULTIPROC_DIR:
two are started, count, and end before anything is served.
"""

import os
import subprocess
import sys
import time

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client import multiprocess, start_http_server


def count():
    """What one of several processes does."""
    jobs = Counter("multi_jobs", "Jobs of all processes.", ["kind"])
    jobs.labels("wash").inc(3)
    Gauge("multi_load", "The sum over processes.", multiprocess_mode="sum").set(2.5)
    seconds = Histogram("multi_seconds", "How long jobs took.", buckets=(1, 5))
    seconds.observe(0.5)
    seconds.observe(4)


def single():
    Counter("shop_orders", "Orders that were taken.", ["kind"]).labels('a "b"\\c\nd').inc(3, {"trace_id": "abc123"})
    Gauge("shop_temperature_celsius", "In the shop.").set(-4.25)
    seconds = Histogram("shop_order_seconds", "How long orders took.", buckets=(0.1, 1, 10))
    for value in (0.05, 0.5, 0.5, 5, 50):
        seconds.observe(value, {"trace_id": f"t{value}"})
    total = Summary("shop_basket_items", "Things in a basket.")
    total.observe(2)
    total.observe(5)
    Info("shop_build", "What runs.").info({"version": "1.2.3"})
    Enum("shop_state", "Open or not.", states=["open", "closed"]).state("closed")


def main():
    port, kind = int(sys.argv[1]), sys.argv[2:]
    if kind == ["worker"]:
        return count()
    registry = REGISTRY
    if kind == ["multi"]:
        workers = [subprocess.Popen([sys.executable, __file__, str(port), "worker"]) for _ in range(2)]
        if any(worker.wait() for worker in workers):
            sys.exit("a worker failed")
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=os.environ["PROMETHEUS_MULTIPROC_DIR"])
    else:
        single()
    start_http_server(port, addr="127.0.0.1", registry=registry)
    while True:
        time.sleep(3600)


main()
