#!/bin/sh
# @langchain/langgraph 1.7.3 takes two messages of one id for one, and @langchain/openai 1.5.8 calls a message by its completion's
# `id`. A server whose ids come again (Ollama draws `chatcmpl-<0 to 998>`) has an agent's last answer take the place of its first:
# the run ends, without an error, with what the tool said. So a gateway passes no such id on.
# Needs node 20 and npm. Fails once both agents end with the answer.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @langchain/openai@1.5.8 @langchain/core@1.4.0 @langchain/langgraph@1.7.3 zod@4.4.3 >/dev/null
cat > agent.mjs <<'END'
import { createServer } from "node:http";
import { tool } from "@langchain/core/tools";
import { createReactAgent } from "@langchain/langgraph/prebuilt";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

const call = { id: "call_1", type: "function", function: { name: "look", arguments: '{"place": "Rome"}' } };
let ids = [];
const server = createServer(async (request, response) => {
  let sent = "";
  for await (const piece of request) sent += piece;
  const isAnswer = JSON.parse(sent).messages.at(-1).role === "tool";
  const message = { role: "assistant", content: isAnswer ? "Rome is sunny." : null };
  if (!isAnswer) message.tool_calls = [call];
  const choices = [{ index: 0, message, finish_reason: isAnswer ? "stop" : "tool_calls" }];
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ id: ids.shift(), object: "chat.completion", created: 1, model: "m", choices }));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const configuration = { baseURL: `http://127.0.0.1:${server.address().port}/v1`, apiKey: "k" };
const look = tool(async () => "sunny", { name: "look", description: "Look", schema: z.object({ place: z.string() }) });

async function ends(...given) {
  ids = [...given];
  const agent = createReactAgent({ llm: new ChatOpenAI({ model: "m", configuration, apiKey: "k" }), tools: [look] });
  const { messages } = await agent.invoke({ messages: [{ role: "user", content: "How is Rome?" }] });
  const told = messages.map((message) => `${message.getType()}: ${message.content}`);
  console.log(given.join(", "), "->", told.join(" | "));
  return told.at(-1);
}

const apart = await ends("chatcmpl-1", "chatcmpl-2");
const same = await ends("chatcmpl-1", "chatcmpl-1");
server.close();
process.exit(apart === "ai: Rome is sunny." && same === "tool: sunny" ? 0 : 1);
END
node agent.mjs
