/**
 * The ends of a stream of messages, over a ring and over its alternatives.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import {
  Broadcast,
  type BroadcastHandle,
  type BroadcastWriter,
  FrameCursor,
  Pacer,
  type PacerHandle,
} from "../mod.ts";
import { type Round, sleepFor } from "./crew.ts";
import { addNumber, putNumber } from "./messages.ts";
import { PlainRing } from "./plain_ring.ts";
import { readerOf, receiving, receivingEvents, sending, type StreamEnd } from "./stream_ends.ts";

/** The largest bulk read. */
const BULK_BYTES = 256 * 1024;
/** A channel hears nothing at first, and does not tell from when on it does. */
const CHANNEL_OPENS_MS = 20;

// --- senders ----------------------------------------------------------------------------------

/** A sender to a ring. */
function writing(
  job: StreamEnd,
  sender: (writer: BroadcastWriter) => (from: number, to: number) => void,
  broadcast = Broadcast.attach(job.via as BroadcastHandle),
): Round {
  const writer = broadcast.writer();
  const send = sender(writer);
  const round = sending(job, (from, to) => {
    send(from, to);
    writer.publish();
  });
  return () => {
    using _closed = writer;
    round();
  };
}

/** Copies each message in. */
export function append(job: StreamEnd): Round {
  return appending(job, () => new Uint8Array(job.messageBytes));
}

/** Copies each message in, from where the ring copies natively. */
export function appendPrivate(job: StreamEnd): Round {
  return appending(job, (writer) => writer.privateBytes(job.messageBytes));
}

function appending(job: StreamEnd, payloadOf: (writer: BroadcastWriter) => Uint8Array): Round {
  return writing(job, (writer) => {
    const payload = payloadOf(writer);
    return (from, to) => {
      for (let i = from; i < to; i++) {
        putNumber(payload, 0, i);
        writer.append(payload);
      }
    };
  });
}

/** Appends each message when a pacer says that there is room. */
export function appendPaced(job: StreamEnd): Round {
  const pacer = Pacer.attach(job.via as PacerHandle);
  const payload = new Uint8Array(job.messageBytes);
  return writing(job, (writer) => (from, to) => {
    for (let i = from; i < to; i++) {
      putNumber(payload, 0, i);
      pacer.wait(writer, payload.length);
      writer.append(payload);
    }
  }, pacer.broadcast);
}

/** Claims room for each message, and writes just its number there. */
export function claim(job: StreamEnd): Round {
  const { messageBytes } = job;
  return writing(job, (writer) => (from, to) => {
    const { bytes } = writer;
    for (let i = from; i < to; i++) {
      putNumber(bytes, writer.claim(messageBytes), i);
      writer.commit();
    }
  });
}

/** Collects a batch of messages in an array, and copies that in. */
export function appendEqual(job: StreamEnd): Round {
  const { messageBytes, batch } = job;
  return writing(job, (writer) => {
    const payloads = writer.privateBytes(messageBytes * batch);
    return (from, to) => {
      for (let i = from, at = 0; i < to; i++, at += messageBytes) putNumber(payloads, at, i);
      writer.appendEqual(payloads, messageBytes);
    };
  });
}

/** The upper bound of any ring: copies each message into plain memory. */
export function plainCopy(job: StreamEnd): Round {
  const plain = new PlainRing(job);
  const payload = new Uint8Array(job.messageBytes);
  return sending(job, (from, to) => {
    for (let i = from; i < to; i++) {
      putNumber(payload, 0, i);
      plain.bytes.set(payload, plain.begin());
    }
    plain.publish(to);
  });
}

/** The same, with just the number of each message. */
export function plainTouch(job: StreamEnd): Round {
  const plain = new PlainRing(job);
  const { bytes } = plain;
  return sending(job, (from, to) => {
    for (let i = from; i < to; i++) putNumber(bytes, plain.begin(), i);
    plain.publish(to);
  });
}

/** A sender that hands over each message by itself. */
function sendingEach(
  job: StreamEnd,
  send: (payload: Uint8Array) => void,
  close?: () => void,
): Round {
  const payload = new Uint8Array(job.messageBytes);
  return sending(job, (from, to) => {
    for (let i = from; i < to; i++) {
      putNumber(payload, 0, i);
      send(payload);
    }
  }, close);
}

/** Posts each message. */
export function post(job: StreamEnd): Round {
  const port = job.via as MessagePort;
  return sendingEach(job, (payload) => port.postMessage(payload));
}

