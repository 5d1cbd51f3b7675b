// The OpenAI API of the server that this page came from.

import { readEvents } from "./sse.js";

// What went wrong, in the server's own words. `status` is 0 if nothing answered, and
// 200 for a stream that failed on its way.
export class ApiError extends Error {
  constructor({ message = "", status = 0, type = null, code = null, retryAfterS = null }) {
    super(message);
    Object.assign(this, { name: "ApiError", status, type, code, retryAfterS });
  }
}

// The models served: [{id, aliases, maxModelLen}]. Names with one `root` are one model.
export async function listModels(apiKey) {
  const response = await ask("v1/models", { headers: headers(apiKey) });
  return groupByRoot((await response.json()).data);
}

export function groupByRoot(entries) {
  const models = new Map();
  for (const { id, root, max_model_len: maxModelLen } of entries) {
    const key = root ?? id;
    const known = models.get(key);
    if (known) {
      known.aliases.push(id);
    } else {
      models.set(key, { id, aliases: [], maxModelLen: maxModelLen ?? null });
    }
  }
  return [...models.values()];
}

// Streams a chat completion: yields {reasoning, content, finishReason, usage} until the
// server says that it is done. Throws an ApiError, or an AbortError once `signal` fires.
export async function* streamChat(request, { apiKey, signal }) {
  const response = await ask("v1/chat/completions", {
    method: "POST",
    headers: { ...headers(apiKey), "Content-Type": "application/json" },
    body: JSON.stringify({
      ...request,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
    }),
    signal,
  });
  try {
    for await (const { data } of readEvents(response.body)) {
      if (data === "[DONE]") return;
      yield readChunk(JSON.parse(data));
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError({ status: response.status, type: "broken_stream" });
  }
  throw new ApiError({ status: response.status, type: "broken_stream" });
}

function readChunk(chunk) {
  if (chunk.error) throw toError(200, chunk.error, null);
  const choice = chunk.choices?.[0];
  const delta = choice?.delta ?? {};
  return {
    reasoning: delta.reasoning_content ?? delta.reasoning ?? "",
    content: delta.content ?? "",
    finishReason: choice?.finish_reason ?? null,
    usage: chunk.usage ?? null,
  };
}

const headers = (apiKey) => (apiKey ? { Authorization: `Bearer ${apiKey}` } : {});

// fetch, but every answer other than a success is an ApiError. Paths are relative, so
// that a proxy may put the whole below a folder.
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ type: "unreachable" });
  }
  if (response.ok) return response;
  const body = await response.text();
  let told;
  try {
    told = JSON.parse(body).error;
  } catch {
    told = { message: body.slice(0, 500) }; // a proxy's page
  }
  throw toError(response.status, told, response.headers.get("Retry-After"));
}

function toError(status, told, retryAfter) {
  const {
    message,
    type = null,
    code = null,
  } = typeof told === "string" ? { message: told } : (told ?? {});
  const retryAfterS = Number.parseFloat(retryAfter);
  return new ApiError({
    message,
    status,
    type,
    code,
    retryAfterS: Number.isFinite(retryAfterS) ? retryAfterS : null,
  });
}
