import { Channel, jsonCodec, textCodec } from "@busbar/busbar";

const questions = Channel.create({ capacity: 1, codec: textCodec, closeWithLastSender: true });
const answers = Channel.create({ capacity: 1, codec: jsonCodec<number>() });
const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
worker.postMessage({ questions: questions.handle, answers: answers.handle });

const sender = answers.sender();
for await (const question of questions.receiver()) await sender.sendAsync(question.length);
console.log("received all");
worker.terminate();