/** Posts each message, and transfers it. */
export function transfer(job: StreamEnd): Round {
  const port = job.via as MessagePort;
  return sending(job, (from, to) => {
    for (let i = from; i < to; i++) {
      const payload = new Uint8Array(job.messageBytes);
      putNumber(payload, 0, i);
      port.postMessage(payload, [payload.buffer]);
    }
  });
}

/** Posts each message to a channel. */
export function channelPost(job: StreamEnd): Round {
  const channel = new BroadcastChannel(job.via as string);
  return sendingEach(job, (payload) => channel.postMessage(payload), () => channel.close());
}

/** Pushes each message into a byte queue for one producer and one consumer. */
export function push(job: StreamEnd): Round {
  const ring = new RingBuffer(job.via as SharedArrayBuffer, Uint8Array);
  return sendingEach(job, (payload) => void ring.push(payload, payload.length));
}

// --- receivers --------------------------------------------------------------------------------

/** Reads each message in the batch that the reader took. */
export function read(job: StreamEnd): Round {
  const reader = readerOf(job);
  return receiving(job, (received) => {
    if (!reader.poll()) return false;
    const { bytes } = reader;
    let { count, sum } = received;
    while (reader.next()) {
      sum = addNumber(sum, bytes, reader.offset);
      count++;
    }
    received.count = count;
    received.sum = sum;
    return true;
  }, () => reader.wait());
}

/** The same, telling a pacer how far it is. */
export function readPaced(job: StreamEnd): Round {
  const pacer = Pacer.attach(job.via as PacerHandle);
  const seat = pacer.join();
  const reader = pacer.broadcast.reader({ from: seat.position });
  return receiving(job, (received) => {
    if (!reader.poll()) return false;
    const { bytes } = reader;
    while (reader.next()) {
      received.sum = addNumber(received.sum, bytes, reader.offset);
      received.count++;
    }
    seat.reached(reader.position);
    return true;
  }, () => reader.wait());
}

/** Copies each message to an array. */
export function receive(job: StreamEnd): Round {
  const reader = readerOf(job);
  const target = new Uint8Array(job.messageBytes);
  return receiving(job, (received) => {
    if (!reader.poll()) return false;
    while (reader.next()) {
      reader.receive(target);
      received.sum = addNumber(received.sum, target, 0);
      received.count++;
    }
    return true;
  }, () => reader.wait());
}

/** Copies the frames out in bulk, and goes through them there. */
export function bulk(job: StreamEnd): Round {
  const reader = readerOf(job);
  const window = reader.privateBytes(BULK_BYTES);
  return receiving(job, (received) => {
    const length = reader.readBulk(window);
    if (length === 0) return false;
    const frames = new FrameCursor(window.subarray(0, length));
    let { count, sum } = received;
    while (frames.next()) {
      sum = addNumber(sum, window, frames.offset);
      count++;
    }
    received.count = count;
    received.sum = sum;
    return true;
  }, () => reader.wait());
}

/** Copies out of plain memory as much as there is. */
export function plainTake(job: StreamEnd): Round {
  const plain = new PlainRing(job);
  const window = new Uint8Array(BULK_BYTES);
  const frame = job.messageBytes + 8;
  return receiving(job, (received) => {
    const length = plain.take(window);
    let { sum } = received;
    for (let at = 8; at < length; at += frame) sum = addNumber(sum, window, at);
    received.sum = sum;
    received.count += length / frame;
    return length > 0;
  }, () => {});
}

/** Receives from a port. */
export function onPort(job: StreamEnd): Round {
  return receivingEvents(job, job.via as MessagePort);
}

/** Receives from a channel. */
export async function onChannel(job: StreamEnd): Promise<Round> {
  const round = receivingEvents(job, new BroadcastChannel(job.via as string));
  await new Promise((resolve) => setTimeout(resolve, CHANNEL_OPENS_MS));
  return round;
}

/** Pops each message from a byte queue. */
export function pop(job: StreamEnd): Round {
  const ring = new RingBuffer(job.via as SharedArrayBuffer, Uint8Array);
  const payload = new Uint8Array(job.messageBytes);
  return receiving(job, (received) => {
    let available = ring.available_read();
    if (available < payload.length) return false;
    for (; available >= payload.length; available -= payload.length) {
      ring.pop(payload, payload.length);
      received.sum = addNumber(received.sum, payload, 0);
      received.count++;
    }
    return true;
  }, () => sleepFor(0.1));
}
