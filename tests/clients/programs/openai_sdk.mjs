// OpenAI's package for Node: whole, as streams, a loop with a tool, responses, embeddings.
import OpenAI from "openai";

const client = new OpenAI();
const model = process.env.MODEL;
const messages = [{ role: "user", content: "hello" }];
const parameters = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
const tell = (name, said) => console.log(JSON.stringify({ [name]: said }));

const whole = await client.chat.completions.create({ model, messages });
tell("whole", whole.choices[0].message.content);

let text = "";
const stream = await client.chat.completions.create({ model, messages, stream: true });
for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
tell("stream", text);

const look = { name: "look", description: "What is there", parameters, parse: JSON.parse, function: ({ place }) => `${place} is sunny` };
const runner = client.chat.completions.runTools({ model, messages, stream: true, tools: [{ type: "function", function: look }] });
tell("tool", await runner.finalContent());

const response = client.responses.stream({ model, input: "hello", store: false });
tell("response", (await response.finalResponse()).output_text);

const vectors = await client.embeddings.create({ model: process.env.EMBEDDER, input: ["one", "two"] });
tell("vectors", vectors.data.map((item) => item.embedding.length));
