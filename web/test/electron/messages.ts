// The messages between the harness, which has the browser, and the app's main
// process. They use Node's IPC with structured clones.
import type { WebPreferences } from "electron";

/** A frame's state at the time of a message. */
export interface FrameData {
  id: number;
  parent: number | undefined;
  url: string;
  origin: string;
}

type Headers = [name: string, value: string][];

export type FromMain =
  | { type: "open"; window: number; url: string; preferences: WebPreferences; preloads: string[] }
  | { type: "close"; window: number }
  | { type: "reply"; call: number; value?: unknown; error?: string }
  | { type: "send"; window: number; frame: number; channel: string; args: unknown[] }
  | { type: "response"; call: number; status: number; headers: Headers; body: Uint8Array }
  | { type: "answer"; call: number; allowed: boolean; window?: number };

/** A message with a `call` gets an answer. */
export type ToMain =
  | { type: "ready" }
  | { type: "loaded"; window: number; frame: FrameData; error?: string }
  | {
      type: "invoke";
      call: number;
      window: number;
      frame: FrameData;
      channel: string;
      args: unknown[];
    }
  | { type: "request"; call: number; url: string; method: string; headers: Headers }
  | { type: "navigates"; call: number; window: number; url: string }
  | { type: "opened"; call: number; by: number; hidden: boolean; url: string }
  | { type: "closed"; window: number }
  | { type: "quit" };
