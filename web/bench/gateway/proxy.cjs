// What you would write in an afternoon: Node's own http module, keep-alive toward
// Whop, no cache, no limits, no locks. For every check it looks up the license, binds
// it on first use, and answers in v2's format.
//
// node proxy.cjs UPSTREAM API_KEY CALLS
//
// CALLS is 1 or 2: with 2 it always makes two calls to Whop, a look-up by
// license key and one by membership.
"use strict";
const http = require("node:http");

const upstream = new URL(process.argv[2]);
const apiKey = process.argv[3];
const calls = Number(process.argv[4]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      accept: "application/json",
      "api-version-date": "2025-01-01",
    };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = Buffer.byteLength(body);
    }
    const req = http.request(
      {
        agent,
        method,
        host: upstream.hostname,
        port: upstream.port,
        path: upstream.pathname + path,
        headers,
      },
      (res) => {
        const chunks = [];
        res.on("data", (c) => chunks.push(c));
        res.on("end", () => {
          try {
            resolve({ status: res.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) });
          } catch (e) {
            reject(e);
          }
        });
        res.on("error", reject);
      },
    );
    req.on("error", reject);
    req.end(body);
  });
}

function answer(res, status, body) {
  const text = JSON.stringify(body);
  res.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  res.end(text);
}

async function validate(key, sent) {
  let { status, body: m } = await call("GET", `/memberships/${encodeURIComponent(key)}`);
  if (status !== 200) return [404, { error: { status: 404, message: "No such Membership found" } }];
  if (!m.metadata || Object.keys(m.metadata).length === 0) {
    await call("PATCH", `/memberships/${m.id}`, JSON.stringify({ metadata: sent }));
  } else if (calls === 2) {
    m = (await call("GET", `/memberships/${m.id}`)).body;
  }
  for (const name of Object.keys(sent)) {
    if (m.metadata && Object.keys(m.metadata).length > 0 && m.metadata[name] !== sent[name]) {
      return [
        400,
        { error: { status: 400, message: "Please reset your key to use on a new machine" } },
      ];
    }
  }
  const seconds = (t) => (t ? Math.floor(Date.parse(t) / 1000) : null);
  return [
    201,
    {
      id: m.id,
      product: m.product.id,
      plan: m.plan.id,
      status: m.status,
      valid: m.status === "active",
      license_key: key,
      metadata: sent,
      created_at: seconds(m.created_at),
      renewal_period_end: seconds(m.renewal_period_end),
      cancel_at_period_end: m.cancel_at_period_end,
      manage_url: m.manage_url,
    },
  ];
}

const server = http.createServer((req, res) => {
  const chunks = [];
  req.on("data", (c) => chunks.push(c));
  req.on("end", async () => {
    try {
      const key = decodeURIComponent(req.url.split("/")[4]);
      const { metadata } = JSON.parse(Buffer.concat(chunks).toString());
      const [status, body] = await validate(key, metadata);
      answer(res, status, body);
    } catch (e) {
      answer(res, 502, { error: { status: 502, message: String(e) } });
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
