// A module worker that checks the license keys it is sent.
import { type Answer, answerOf, load } from "./harness.js";

addEventListener("message", async ({ data, ports }: MessageEvent) => {
  const validator = await load(data.endpoint);
  const answer: Answer = await answerOf(
    validator.validateLicense(data.key, data.hwid, data.options),
  );
  ports[0]?.postMessage(answer);
});
