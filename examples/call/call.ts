import { Channel, type ChannelHandle, jsonCodec } from "@busbar/busbar/channel";

/** A request or a reply, with the number that tells which reply is for which request. */
interface Envelope<Content> {
  readonly id: number;
  readonly content?: Content;
  readonly error?: string;
}

/** What a server needs: the handles of both channels, which survive structured clone. */
export interface Line<Request, Response> {
  readonly requests: ChannelHandle<Envelope<Request>>;
  readonly replies: ChannelHandle<Envelope<Response>>;
}

/** Opens a line, and calls what serves it: on one worker or on several. */
export function openLine<Request, Response>(capacity = 64) {
  const requests = Channel.create({ capacity, codec: jsonCodec<Envelope<Request>>() });
  const replies = Channel.create({ capacity, codec: jsonCodec<Envelope<Response>>() });
  const waiting = new Map<number, (reply: Envelope<Response>) => void>();
  const sender = requests.sender();
  let last = 0;
  (async () => {
    for await (const reply of replies.receiver()) waiting.get(reply.id)?.(reply);
    for (const [id, end] of waiting) end({ id, error: "the line was closed" });
  })();
  return {
    line: { requests: requests.handle, replies: replies.handle } as Line<Request, Response>,
    requests,
    /** Calls a server; an aborted call, or one of a server that has died, rejects by its signal. */
    async call(content: Request, signal: AbortSignal): Promise<Response> {
      const id = ++last;
      const { promise, resolve, reject } = Promise.withResolvers<Envelope<Response>>();
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort);
      waiting.set(id, resolve);
      try {
        const [, reply] = await Promise.all([
          sender.sendAsync({ id, content }, { signal }),
          promise,
        ]);
        if (reply.error !== undefined) throw new Error(reply.error);
        return reply.content!;
      } finally {
        waiting.delete(id);
        signal.removeEventListener("abort", abort);
      }
    },
    close() {
      requests.close();
      replies.close();
    },
  };
}

/** Serves a line until it is closed. */
export async function serve<Request, Response>(
  { requests, replies }: Line<Request, Response>,
  answer: (request: Request) => Response | Promise<Response>,
): Promise<void> {
  const sender = Channel.attach(replies).sender();
  for await (const { id, content } of Channel.attach(requests).receiver()) {
    const reply = await Promise.resolve(content!).then(answer).then(
      (content) => ({ id, content }),
      (error) => ({ id, error: String(error) }),
    );
    await sender.sendAsync(reply);
  }
}
