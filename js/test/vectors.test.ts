// The vectors of shared/testdata, through the package and a real HTTP server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LicenseError, type LicenseErrorCode, loadValidator } from "whop-license";
import { startLeaseServer, TestStore } from "./helpers/lease-server.js";
import { KEY, rejects, serve, vectors } from "./helpers/support.js";

interface Answer {
  about: string;
  query?: { licenseKey?: string; apiKey?: string };
  response: {
    status: number;
    headers?: Record<string, string>;
    body?: string;
    bodyBase64?: string;
    bodyRepeat?: { before?: string; text: string; times: number; after?: string };
  };
  want: { verdict?: object; error?: { code: string; status: number }; trusted?: string };
}

function bodyOf({ body = "", bodyBase64, bodyRepeat }: Answer["response"]): Buffer {
  if (bodyBase64 !== undefined) return Buffer.from(bodyBase64, "base64");
  if (!bodyRepeat) return Buffer.from(body);
  const { before = "", text, times, after = "" } = bodyRepeat;
  return Buffer.from(before + text.repeat(times) + after);
}

test("what a server answers", async (t) => {
  const answers = new Map(vectors<Answer>("response"));
  const endpoint = await serve((request, response) => {
    const vector = answers.get(request.url?.split("/")[1] ?? "") as Answer;
    request.resume().on("end", () => {
      response.on("error", () => {}); // an answer that is cut off
      response.writeHead(vector.response.status, vector.response.headers);
      response.end(bodyOf(vector.response));
    });
  });
  const { validateLicense } = await loadValidator({ endpoint });
  assert.ok(answers.size > 100, "the vectors are missing");

  const signing = await startLeaseServer();
  const { publicKey } = signing;
  for (const [name, { about, query = {}, response, want }] of answers) {
    const { licenseKey = KEY, apiKey } = query;
    const options = { endpoint: `${endpoint}/${name}`, apiKey, maxAttempts: 1 };
    // fetch hides a 407, whoever sends it.
    const hidden = response.status === 407;

    await t.test(`${name}: ${about}`, async () => {
      const outcome = await validateLicense(licenseKey, "m1", options).then(
        ({ checkedAt, ...verdict }) => {
          assert.equal(new Date(checkedAt).toISOString(), checkedAt);
          return { verdict };
        },
        (error) => {
          assert.ok(error instanceof LicenseError, String(error));
          const { code, retryable, status, retryAfterMs } = error;
          return { error: JSON.parse(JSON.stringify({ code, retryable, status, retryAfterMs })) };
        },
      );
      const { trusted: _, ...expected } = want;
      if (hidden) assert.deepEqual(outcome, { error: { code: "unavailable", retryable: true } });
      else assert.deepEqual(outcome, expected);
    });

    await t.test(`${name}, with a public key, and with a lease that is kept`, async () => {
      const code = hidden ? "unavailable" : (want.trusted ?? want.error?.code);
      const store = new TestStore();
      const settings = { endpoint: signing.endpoint, publicKey, leases: store };
      const { validateLicense } = await loadValidator(settings);
      const ask = () => validateLicense(licenseKey, "m1", options);
      await rejects(ask(), code as LicenseErrorCode);
      assert.equal((await validateLicense(licenseKey, "m1")).source, "server");
      const { lease } = store.record;
      if (code === "invalid_argument") await rejects(ask(), code);
      else {
        const verdict = await ask();
        assert.ok(verdict.valid);
        assert.equal(verdict.source, "lease");
        assert.equal(verdict.error?.code, code);
        if (!hidden) assert.equal(verdict.error?.status, response.status);
      }
      assert.equal(store.record.lease, lease, "only a proven refusal ends a lease");
    });
  }
});

interface Request {
  about: string;
  query: {
    endpoint: string;
    licenseKey: string;
    hwid?: Record<string, string>;
    apiKey?: string;
  };
  want: { url?: string; body?: string; error?: { code: string; argument: string } };
}

test("what is sent", async (t) => {
  const { validateLicense } = await loadValidator({ endpoint: "https://license.example.com" });
  const requests = vectors<Request>("request");
  assert.ok(requests.length > 50, "the vectors are missing");

  for (const [name, { about, query, want }] of requests) {
    await t.test(`${name}: ${about}`, async (t) => {
      const sent: [url: string, init: RequestInit][] = [];
      t.mock.method(globalThis, "fetch", async (url: string, init: RequestInit) => {
        sent.push([url, init]);
        return new Response("", { status: 500 });
      });
      const { licenseKey, hwid, ...rest } = query;
      const outcome = await validateLicense(licenseKey, hwid, { ...rest, maxAttempts: 1 }).catch(
        (error) => error,
      );
      assert.ok(outcome instanceof LicenseError, String(outcome));
      if (want.error) {
        assert.equal(outcome.code, want.error.code);
        assert.equal(outcome.argument, want.error.argument);
        assert.ok(outcome.message.startsWith(`${want.error.argument}: `), outcome.message);
        assert.equal(sent.length, 0);
        return;
      }
      assert.equal(outcome.code, "unavailable");
      const [[url, init]] = sent as [[string, RequestInit]];
      assert.equal(sent.length, 1);
      assert.equal(new URL(url).href, url, "a URL parser reads another address");
      assert.equal(url, want.url);
      assert.equal(init.body, want.body);
      assert.equal(init.method, "POST");
      assert.equal(
        new Headers(init.headers).get("authorization"),
        query.apiKey === undefined ? null : `Bearer ${query.apiKey}`,
      );
    });
  }
});
