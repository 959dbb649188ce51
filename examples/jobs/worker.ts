import { Channel } from "@busbar/busbar";

export interface Job {
  text: string;
}

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = async ({ data }) => {
  for await (const job of Channel.attach<Job>(data).receiver()) {
    console.log(`done: ${job.text.toUpperCase()}`);
  }
};
