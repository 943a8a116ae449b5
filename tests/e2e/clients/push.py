"""Pushes with prometheus_client, as batch jobs do.

Usage: push.py ADDRESS
"""

import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway

gateway = sys.argv[1]
registry = CollectorRegistry()
Gauge("batch_last_success", "When it went well.", registry=registry).set(1700000000)
Counter("batch_rows", "Rows that were moved.", registry=registry).inc(42)
Histogram("batch_seconds", "How long it took.", registry=registry, buckets=(1, 10)).observe(3)
push_to_gateway(gateway, job="nightly", registry=registry, grouping_key={"instance": "nas", "path": "/a/b", "none": ""})
more = CollectorRegistry()
Gauge("batch_more", "Told later.", registry=more).set(7)
pushadd_to_gateway(gateway, job="nightly", registry=more, grouping_key={"instance": "nas", "path": "/a/b", "none": ""})
push_to_gateway(gateway, job="gone", registry=registry)
delete_from_gateway(gateway, job="gone")
print("pushed")
