// What a JSON Schema asks for, as one kind of field: references looked up, combinations merged.

const TYPE_KINDS = { string: "text", integer: "number", number: "number", boolean: "choice", array: "array" };
const GROUPS = new Set(["object", "array", "record"]);
// A schema may hold itself; deeper than this it is edited as JSON.
const MAX_LEVELS = 3;

/**
 * `{kind, schema, nullable}`: `schema` is without references, and `kind` one of text, number, check,
 * choice, choices, array, object, record, json, nothing.
 */
export function describe(schema, resolve, { level = 0, required = false } = {}) {
  if (schema === null) return { kind: "nothing", schema: {}, nullable: false };
  const flat = flatten(schema, resolve);
  const found = kindOf(flat, resolve);
  const kind = level > MAX_LEVELS && GROUPS.has(found) ? "json" : found;
  const nullable = isNullable(flat);
  const isCheck = kind === "choice" && !flat.enum && required && !nullable;
  return { kind: isCheck ? "check" : kind, schema: flat, nullable };
}

/** The schema's type in a few words, such as "string, at most 200 characters". */
export function summarise({ kind, schema }, resolve) {
  if (kind === "json" || kind === "nothing") return "";
  if (kind === "array" || kind === "choices") return listSummary(schema, resolve);
  const limits = [lengths(schema), range(schema), schema.pattern && `like ${schema.pattern}`];
  return [schema.format ?? typesOf(schema)[0] ?? "", ...limits].filter(Boolean).join(", ");
}

function typesOf(schema) {
  return [schema.type ?? []].flat().filter((type) => type !== "null");
}

function listSummary(schema, resolve) {
  const { kind, schema: item } = describe(schema.items ?? {}, resolve);
  return kind === "json" ? "list" : `list of ${item.format ?? typesOf(item)[0] ?? "choice"}s`;
}

function flatten(schema, resolve) {
  if (typeof schema !== "object") return {};
  const { $ref, allOf = [], anyOf, oneOf, ...own } = schema;
  const parts = $ref ? [resolve($ref), ...allOf] : allOf;
  const merged = [...parts.map((part) => flatten(part, resolve)), own].reduce(merge, {});
  const options = anyOf ?? oneOf;
  return options ? either(merged, options.map((option) => flatten(option, resolve))) : merged;
}

function merge(first, second) {
  const both = { ...first, ...second };
  if (first.properties && second.properties) both.properties = { ...first.properties, ...second.properties };
  if (first.required && second.required) both.required = [...first.required, ...second.required];
  return both;
}

// One option of several: a choice if all are choices, itself if there is but one besides null.
function either(merged, options) {
  const isNull = (option) => option.type === "null" || (option.enum?.length === 1 && option.enum[0] === null);
  const others = options.filter((option) => !isNull(option));
  const nullable = others.length < options.length || others.some(isNullable);
  if (others.length === 1) return { ...merge(others[0], merged), nullable };
  if (!others.length || !others.every((option) => option.enum)) return { ...merged, type: undefined, nullable };
  const labels = others.flatMap((option) => option["x-enum-labels"] ?? option.enum.map(String));
  return { ...merged, enum: others.flatMap((option) => option.enum), "x-enum-labels": labels, nullable };
}

function isNullable(schema) {
  return Boolean(schema.nullable) || [schema.type].flat().includes("null") || Boolean(schema.enum?.includes(null));
}

function kindOf(schema, resolve) {
  if (schema.enum || "const" in schema) return "choice";
  const types = typesOf(schema);
  if (Object.keys(schema.properties ?? {}).length) return "object";
  if (types.length !== 1) return "json";
  if (types[0] === "array") return isChoices(schema, resolve) ? "choices" : "array";
  if (types[0] === "object") return schema.additionalProperties ? "record" : "json";
  return TYPE_KINDS[types[0]] ?? "json";
}

function isChoices(schema, resolve) {
  return Boolean(schema.uniqueItems && schema.items && flatten(schema.items, resolve).enum);
}

function lengths({ minLength, maxLength }) {
  if (maxLength === undefined) return minLength > 1 && `at least ${minLength} characters`;
  return minLength > 1 ? `${minLength} to ${maxLength} characters` : `at most ${maxLength} characters`;
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }) {
  const limits = [
    minimum !== undefined && `${minimum} or more`,
    exclusiveMinimum !== undefined && `more than ${exclusiveMinimum}`,
    maximum !== undefined && `${maximum} or less`,
    exclusiveMaximum !== undefined && `less than ${exclusiveMaximum}`,
  ];
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  return limits.filter(Boolean).join(", ");
}
