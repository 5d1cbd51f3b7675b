// The official Node client against a running server: node client.mjs URL MODEL.
// Says what it found as one JSON line.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const question = "What is 17 + 25?";
const request = {
  model,
  messages: [{ role: "user", content: question }],
  temperature: 0,
  max_tokens: 120,
};
const schema = {
  type: "object",
  properties: { sum: { type: "integer" } },
  required: ["sum"],
  additionalProperties: false,
};

async function streamedChat() {
  const seen = { content: "", reasoning: "", finish: [], usage: null };
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    seen.usage = chunk.usage ?? seen.usage;
    for (const choice of chunk.choices) {
      seen.content += choice.delta.content ?? "";
      seen.reasoning += choice.delta.reasoning_content ?? "";
      if (choice.finish_reason) seen.finish.push(choice.finish_reason);
    }
  }
  return seen;
}

async function parsedChat() {
  const answer = await client.chat.completions.parse({
    ...request,
    max_tokens: 400,
    response_format: { type: "json_schema", json_schema: { name: "sum", schema, strict: true } },
  });
  return answer.choices[0].message.parsed;
}

async function streamedResponse(options) {
  const types = [];
  const stream = client.responses.stream(options);
  for await (const event of stream) types.push(event.type);
  const final = await stream.finalResponse();
  const parts = final.output.flatMap((item) => item.content ?? []);
  const texts = parts.filter((part) => part.type === "output_text").map((part) => part.text);
  return { types, text: texts.join("") };
}

async function parsedResponse() {
  const response = await client.responses.parse({
    model,
    input: question,
    temperature: 0,
    max_output_tokens: 400,
    text: { format: { type: "json_schema", name: "sum", schema, strict: true } },
  });
  return response.output_parsed;
}

// How a stream ends that its reader leaves.
async function aborted() {
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    max_tokens: 800,
    ignore_eos: true,
  });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 3) stream.controller.abort();
  }
  return chunks;
}

async function refusal(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { status: error.status, param: error.param };
  }
}

const whole = await client.chat.completions.create(request);
const completion = await client.completions.create({ model, prompt: "1 + 1 =", max_tokens: 4 });
const responseOptions = { model, input: question, temperature: 0, max_output_tokens: 300 };
const response = await client.responses.create(responseOptions);
console.log(
  JSON.stringify({
    whole: whole.choices[0].message,
    usage: whole.usage,
    streamed: await streamedChat(),
    parsed: await parsedChat(),
    completion: completion.choices[0].text,
    response: { text: response.output_text, status: response.status, usage: response.usage },
    streamedResponse: await streamedResponse(responseOptions),
    parsedResponse: await parsedResponse(),
    aborted: await aborted(),
    refused: await refusal(() => client.chat.completions.create({ ...request, temperature: 9 })),
    gone: await refusal(() => client.responses.retrieve("resp_1")),
    models: (await client.models.list()).data.map((entry) => entry.id),
    model: (await client.models.retrieve(model)).id,
  }),
);
