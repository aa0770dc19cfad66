"""Drives paho for Python: a request in JSON on each line of stdin, an answer or a message on each line of stdout."""

import json
import queue
import socket
import sys
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

TIMEOUT = 60  # seconds

clients = {}
output = threading.Lock()


def write(o):
    with output:
        print(json.dumps(o), flush=True)


def connect(r):
    url = urlsplit(r["url"])
    client = mqtt.Client(
        client_id=r["clientID"],
        protocol=r["version"],
        transport="websockets" if url.scheme in ("ws", "wss") else "tcp",
    )
    if r.get("username"):
        client.username_pw_set(r["username"], r["password"])
    if r.get("ca"):
        client.tls_set(ca_certs=r["ca"])
    if r.get("will"):
        w = r["will"]
        client.will_set(w["topic"], w["payload"], w["qos"], w["retain"])

    connected = queue.Queue()
    client.on_connect = lambda c, u, flags, rc, *more: connected.put(rc)

    def on_disconnect(c, userdata, rc, *more):
        connected.put("connection closed: %s" % rc)
        c.disconnect()  # else it would connect again

    client.on_disconnect = on_disconnect
    client.granted = queue.Queue()
    client.on_subscribe = lambda c, u, mid, granted, *more: client.granted.put(granted)
    client.on_message = lambda c, u, m: write({
        "client": r["client"],
        "message": {"topic": m.topic, "payload": m.payload.decode(), "qos": m.qos, "retain": bool(m.retain)},
    })
    client.connect(url.hostname, url.port, 60)
    clients[r["client"]] = client
    client.loop_start()
    rc = connected.get(timeout=TIMEOUT)
    if rc != 0:
        raise RuntimeError("connection refused: %s" % rc)


def subscribe(r):
    client = clients[r["client"]]
    client.subscribe(r["filter"], r["qos"])
    granted = client.granted.get(timeout=TIMEOUT)[0]
    # With MQTT 5 it is a reason code, else a number.
    if getattr(granted, "value", granted) != r["qos"]:
        raise RuntimeError("granted %s" % granted)


def publish(r):
    client = clients[r["client"]]
    sent = [client.publish(m["topic"], m["payload"], m["qos"], m["retain"]) for m in r["messages"]]
    for info in sent:
        info.wait_for_publish(TIMEOUT)
        if not info.is_published():
            raise RuntimeError("not published: %s" % mqtt.error_string(info.rc))


def drop(r):
    clients[r["client"]].socket().shutdown(socket.SHUT_RDWR)


def close(r):
    clients[r["client"]].disconnect()


for line in sys.stdin:
    request = json.loads(line)
    try:
        globals()[request["op"]](request)
        write({"id": request["id"]})
    except Exception as e:
        write({"id": request["id"], "error": "%s: %s" % (type(e).__name__, e)})
