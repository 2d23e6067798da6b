type Answer = Record<string, unknown>;

/** A connection for WebDriver BiDi commands. It needs Node's WebSocket, which exists from version 22 on. */
export class Bidi {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Answer) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as Answer;
      this.#waiting.get(message.id as number)?.(message);
      this.#waiting.delete(message.id as number);
    });
    socket.addEventListener("close", () => {
      for (const answer of this.#waiting.values()) answer({ type: "error", message: "closed" });
    });
  }

  static async connect(url: string): Promise<Bidi> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`no connection to ${url}`)));
    });
    return new Bidi(socket);
  }

  async send(method: string, params: object): Promise<Answer> {
    const id = ++this.#lastId;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    if (answer.type === "error") throw new Error(`${method}: ${answer.error} ${answer.message}`);
    return answer.result as Answer;
  }
}
