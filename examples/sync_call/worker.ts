import { Channel } from "@busbar/busbar";

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = ({ data }) => {
  const answers = Channel.attach<number>(data.answers).receiver();
  using questions = Channel.attach<string>(data.questions).sender();
  function ask(question: string): number { // blocks this worker until the main thread has answered
    questions.send(question);
    return answers.receive()!;
  }
  console.log(`${ask("three")} and ${ask("seven letters")}`);
}; // here the sender closes, and with the last one the channel
