// Asks an HTTP proxy by Node's own clients, and prints what they saw as JSON.
//
//   node http_client.js PORT PATH REQUESTS
//
// http1: REQUESTS by a keep-alive agent with 4 sockets; http2: as many at once on one session;
// upload: a body of unknown length by PUT to /put/node, and what is there afterwards.
const http = require("http");
const http2 = require("http2");
const { Readable } = require("stream");

const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const sockets = new Set();

function collect(stream) {
  return new Promise((resolve, reject) => {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => resolve(Buffer.concat(parts).toString()));
    stream.on("error", reject);
  });
}

const failure = (error) => ({ error: error.code, message: error.message });

function one(agent, options, body) {
  return new Promise((resolve) => {
    const request = http.request({ host: "127.0.0.1", port, agent, ...options }, (response) => {
      sockets.add(response.socket);
      collect(response)
        .then((text) => resolve({ status: response.statusCode, body: text }))
        .catch((error) => resolve(failure(error)));
    });
    request.on("error", (error) => resolve(failure(error)));
    if (body) body.pipe(request);
    else request.end();
  });
}

function two(session) {
  return new Promise((resolve) => {
    let status;
    const stream = session.request({ ":path": path });
    stream.on("response", (headers) => (status = headers[":status"]));
    collect(stream)
      .then((text) => resolve({ status, body: text }))
      .catch((error) => resolve({ ...failure(error), reset: stream.rstCode }));
  });
}

async function main() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const all = Array.from({ length: count });
  const http1 = await Promise.all(all.map(() => one(agent, { path })));
  const used = sockets.size;
  const body = Readable.from(["one ", "two ", "x".repeat(200000)]);
  const put = await one(agent, { path: "/put/node", method: "PUT" }, body);
  const got = await one(agent, { path: "/put/node" });
  agent.destroy();
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const over2 = await Promise.all(all.map(() => two(session)));
  session.close();
  const upload = { status: put.status, back: got.body && got.body.length };
  console.log(JSON.stringify({ http1, sockets: used, http2: over2, upload }));
}

main();
