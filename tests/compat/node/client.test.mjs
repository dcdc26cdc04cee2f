// Every verb of npm's `toxiproxy-node-client`, unchanged, against a running server.
//
// TOXIPROXY_URL names the server; the package is found beside this file's copy.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { Toxiproxy, ToxiproxyError } from "toxiproxy-node-client";

const toxiproxy = new Toxiproxy(process.env.TOXIPROXY_URL);
let upstream;
let proxy;

before(async () => {
  upstream = net.createServer((socket) => socket.on("error", () => {}).pipe(socket));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
});

after(() => upstream.close());

const upstreamAddress = () => `127.0.0.1:${upstream.address().port}`;

beforeEach(async () => {
  for (const each of Object.values(await toxiproxy.getAll())) await each.remove();
  proxy = await toxiproxy.createProxy({ name: "echo", listen: "localhost:0", upstream: upstreamAddress() });
});

function connect({ listen }) {
  const [host, port] = listen.split(":");
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  socket.setTimeout(10_000, () => socket.destroy(new Error("nothing came for 10 s")));
  return socket;
}

/** Milliseconds that a message takes through the proxy and back. */
async function roundTrip(of) {
  const socket = connect(of);
  await once(socket, "connect");
  const began = performance.now();
  socket.write("ping");
  const [answer] = await once(socket, "data");
  assert.equal(String(answer), "ping");
  socket.destroy();
  return performance.now() - began;
}

const refused = (status) => (error) => error instanceof ToxiproxyError && error.message.endsWith(String(status));

test("getVersion", async () => {
  assert.equal(JSON.parse(await toxiproxy.getVersion()).version, "2.12.0");
});

test("createProxy", async () => {
  assert.match(proxy.listen, /^127\.0\.0\.1:[1-9]\d*$/);
  assert.deepEqual(proxy.toJson(), { enabled: true, listen: proxy.listen, name: "echo", upstream: upstreamAddress() });
  assert.equal(proxy.getToxiproxy(), toxiproxy);
  assert.ok(await roundTrip(proxy));
  const again = { name: "echo", listen: "localhost:0", upstream: "localhost:1" };
  await assert.rejects(toxiproxy.createProxy(again), refused(409));
});

test("get and getAll", async () => {
  assert.deepEqual((await toxiproxy.get("echo")).toJson(), proxy.toJson());
  assert.deepEqual(Object.keys(await toxiproxy.getAll()), ["echo"]);
  await assert.rejects(toxiproxy.get("nobody"), refused(404));
});

test("populate", async () => {
  const bodies = [
    { name: "echo", listen: proxy.listen, upstream: upstreamAddress() },
    { name: "other", listen: "localhost:0", upstream: "localhost:1", enabled: false },
  ];
  await proxy.addToxic({ type: "latency", attributes: { latency: 1, jitter: 0 } });
  const populated = await toxiproxy.populate(bodies);
  assert.deepEqual(Object.keys(populated).sort(), ["echo", "other"]);
  assert.equal(populated.other.enabled, false);
  // The equal one was left alone, its toxics included.
  assert.equal((await proxy.getToxic("latency_downstream")).attributes.latency, 1);
  assert.deepEqual(await toxiproxy.populate([]), {});
});

test("update and remove a proxy", async () => {
  const off = await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream });
  assert.equal(off.enabled, false);
  await assert.rejects(once(connect(proxy), "connect"), { code: "ECONNREFUSED" });
  const on = await off.update({ enabled: true });
  assert.equal(on.listen, proxy.listen);
  assert.ok(await roundTrip(on));
  await proxy.remove();
  await assert.rejects(proxy.remove(), refused(404));
});

test("addToxic with nothing but type and attributes, and getToxic", async () => {
  const toxic = await proxy.addToxic({ type: "latency", attributes: { latency: 60, jitter: 0 } });
  const expected = {
    attributes: { latency: 60, jitter: 0 },
    name: "latency_downstream",
    stream: "downstream",
    toxicity: 1,
    type: "latency",
  };
  assert.deepEqual(toxic.toJson(), expected);
  assert.deepEqual((await proxy.getToxic("latency_downstream")).toJson(), expected);
  assert.ok((await roundTrip(proxy)) >= 60);
  await assert.rejects(proxy.getToxic("nobody"), refused(404));
  await assert.rejects(proxy.addToxic({ type: "nonsense", attributes: {} }), refused(400));
});

for (const [type, attributes] of Object.entries({
  latency: { latency: 10, jitter: 5 },
  bandwidth: { rate: 100 },
  slow_close: { delay: 10 },
  timeout: { timeout: 10 },
  reset_peer: { timeout: 10 },
  slicer: { average_size: 64, size_variation: 8, delay: 10 },
  limit_data: { bytes: 100 },
})) {
  test(`${type} with every field`, async () => {
    const body = { name: "mine", type, stream: "upstream", toxicity: 0.5, attributes };
    assert.deepEqual((await proxy.addToxic(body)).toJson(), body);
  });
}

test("update and remove a toxic", async () => {
  const body = { name: "late", type: "latency", stream: "downstream", toxicity: 1, attributes: { latency: 5000, jitter: 0 } };
  const toxic = await proxy.addToxic(body);
  const updated = await toxic.update({ ...body, attributes: { latency: 60, jitter: 0 } });
  assert.equal(updated.attributes.latency, 60);
  const took = await roundTrip(proxy);
  assert.ok(took >= 60 && took < 5000);
  await updated.remove();
  await assert.rejects(updated.remove(), refused(404));
});

test("reset", async () => {
  await proxy.addToxic({ type: "timeout", attributes: { timeout: 0 } });
  await proxy.update({ enabled: false });
  await toxiproxy.reset();
  assert.equal((await toxiproxy.get("echo")).enabled, true);
  await assert.rejects(proxy.getToxic("timeout_downstream"), refused(404));
  assert.ok(await roundTrip(proxy));
});
