// Anthropic's package for Node: whole, as a stream, a loop with a tool.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const asked = { model: process.env.MODEL, max_tokens: 500, messages: [{ role: "user", content: "hello" }] };
const tell = (name, said) => console.log(JSON.stringify({ [name]: said }));

const whole = await client.messages.create(asked);
tell("whole", whole.content[0].text);

let text = "";
const stream = client.messages.stream(asked).on("text", (piece) => (text += piece));
const final = await stream.finalMessage();
tell("stream", text);
tell("usage", final.usage.output_tokens);

const look = {
  type: "custom",
  name: "look",
  description: "What is there",
  input_schema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
  parse: (input) => input,
  run: ({ place }) => `${place} is sunny`,
};
const runner = client.beta.messages.toolRunner({ ...asked, tools: [look] });
tell("tool", (await runner.runUntilDone()).content[0].text);
