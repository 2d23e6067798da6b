// The vectors of shared/testdata, through the package and a real HTTP server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LicenseError, loadValidator } from "whop-license";
import { KEY, serve, vectors } from "./support.js";

interface Answer {
  about: string;
  query?: { licenseKey?: string };
  response: {
    status: number;
    headers?: Record<string, string>;
    body?: string;
    bodyBase64?: string;
    bodyRepeat?: { before?: string; text: string; times: number; after?: string };
  };
  want: { verdict?: object; error?: object };
}

function bodyOf({ body = "", bodyBase64, bodyRepeat }: Answer["response"]): Buffer {
  if (bodyBase64 !== undefined) return Buffer.from(bodyBase64, "base64");
  if (!bodyRepeat) return Buffer.from(body);
  const { before = "", text, times, after = "" } = bodyRepeat;
  return Buffer.from(before + text.repeat(times) + after);
}

test("what a server answers", async (t) => {
  const answers = new Map(vectors<Answer>("license"));
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

  for (const [name, { about, query, want }] of answers) {
    await t.test(`${name}: ${about}`, async () => {
      const options = { endpoint: `${endpoint}/${name}`, maxAttempts: 1 };
      const outcome = await validateLicense(query?.licenseKey ?? KEY, "m1", options).then(
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
      assert.deepEqual(outcome, want);
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
