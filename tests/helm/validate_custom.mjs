// Validates documents of custom resources, given as a JSON array on standard input, against the
// schemas of the npm packages of package.json. Prints an array with each document's errors.
//
//   node validate_custom.mjs NODE_MODULES < documents.json
//
// The packages' validators let unknown fields pass, so a document is wrapped: a field that its validator
// never reads is none that the resource has.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];
const packages = {
  "cert-manager.io": "cert-manager",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

// A resource's module says which validator is its own.
async function validatorOf({ apiVersion, kind }) {
  const [group] = apiVersion.split("/");
  if (!packages[group]) throw new Error(`no schema for ${apiVersion} ${kind}`);
  const folder = join(modules, "@kubernetes-models", packages[group]);
  const resource = readFileSync(join(folder, apiVersion, `${kind}.js`), "utf8");
  const [, schema] = resource.match(/from"\.\.\/\.\.\/(_schemas\/\w+\.js)"/);
  return (await import(pathToFileURL(join(folder, schema)))).validate;
}

function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const copy = Array.isArray(value) ? [] : {};
  for (const [key, field] of Object.entries(value)) {
    copy[key] = watched(field, `${path}/${key}`, unread);
    if (!Array.isArray(value)) unread.add(`${path}/${key}`);
  }
  return new Proxy(copy, {
    get(target, key) {
      if (typeof key === "string") unread.delete(`${path}/${key}`);
      return target[key];
    },
  });
}

const results = [];
for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  const validate = await validatorOf(document);
  const unread = new Set();
  const errors = [];
  if (!validate(watched(document, "", unread))) {
    errors.push(...validate.errors.map((e) => `${e.instancePath}: ${e.keyword} ${JSON.stringify(e.params)}`));
  }
  errors.push(...[...unread].map((path) => `${path}: unknown field`));
  results.push(errors);
}
console.log(JSON.stringify(results));
