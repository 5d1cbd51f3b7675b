// The official Node client against a running server: node client.mjs URL MODEL.
// Says what it found as one JSON line.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const request = {
  model,
  messages: [{ role: "user", content: "What is 17 + 25?" }],
  temperature: 0,
  max_tokens: 120,
};

const whole = await client.chat.completions.create(request);
const streamed = { content: "", reasoning: "", finish: [], usage: null };
const stream = await client.chat.completions.create({
  ...request,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  streamed.usage = chunk.usage ?? streamed.usage;
  for (const choice of chunk.choices) {
    streamed.content += choice.delta.content ?? "";
    streamed.reasoning += choice.delta.reasoning_content ?? "";
    if (choice.finish_reason) streamed.finish.push(choice.finish_reason);
  }
}
const completion = await client.completions.create({ model, prompt: "1 + 1 =", max_tokens: 4 });
let refused = null;
try {
  await client.chat.completions.create({ ...request, temperature: 9 });
} catch (error) {
  refused = { status: error.status, param: error.param };
}
const models = (await client.models.list()).data.map((entry) => entry.id);
console.log(
  JSON.stringify({
    whole: whole.choices[0].message,
    usage: whole.usage,
    streamed,
    completion: completion.choices[0].text,
    refused,
    models,
  }),
);
