/**
 * The parts that the models of channels share: channels, senders and receivers.
 *
 * The channels have one or two cells, so that senders wait within a few messages. Every message is
 * a number in four bytes, and lies in the channel itself.
 *
 * @module
 */

import {
  Channel,
  type ChannelHandle,
  type ChannelOptions,
  type Codec,
  type Receiver,
  type Sender,
} from "@busbar/busbar/channel";

export interface State {
  readonly handle: ChannelHandle<number>;
}

export const BLOCKING = { strategy: "blocking" } as const;

/** Numbers in four bytes. */
export const numbers: Codec<number> = {
  name: "numbers",
  byteLength: 4,
  encodedLength: () => 4,
  encodeInto(value, target, at) {
    new DataView(target.buffer, target.byteOffset).setInt32(at, value, true);
    return 4;
  },
  decode: (source, at) => new DataView(source.buffer, source.byteOffset).getInt32(at, true),
};

/** The position before the last that there is. */
export const NEAR_WRAP = 2 ** 32 - 2;

/** Makes a channel, and sends some numbers to it. */
export function channelOf(
  options: Partial<ChannelOptions<number>>,
  { sent = [], close = false }: { sent?: readonly number[]; close?: boolean } = {},
): () => State {
  return () => {
    const channel = Channel.create({
      capacity: 1,
      codec: numbers,
      senders: 2,
      receivers: 2,
      ...options,
    });
    if (sent.length > 0) channel.sender().trySendAll(sent);
    if (sent.length > 0) channel.reclaimSender(0);
    if (close) channel.close();
    return { handle: channel.handle };
  };
}

/** The channel in a thread. */
export function attach({ handle }: State): Channel<number> {
  return Channel.attach(handle, { codec: numbers });
}

/** The sender at a place. */
export function senderOf(state: State, place = 0): Sender<number> {
  return attach(state).sender({ ...BLOCKING, place });
}

/** The receiver at a place. */
export function receiverOf(state: State, place = 0): Receiver<number> {
  return attach(state).receiver({ ...BLOCKING, place });
}

/** A sender of numbers, one by one. */
export function send(values: readonly number[], place = 0) {
  return (state: State): void => {
    const sender = senderOf(state, place);
    for (const value of values) sender.send(value);
  };
}

/** A receiver of so many numbers. */
export function receive(count: number, place = 0) {
  return (state: State): number[] => {
    const receiver = receiverOf(state, place);
    return Array.from({ length: count }, () => receiver.receive()!);
  };
}

/** A receiver of all that come until the end. */
export function receiveAll(place = 0) {
  return (state: State): number[] => {
    const receiver = receiverOf(state, place);
    const received: number[] = [];
    for (;;) {
      const value = receiver.receive();
      if (value === undefined) return received;
      received.push(value);
    }
  };
}

/** What is still in a channel that nobody uses any more. */
export function rest(state: State): number[] {
  const channel = attach(state);
  channel.close();
  const receiver = channel.receiver();
  const received: number[] = [];
  for (;;) {
    const value = receiver.tryReceive();
    if (value === undefined) return received;
    received.push(value);
  }
}

/** Sorted numbers. */
export function sorted(...lists: readonly (readonly number[])[]): number[] {
  return lists.flat().sort((a, b) => a - b);
}
