// The `ai` package with OpenAI's and Anthropic's providers: as a stream, and a loop with a tool.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const tell = (name, said) => console.log(JSON.stringify({ [name]: said }));
const inputSchema = jsonSchema({ type: "object", properties: { place: { type: "string" } }, required: ["place"] });
const look = tool({ description: "What is there", inputSchema, execute: async ({ place }) => `${place} is sunny` });
const providerOptions = { openai: { store: false } }; // else it refers to items that nobody stores
const openai = createOpenAI();
const anthropic = createAnthropic({ baseURL: `${process.env.ANTHROPIC_BASE_URL}/v1` });
const models = {
  chat: openai.chat(process.env.MODEL),
  responses: openai.responses(process.env.MODEL),
  messages: anthropic(process.env.MODEL),
};

for (const [name, model] of Object.entries(models)) {
  tell(`${name} stream`, await streamText({ model, prompt: "hello" }).text);
  const looped = await generateText({ model, prompt: "hello", providerOptions, tools: { look }, stopWhen: stepCountIs(3) });
  tell(`${name} tool`, looped.text);
}
